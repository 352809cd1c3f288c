import pytest
import torch
from standin import SIZES, example

from workbench.config import Train
from workbench.data.mixture import Mixture
from workbench.train.feed import micro_batches

EXAMPLES = {name: [example(name, i) for i in range(size)] for name, size in SIZES.items()}


class Collator:
    """Hands through what a real one would tokenise."""

    def train(self, examples, instructions, targets, features=None):
        if features is not None:
            return features
        return [*zip((e.example_id for e in examples), instructions, targets, strict=True)]


def texts(one, entropy):
    return f"about {one.example_id}", str(entropy)


def feed(rank=0, world=1, **train):
    config = Train(**({"batch_size": 12, "seed": 4} | train))
    return micro_batches(Mixture(SIZES, mixing="example"), EXAMPLES, texts, Collator(), config, rank, world)


def test_the_texts_belong_to_the_drawn_examples():
    (batch,) = feed()(7)
    draws = Mixture(SIZES, mixing="example").draw(4, 7, 12)
    names = [f"{draw.dataset}-{draw.index}" for draw in draws]
    assert batch == [(n, f"about {n}", str(d.entropy)) for n, d in zip(names, draws, strict=True)]


@pytest.mark.parametrize(("world", "accumulate"), [(1, 3), (2, 1), (2, 3)])
def test_processes_and_micro_batches_share_out_the_same_global_batch(world, accumulate):
    (whole,) = feed()(7)
    shares = [list(feed(rank, world, accumulate_steps=accumulate)(7)) for rank in range(world)]
    assert {len(share) for share in shares} == {accumulate}
    assert {len(batch) for share in shares for batch in share} == {12 // world // accumulate}
    assert sorted(item for share in shares for batch in share for item in batch) == sorted(whole)


def test_a_step_is_a_pure_function():
    at = feed()
    first = list(at(3))
    torch.rand(3), list(at(9))
    assert list(at(3)) == first


def test_views_see_each_example_with_its_own_texts_and_bits():
    def views(examples, pairs, entropy):
        return [
            (one.example_id, pair, bits) for one, pair, bits in zip(examples, pairs, entropy, strict=True)
        ]

    mixture = Mixture(SIZES, mixing="example")
    at = micro_batches(mixture, EXAMPLES, texts, Collator(), Train(batch_size=12, seed=4), views=views)
    (batch,) = at(7)
    draws = mixture.draw(4, 7, 12)
    named = [(f"{draw.dataset}-{draw.index}", draw.entropy) for draw in draws]
    assert batch == [(name, (f"about {name}", str(bits)), bits) for name, bits in named]


def test_what_does_not_divide_is_refused():
    with pytest.raises(ValueError, match=r"train\.batch_size 12 .* 5 processes"):
        feed(world=5)
    with pytest.raises(ValueError, match=r"train\.accumulate_steps 4"):
        feed(world=2, accumulate_steps=4)

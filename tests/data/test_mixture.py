from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chisquare

from workbench.data.mixture import Draw, Mixture

SIZES = {"coco_caption": 6000, "okvqa": 300, "vqav2": 5000}
NAMES = st.sampled_from(["a", "b", "c", "d", "e"])


def test_probabilities_by_hand():
    sizes = {"small": 100, "large": 400}
    assert Mixture(sizes, "sqrt").probabilities == pytest.approx({"small": 1 / 3, "large": 2 / 3})
    assert Mixture(sizes, "uniform").probabilities == pytest.approx({"small": 1 / 2, "large": 1 / 2})
    assert Mixture(sizes, "proportional").probabilities == pytest.approx({"small": 1 / 5, "large": 4 / 5})
    assert Mixture(sizes, "power", exponent=2.0).probabilities == pytest.approx(
        {"small": 1 / 17, "large": 16 / 17}
    )
    weighted = Mixture(sizes, "sqrt", {"small": 3.0}).probabilities
    assert weighted == pytest.approx({"small": 3 / 5, "large": 2 / 5})


@pytest.mark.parametrize(("sampling", "exponent"), [("sqrt", 0.5), ("uniform", 0.0), ("proportional", 1.0)])
def test_a_power_draws_the_same_as_the_rule_that_it_is(sampling, exponent):
    named, free = Mixture(SIZES, sampling), Mixture(SIZES, "power", exponent=exponent)
    assert named.draw(3, 5, 64) == free.draw(3, 5, 64)


def test_the_papers_mixture():
    sizes = {
        "capfilt": 14_000_000, "ocrvqa": 801_579, "coco": 566_747, "vqav2": 443_757, "vqav2_qg": 443_757,
        "textcaps": 109_765, "reasoning": 77_000, "conversation": 58_000, "detail": 23_000,
        "aokvqa": 17_056, "aokvqa_qg": 17_056, "okvqa": 9_009, "okvqa_qg": 9_009,
    }  # fmt: skip
    found = Mixture(sizes).probabilities
    assert found["capfilt"] == pytest.approx(0.458, abs=0.001)
    assert found["okvqa"] == pytest.approx(0.012, abs=0.001)


def test_a_draw_stays_what_it_was():
    draws = Mixture(SIZES, mixing="example").draw(seed=1, step=2, count=2)
    assert draws == [
        Draw("coco_caption", 413, 14129927820278699858),
        Draw("okvqa", 87, 9388142500899432419),
    ]


@given(
    st.dictionaries(NAMES, st.integers(1, 10**7), min_size=1),
    st.sampled_from(["sqrt", "uniform", "proportional"]),
    st.sampled_from(["batch", "example"]),
    st.integers(0, 2**64 - 1),
    st.integers(0, 10**9),
    st.integers(1, 4),
    st.sampled_from([1, 2, 3]),
)
@settings(max_examples=60, deadline=None)
def test_draws_are_pure_in_range_and_shared_out_among_processes(
    sizes, sampling, mixing, seed, step, each, world
):
    mixture = Mixture(sizes, sampling, mixing=mixing)
    whole = mixture.draw(seed, step, each * world)
    other_order = Mixture(dict(reversed(sizes.items())), sampling, mixing=mixing)
    assert whole == other_order.draw(seed, step, each * world)
    assert all(0 <= draw.index < sizes[draw.dataset] and 0 <= draw.entropy < 2**64 for draw in whole)
    shares = [mixture.draw(seed, step, each * world, rank, world) for rank in range(world)]
    assert [shares[i % world][i // world] for i in range(each * world)] == whole
    if mixing == "batch":
        assert len({draw.dataset for draw in whole}) == 1
    assert sum(mixture.probabilities.values()) == pytest.approx(1)


def test_datasets_come_with_their_probabilities():
    for mixing, steps, count in (("batch", 4000, 1), ("example", 40, 100)):
        mixture = Mixture(SIZES, "sqrt", {"okvqa": 2.0}, mixing)
        seen = Counter(draw.dataset for step in range(steps) for draw in mixture.draw(5, step, count))
        expected = [mixture.probabilities[name] * 4000 for name in SIZES]
        assert chisquare([seen[name] for name in SIZES], expected).pvalue > 1e-3


def test_items_are_uniform_and_entropies_distinct():
    draws = [draw for step in range(100) for draw in Mixture({"a": 7}).draw(3, step, 64)]
    assert chisquare(list(Counter(draw.index for draw in draws).values())).pvalue > 1e-3
    assert len({draw.entropy for draw in draws}) == len(draws)


def test_steps_and_seeds_are_independent():
    mixture = Mixture({"a": 10**6})
    seeds = [0, 1, 2, 2**53, 2**53 + 1, 2**64 - 2, 2**64 - 1]
    indices = [d.index for seed in seeds for step in range(20) for d in mixture.draw(seed, step, 8)]
    assert len(set(indices)) > 0.99 * len(indices)


def test_weight_zero_is_never_drawn():
    mixture = Mixture(SIZES, factors={"okvqa": 0.0, "vqav2": 0.0}, mixing="example")
    assert {draw.dataset for step in range(50) for draw in mixture.draw(0, step, 16)} == {"coco_caption"}


@pytest.mark.parametrize(
    ("sizes", "factors", "words"),
    [
        ({}, {}, "data.held_in"),
        ({"a": 1, "b": 0}, {}, "b has no training examples"),
        ({"a": 1}, {"b": 2.0}, "data.factors names b"),
        ({"a": 1}, {"a": 0.0}, "not all zero"),
        ({"a": 1, "b": 1}, {"a": -1.0}, "none negative"),
        ({"a": 1}, {"a": float("nan")}, "finite"),
    ],
)
def test_what_cannot_be_mixed_is_refused_in_a_sentence(sizes, factors, words):
    with pytest.raises(ValueError, match=words):
        Mixture(sizes, factors=factors)


def test_a_batch_that_does_not_divide_among_processes_is_refused():
    with pytest.raises(ValueError, match=r"train\.batch_size"):
        Mixture(SIZES).draw(0, 0, 10, rank=0, world=3)

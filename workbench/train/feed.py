"""From the mixture to micro-batches: what the loop asks for at a step, as a pure function of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

from torch import Tensor

from workbench.batch import Batch
from workbench.config import Train
from workbench.data.collate import Collator
from workbench.data.mixture import Mixture
from workbench.records import Example

# an example and 64 random bits to the instruction and the target (data/templates.py)
Texts = Callable[[Example, int], tuple[str, str]]
# examples, the texts and the random bits of each to features (data/augment.py)
Views = Callable[[Sequence[Example], Sequence[tuple[str, str]], Sequence[int]], Tensor]


def micro_batches(
    mixture: Mixture,
    examples: Mapping[str, Sequence[Example]],
    texts: Texts,
    collator: Collator,
    config: Train,
    rank: int = 0,
    world: int = 1,
    views: Views | None = None,
) -> Callable[[int], Iterator[Batch]]:
    """The loop's `batches`: at each step this process's share of train.batch_size examples, in
    train.accumulate_steps micro-batches of equal size.

    Args:
        examples: dataset -> the training examples whose numbers the mixture knows.
        rank, world: the process and how many there are.
        views: where pictures' features come from; by default the collator's store.

    Raises:
        ValueError: when batch_size does not divide into world * accumulate_steps equal parts.
    """
    size, rest = divmod(config.batch_size, world * config.accumulate_steps)
    if rest:
        raise ValueError(
            f"train.batch_size {config.batch_size} does not divide among {world} processes with "
            f"train.accumulate_steps {config.accumulate_steps}; make it a multiple of their product"
        )

    def at(step: int) -> Iterator[Batch]:
        draws = mixture.draw(config.seed, step, config.batch_size, rank, world)
        for start in range(0, len(draws), size):
            part = draws[start : start + size]
            chosen = [examples[draw.dataset][draw.index] for draw in part]
            pairs = [texts(example, draw.entropy) for example, draw in zip(chosen, part, strict=True)]
            seen = views(chosen, pairs, [draw.entropy for draw in part]) if views else None
            yield collator.train(chosen, [pair[0] for pair in pairs], [pair[1] for pair in pairs], seen)

    return at

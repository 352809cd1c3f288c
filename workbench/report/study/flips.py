"""Examples that one arm gets right and another wrong, by most of the seeds that both have."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from workbench.report.compare import Dataset
from workbench.report.gallery import OpenImage, data_uri
from workbench.report.statistics.intervals import Bools, Floats
from workbench.report.study.cells import Asked, Study
from workbench.report.study.effects import comparisons

HALF = 50.0  # of an answer's share in percent: right from here on
CAPTION_POINTS = 100.0  # CIDEr x 100 between two captions of which one is called better
SHOWN = 2  # examples of a dataset on the page; 1 where each has many answers
MANY = 6  # arms


@dataclass(frozen=True, slots=True)
class Count:
    """What changes hands between two arms: examples over all datasets."""

    better: str
    worse: str
    gained: int
    lost: int
    asked: int


@dataclass(frozen=True, slots=True)
class Told:
    """What an arm said with its first seed; `right` of `seeds` seeds were, or their mean CIDEr."""

    arm: str
    text: str
    right: str


@dataclass(frozen=True, slots=True)
class Flip:
    """One example on which arms differ.

    Attributes:
        pictures: data URIs, one per frame.
        winners, losers: arms, as far as they are compared and differ here.
    """

    dataset: Dataset
    example_id: str
    pictures: Sequence[str]
    instruction: str
    references: Sequence[str]
    answers: Sequence[Told]
    winners: Sequence[str]
    losers: Sequence[str]

    @property
    def arms(self) -> str:
        """For the page's filter."""
        return " ".join(sorted({*self.winners, *self.losers}))


def right(asked: Asked, shares: Floats) -> Bools:
    """(S, n) whether each answer counts as right; not for captions, which are better or worse only."""
    if asked.metric == "auc":
        return np.asarray((shares > 0) == asked.positive)
    return np.asarray(shares >= (100.0 - 1e-6 if asked.metric == "mrr" else HALF))


def changes(study: Study, better: str, worse: str, dataset: str) -> Floats:
    """(n,) 1 where the first arm alone is right with most of the common seeds, -1 where the second is."""
    asked, seeds = study.asked[dataset], study.paired(better, worse)
    first, second = (study.stacked(arm, dataset, seeds) for arm in (better, worse))
    if asked.metric == "cider":
        gap = (first - second).mean(0)
        return (gap >= CAPTION_POINTS).astype(float) - (gap <= -CAPTION_POINTS)
    often, seldom = (right(asked, shares).mean(0) for shares in (first, second))
    gained, lost = (often > 0.5) & (seldom < 0.5), (often < 0.5) & (seldom > 0.5)
    return gained.astype(float) - lost


def counts(study: Study) -> list[Count]:
    """One line for each pair of arms that is compared."""
    found = []
    for better, worse in comparisons(study):
        turns = np.concatenate([changes(study, better, worse, name) for name in study.asked])
        found.append(Count(better, worse, int((turns > 0).sum()), int((turns < 0).sum()), len(turns)))
    return found


def flips(study: Study, datasets: Sequence[Dataset], open_image: OpenImage) -> list[Flip]:
    """Up to SHOWN examples of each dataset, taken in the order of the hash of their ids.

    The second is the next that shows a change which the first does not, of other arms or the other way.
    """
    found, shown = [], SHOWN if len(study.arms) <= MANY else 1
    for dataset in datasets:
        if dataset.name not in study.asked:
            continue
        turns = {pair: changes(study, *pair, dataset.name) for pair in comparisons(study)}
        examples = study.asked[dataset.name].examples
        order = sorted(range(len(examples)), key=lambda i: hashlib.sha256(examples[i].encode()).digest())
        seen: set[tuple[str, str]] = set()
        taken = 0
        for place in order:
            won = {
                pair if turn[place] > 0 else pair[::-1] for pair, turn in turns.items() if turn[place] != 0
            }
            if taken < shown and won - seen:
                found.append(_flip(study, dataset, place, sorted(won), open_image))
                seen, taken = seen | won, taken + 1
    return found


def _flip(
    study: Study, dataset: Dataset, place: int, won: Sequence[tuple[str, str]], open_image: OpenImage
) -> Flip:
    name = study.asked[dataset.name].examples[place]
    of = (study.answers["dataset"] == dataset.name) & (study.answers["example_id"].astype(str) == name)
    lines = study.answers[of]
    main = lines.iloc[0]
    return Flip(
        dataset=dataset,
        example_id=name,
        pictures=[data_uri(open_image(str(ref))) for ref in main["images"]],
        instruction=str(main["instruction"]),
        references=list(dict.fromkeys(map(str, main["references"]))),
        answers=[
            Told(str(arm), str(text), _right(study, str(arm), dataset.name, place))
            for arm, text in zip(lines["arm"], lines["prediction"], strict=True)
        ],
        winners=sorted({first for first, _ in won}),
        losers=sorted({second for _, second in won}),
    )


def _right(study: Study, arm: str, dataset: str, place: int) -> str:
    asked, seeds = study.asked[dataset], study.paired(arm)
    shares = study.stacked(arm, dataset, seeds)
    if asked.metric == "cider":
        return f"CIDEr {shares[:, place].mean():.0f}"
    return f"right with {int(right(asked, shares)[:, place].sum())} of {len(seeds)}"

"""What a study's comparisons come to: supported, refuted, equivalent, or inconclusive, and how sure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from workbench.report.statistics.effects import Effect
from workbench.report.statistics.intervals import Interval
from workbench.report.statistics.multiple import benjamini_hochberg, holm
from workbench.report.statistics.planning import ALPHA, CHANCE, detectable
from workbench.report.words import number, signed, span

Family = Literal["primary", "exploratory"]
FEW = {1: "one seed says nothing about other trainings", 2: "two seeds say too little about others"}
Word = Literal["supported", "refuted", "equivalent", "inconclusive", "exploratory"]


@dataclass(frozen=True, slots=True)
class Claim:
    """That the first arm is above the second, as the paper or study.py says, and what was measured.

    Attributes:
        name: of the comparison, once in its family.
        first: title of the arm that is claimed to be better.
        second: title of the other.
        effect: first minus second.
        smallest: the smallest effect of interest, in points; without one nothing is called equivalent.
    """

    name: str
    first: str
    second: str
    effect: Effect
    smallest: float | None = None

    def __post_init__(self) -> None:
        if self.smallest is not None and not 0 < self.smallest < float("inf"):
            raise ValueError(
                f"{self.name}: the smallest effect of interest is a number of points above 0, "
                f"not {self.smallest}; correct it in study.py"
            )


@dataclass(frozen=True, slots=True)
class Verdict:
    """One judged claim.

    Attributes:
        name, first, second, smallest: the claim's.
        family: which adjustment `adjusted` and `equivalence` have had.
        effect: first minus second, in points, with its own (unadjusted) 95 % interval.
        seeds, images: what it rests on.
        p: two-sided, of no effect.
        adjusted: p after Holm (primary) or Benjamini and Hochberg (exploratory).
        careful: the same from t(S - 1) instead, for readers who trust seeds alone.
        equivalence: p of an effect outside +-smallest, adjusted alike; NaN without a smallest effect.
        standardised: dz over seeds; NaN with one seed.
        improvement: P(first > second) over seeds; NaN with one seed.
        detectable: the true effect found 80 % of the time at this error, in points; in a primary family
            at the level that Holm asks of its smallest p.
        word: the verdict.
    """

    name: str
    first: str
    second: str
    smallest: float | None
    family: Family
    effect: Interval
    seeds: int
    images: int
    p: float
    adjusted: float
    careful: float
    equivalence: float
    standardised: float
    improvement: float
    detectable: float
    word: Word

    @property
    def sentence(self) -> str:
        """For the report: the effect, what it rests on, and the verdict with its reason."""
        seeds = f"{self.seeds} seeds" if self.seeds > 1 else "one seed"
        lead = (
            f"{self.first} minus {self.second}: {signed(self.effect.value)} points {span(self.effect)}, "
            f"{seeds}, {self.images} images, {probability(self.adjusted)} after "
            f"{'Holm' if self.family == 'primary' else 'Benjamini-Hochberg'}. "
        )
        return lead + f"{self.word.capitalize()}: {self._reason}."

    @property
    def _reason(self) -> str:
        within = f"within ±{number(self.smallest)} points" if self.smallest is not None else ""
        small = bool(within) and self.equivalence <= ALPHA
        unlike = f"{'above' if self.effect.value > 0 else 'below'} zero"
        if self.word == "equivalent":
            return f"the difference is {within} ({probability(self.equivalence)})"
        if self.word == "inconclusive":
            return (
                f"neither a difference nor its absence is shown; a true effect of {number(self.detectable)} "
                f"points would be found {100 * CHANCE:.0f} % of the time"
            )
        found = unlike if self.adjusted <= ALPHA else within
        if self.word == "exploratory":
            return f"{found}, but " + FEW.get(self.seeds, "not a primary claim")
        return f"{found}, though {within}" if small else found


def probability(value: float) -> str:
    """p = 0.012, or p < 0.001."""
    return f"p = {value:.3f}" if value >= 0.001 else "p < 0.001"


def tost(effect: Effect, smallest: float) -> float:
    """p of two one-sided tests that the effect is not within +-smallest points (Schuirmann 1987).

    At most .05 exactly where the 90 % interval is within.
    """
    inside = smallest - abs(effect.value)  # the nearer bound decides
    outside = effect.variance.p(inside) / 2
    return outside if inside > 0 else 1 - outside


def judge(claims: Sequence[Claim], family: Family) -> list[Verdict]:
    """A verdict for each claim of a family, in order.

    Supported is a difference in the claimed direction with an adjusted p of .05 at most, refuted one
    in the other direction, equivalent an adjusted TOST p of .05 at most without such a difference, and
    inconclusive the rest. Anything but inconclusive is called exploratory where the claim rests on fewer
    than three seeds or the family is exploratory: two seeds found what was not there in 8 % of cases at
    a nominal 5 %, in a normal model.

    Args:
        claims: the whole family at once, because every further one makes a chance finding likelier.
        family: primary for what study.py declares as that, exploratory for tables of all else.

    Raises:
        ValueError: for two claims of one name.
    """
    names = [claim.name for claim in claims]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise ValueError(f"{twice[0]} is twice in its family; a claim is counted once: remove one")
    adjust = holm if family == "primary" else benjamini_hochberg
    adjusted = adjust([claim.effect.p for claim in claims])
    careful = adjust([claim.effect.p_by_seeds for claim in claims])
    bounded = [place for place, claim in enumerate(claims) if claim.smallest is not None]
    equivalence = np.full(len(claims), np.nan)
    equivalence[bounded] = adjust([tost(claims[i].effect, claims[i].smallest or 0.0) for i in bounded])
    alpha = ALPHA / len(claims) if family == "primary" and claims else ALPHA
    return [
        _verdict(claim, family, float(p), float(wide), float(same), alpha)
        for claim, p, wide, same in zip(claims, adjusted, careful, equivalence, strict=True)
    ]


def _verdict(
    claim: Claim, family: Family, adjusted: float, careful: float, equivalence: float, alpha: float
) -> Verdict:
    effect, spread = claim.effect, claim.effect.variance
    word: Word = "inconclusive"
    if adjusted <= ALPHA:
        word = "supported" if effect.value > 0 else "refuted"
    elif equivalence <= ALPHA:
        word = "equivalent"
    if word != "inconclusive" and (effect.seeds in FEW or family == "exploratory"):
        word = "exploratory"
    return Verdict(
        name=claim.name,
        first=claim.first,
        second=claim.second,
        smallest=claim.smallest,
        family=family,
        effect=effect.interval,
        seeds=effect.seeds,
        images=spread.images,
        p=effect.p,
        adjusted=adjusted,
        careful=careful,
        equivalence=equivalence,
        standardised=effect.standardised,
        improvement=effect.improvement,
        detectable=detectable(spread, alpha),
        word=word,
    )

"""From a study's cells to its effects: claims, every dataset, and each arm's averages."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from workbench.report.statistics.effects import Effect, Paired, effect
from workbench.report.statistics.intervals import Interval, Resampling, resample
from workbench.report.statistics.variance import Variance
from workbench.report.study.cells import Declared, Study
from workbench.report.study.verdicts import Claim, Verdict, judge


@dataclass(frozen=True, slots=True)
class Judged:
    """A declared claim with what came out.

    Attributes:
        seeds: those that both arms have.
        verdict: None while there is no such seed.
        variance: of the effect, for planning; None likewise.
        sign: of the effect against the paper's: same, opposite, or not clear where the interval includes
            zero; empty without a published effect.
        size: where the paper's effect is: within the interval, above or below it; empty likewise.
    """

    declared: Declared
    seeds: Sequence[int]
    verdict: Verdict | None
    variance: Variance | None
    sign: str
    size: str

    @property
    def family(self) -> str:
        """Primary, or secondary: declared too, but judged as exploratory."""
        return "primary" if self.declared.primary else "secondary"


@dataclass(frozen=True, slots=True)
class OnDataset:
    """Better minus worse arm on one dataset."""

    better: str
    worse: str
    dataset: str
    metric: str
    seeds: Sequence[int]
    verdict: Verdict


@dataclass(frozen=True, slots=True)
class Average:
    """One arm's average over a measure's datasets, over all seeds that it has."""

    arm: str
    measure: str
    seeds: Sequence[int]
    found: Interval


@dataclass(frozen=True, slots=True)
class Found:
    """Everything that a study's page says about effects."""

    claims: Sequence[Judged]
    datasets: Sequence[OnDataset]
    averages: Sequence[Average]

    def average(self, arm: str, measure: str) -> Average | None:
        """None for an arm without a finished cell."""
        for average in self.averages:
            if (average.arm, average.measure) == (arm, measure):
                return average
        return None


def find(study: Study) -> Found:
    """All effects of a study, the same counts of images for all, so that they are paired."""
    drawn = resample(image for asked in study.asked.values() for image in asked.images)
    claims = [*_judged(study, drawn, primary=True), *_judged(study, drawn, primary=False)]
    order = [claim.name for claim in study.claims]
    claims.sort(key=lambda judged: order.index(judged.declared.name))
    return Found(claims, _datasets(study, drawn), _averages(study, drawn))


def comparisons(study: Study) -> list[tuple[str, str]]:
    """The pairs of arms that are compared on every dataset, better first, as far as they share a seed.

    Those of the claims; then the baseline with the arms that no claim names. An arm that a claim compares
    with its own twin (another language model's) is not compared with the baseline too, from which it
    differs in two things.
    """
    pairs: list[tuple[str, str]] = []
    for claim in study.claims:
        if (claim.better, claim.worse) not in pairs and (claim.worse, claim.better) not in pairs:
            pairs.append((claim.better, claim.worse))
    named = {arm for pair in pairs for arm in pair} | {study.baseline}
    pairs += [(study.baseline, arm.name) for arm in study.arms if arm.name not in named]
    return [pair for pair in pairs if study.paired(*pair)]


def _judged(study: Study, drawn: Resampling, primary: bool) -> list[Judged]:
    declared = [claim for claim in study.claims if claim.primary == primary]
    claims = []
    for claim in declared:
        titles = study.arm(claim.better).title, study.arm(claim.worse).title
        if study.paired(claim.better, claim.worse):
            pairs = [study.pair(claim.better, claim.worse, d) for d in study.datasets_of(claim.measure)]
            claims.append(Claim(claim.name, *titles, effect(pairs, drawn), claim.smallest_effect))
        else:  # it stays in its family with p = 1: a study that is stopped early must not get easier
            claims.append(Claim(claim.name, *titles, _nothing(), claim.smallest_effect))
    verdicts = judge(claims, "primary" if primary else "exploratory")
    return [
        _compared(claim, study.paired(claim.better, claim.worse), verdict, given.effect.variance)
        for claim, verdict, given in zip(declared, verdicts, claims, strict=True)
    ]


def _nothing() -> Effect:
    """An effect of which nothing is known: evidence neither of a difference nor of equivalence."""
    return Effect(np.zeros(1), np.zeros(1), Variance(float("nan"), float("inf"), 0.0, 1, 2))


def _compared(claim: Declared, seeds: Sequence[int], verdict: Verdict, variance: Variance) -> Judged:
    if not seeds:
        return Judged(claim, seeds, None, None, "", "")
    if claim.paper is None:
        return Judged(claim, seeds, verdict, variance, "", "")
    found = verdict.effect
    same = found.value * claim.paper > 0
    sign = ("same" if same else "opposite") if found.excludes_zero else "not clear"
    size = "within"
    if not found.low <= claim.paper <= found.high:
        size = "above" if claim.paper > found.high else "below"
    return Judged(claim, seeds, verdict, variance, sign, size)


def _datasets(study: Study, drawn: Resampling) -> list[OnDataset]:
    """One exploratory family: every pair of arms on every dataset."""
    places = [(better, worse, name) for better, worse in comparisons(study) for name in study.asked]
    claims = [
        Claim(
            f"{better}, {worse}, {name}",
            study.arm(better).title,
            study.arm(worse).title,
            effect([study.pair(better, worse, name)], drawn),
        )
        for better, worse, name in places
    ]
    return [
        OnDataset(better, worse, name, study.asked[name].metric, study.paired(better, worse), verdict)
        for (better, worse, name), verdict in zip(places, judge(claims, "exploratory"), strict=True)
    ]


def _averages(study: Study, drawn: Resampling) -> list[Average]:
    found = []
    for arm in study.arms:
        seeds = study.paired(arm.name)
        for measure, datasets in study.measures.items():
            if not seeds or not set(datasets) <= set(study.asked):
                continue
            pairs = []
            for name in datasets:
                asked, shares = study.asked[name], study.stacked(arm.name, name, seeds)
                # minus a constant: the error of the arm alone, by the same way as that of a difference
                nothing = np.zeros_like(shares)
                pairs.append(Paired(asked.metric, shares, nothing, asked.images, asked.positive))
            alone = effect(pairs, drawn)
            interval = alone.variance.interval(float(alone.first.mean()))
            found.append(Average(arm.name, measure, seeds, interval))
    return found


def frame(found: Found) -> pd.DataFrame:
    """Claims, then every dataset, one line each, for <study>_effects.csv."""
    lines: list[dict[str, Any]] = []
    for judged in found.claims:
        claim = judged.declared
        named = {"kind": judged.family, "name": claim.name, "measure": claim.measure}
        named |= {"better": claim.better, "worse": claim.worse, "seeds": _text(judged.seeds)}
        paper = {"paper": claim.paper, "sign": judged.sign, "size": judged.size, "source": claim.source}
        lines.append(named | _numbers(judged.verdict) | paper)
    for one in found.datasets:
        named = {"kind": "dataset", "name": "", "measure": one.dataset, "better": one.better}
        lines.append(named | {"worse": one.worse, "seeds": _text(one.seeds)} | _numbers(one.verdict))
    return pd.DataFrame(lines)


def _text(seeds: Sequence[int]) -> str:
    return " ".join(map(str, seeds))


def _numbers(verdict: Verdict | None) -> dict[str, Any]:
    if verdict is None:
        return {"word": "not run"}
    return {
        "effect": verdict.effect.value,
        "low": verdict.effect.low,
        "high": verdict.effect.high,
        "images": verdict.images,
        "p": verdict.p,
        "adjusted": verdict.adjusted,
        "careful": verdict.careful,
        "smallest": verdict.smallest,
        "equivalence": verdict.equivalence,
        "detectable": verdict.detectable,
        "standardised": verdict.standardised,
        "improvement": verdict.improvement,
        "word": verdict.word,
    }

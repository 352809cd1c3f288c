"""What one arm of a study does better than another: paired by training seed and by example."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from scipy import stats

from workbench.report.statistics.intervals import (
    BOOTSTRAPPED,
    Bools,
    Floats,
    Interval,
    Resampling,
    replicates,
    resample,
    value_of,
)
from workbench.report.statistics.variance import Variance, variance

ROUNDING = 1e-9  # points; a smaller spread between seeds is that of sums in another order


@dataclass(frozen=True, slots=True)
class Paired:
    """Two arms on one dataset, trained from the same seeds and asked the same examples.

    Attributes:
        metric: as in the catalogue.
        first: (S, n) shares in the metric's unit, or AUC's margins; one line per seed.
        second: (S, n) the other arm's, seeds and examples in the same order.
        images: (n,) the image of each example.
        positive: (n,) labels, for AUC only.
    """

    metric: str
    first: Floats
    second: Floats
    images: Sequence[str]
    positive: Bools = field(default_factory=lambda: np.zeros(0, bool))

    def __post_init__(self) -> None:
        if self.first.ndim != 2 or self.first.shape != self.second.shape:
            raise ValueError(
                f"paired arms need the same seeds and examples, one line per seed, not shapes "
                f"{self.first.shape} and {self.second.shape}; keep the seeds that both arms have"
            )
        if len(self.images) != self.first.shape[1]:
            raise ValueError(f"{self.first.shape[1]} examples need an image each, not {len(self.images)}")
        if not (np.isfinite(self.first).all() and np.isfinite(self.second).all()):
            raise ValueError(f"a score of {self.metric} is missing or infinite; evaluate its run again")
        if self.metric == "auc" and not (
            len(self.positive) == self.first.shape[1] and 0 < self.positive.sum() < len(self.positive)
        ):
            raise ValueError("AUC needs a label for each example, and both labels among them")


@dataclass(frozen=True, slots=True)
class Effect:
    """First arm minus second, for the population of training seeds and of test images.

    Attributes:
        first: (S,) the first arm's value with each seed.
        second: (S,) the second arm's.
        variance: of the difference of their means.
    """

    first: Floats
    second: Floats
    variance: Variance

    @property
    def seeds(self) -> int:
        """S."""
        return len(self.first)

    @property
    def value(self) -> float:
        """In points: percent, or CIDEr x 100."""
        return float((self.first - self.second).mean())

    @property
    def interval(self) -> Interval:
        """With 95 %; with one seed over images only."""
        return self.variance.interval(self.value)

    @property
    def p(self) -> float:
        """Two-sided; below .05 exactly where the interval excludes zero."""
        return self.variance.p(self.value)

    @property
    def p_by_seeds(self) -> float:
        """The same from t(S - 1), as if seeds made all of the error: too careful where images make it."""
        error = self.variance.error
        if error == 0 or self.seeds == 1:
            return self.p
        return float(2 * stats.t.sf(abs(self.value) / error, self.seeds - 1))

    @property
    def standardised(self) -> float:
        """dz: the mean over seeds of the paired differences by their standard deviation; NaN without one."""
        differences = self.first - self.second
        spread = float(differences.std(ddof=1)) if self.seeds > 1 else 0.0
        return float(differences.mean()) / spread if spread > ROUNDING else float("nan")

    @property
    def improvement(self) -> float:
        """P(first > second): over all pairs of a seed of each, ties half (Agarwal et al. 2021).

        Mann and Whitney's U / S^2: how often the first arm wins if both are trained once more. NaN with
        one seed.
        """
        if self.seeds == 1:
            return float("nan")
        return float((np.sign(self.first[:, None] - self.second[None, :]) / 2 + 0.5).mean())


def effect(pairs: Sequence[Paired], resampling: Resampling | None = None) -> Effect:
    """First arm minus second on one dataset, or averaged over several, each dataset counting the same.

    Means of shares have two-way clustered errors. CIDEr, AUC, MRR and averages over datasets have a
    two-way bootstrap, where the same counts hold for both arms, all seeds and all datasets, so that
    differences are paired and datasets may share images.

    Args:
        resampling: counts for at least all images of the pairs; drawn for them if not given.

    Raises:
        ValueError: for no pair, different numbers of seeds, fewer than two images, or if AUC is
            undefined in more than half of the repetitions.
    """
    if len({len(pair.first) for pair in pairs}) != 1:
        raise ValueError("an average needs one dataset at least, and the same seeds on all of them")
    first = np.mean([_values(pair, pair.first) for pair in pairs], axis=0)
    second = np.mean([_values(pair, pair.second) for pair in pairs], axis=0)
    if len(pairs) == 1 and pairs[0].metric not in BOOTSTRAPPED:
        return Effect(first, second, variance(pairs[0].first - pairs[0].second, pairs[0].images))
    return Effect(first, second, _bootstrapped(pairs, first - second, resampling))


def _values(pair: Paired, arm: Floats) -> list[float]:
    return [value_of(pair.metric, line, pair.positive) for line in arm]


def _bootstrapped(pairs: Sequence[Paired], differences: Floats, resampling: Resampling | None) -> Variance:
    """The three variances of `variance`, from differences of every seed under the same draws of images.

    Seeds need no drawing: redrawn, their mean varies as their own variance / S says. Drawing seeds and
    images at once and reading off percentiles counts what seed and image do together three times (Owen
    2007) and, with three to five seeds, the seeds' part at (S - 1) / S.
    """
    images = {image for pair in pairs for image in pair.images}
    seeds, groups = len(differences), len(images)
    if groups < 2:
        raise ValueError(f"an interval over images needs two images at least, not {groups}")
    drawn = resampling or resample(images)
    replicated = np.mean([_difference(pair, drawn) for pair in pairs], axis=0)
    replicated = replicated[np.isfinite(replicated).all(axis=1)]
    if 2 * len(replicated) < len(drawn.counts):
        raise ValueError("too few images for AUC: most draws have one label only; add examples")
    scale = groups / (groups - 1)  # as in `variance`: redrawn images vary (G - 1) / G as much as new ones
    by_seed = float(differences.var(ddof=1)) / seeds if seeds > 1 else float("nan")
    by_image = scale * float(replicated.mean(axis=1).var())
    by_cell = scale * float(replicated.var(axis=0).mean()) / seeds
    if seeds > 1:  # each seed's own images were redrawn; `variance` centres cells over all seeds
        by_cell = (seeds - 1) * by_seed + (groups - 1) * seeds * by_cell
        by_cell /= seeds * groups - 1
    return Variance(by_seed, by_image, by_cell, seeds, groups)


def _difference(pair: Paired, resampling: Resampling) -> Floats:
    """(repetitions, S)."""
    if pair.metric == "auc":
        both = np.concatenate([pair.first, pair.second])
        found = replicates(pair.metric, both, pair.positive, pair.images, resampling)
        return found[:, : len(pair.first)] - found[:, len(pair.first) :]
    return replicates(pair.metric, pair.first - pair.second, pair.positive, pair.images, resampling)

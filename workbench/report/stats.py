"""Intervals for means, AUC and averages over datasets, when examples of one image hang together.

With one training seed an interval speaks of other test images, not of other trainings: such results
are exploratory. With several, `Variance` puts together what seeds and images add to the error (Cameron,
Gelbach and Miller 2011); benchmarks/calibration.py shows how often the intervals are right.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

LEVEL = 0.95
REPETITIONS = 2000
BOOTSTRAPPED = ("cider", "auc", "mrr")  # the rest are plain means of shares in percent


@dataclass(frozen=True, slots=True)
class Interval:
    """A value with its 95 % interval, in the value's unit.

    Attributes:
        error: standard error.
        clusters: how many images (or, with several seeds, seeds) it rests on.
    """

    value: float
    low: float
    high: float
    error: float
    clusters: int

    @property
    def excludes_zero(self) -> bool:
        """Whether the whole interval lies on one side of zero."""
        return self.low > 0 or self.high < 0


def clustered(shares: Floats, images: Sequence[str]) -> Interval:
    """Mean of the shares with the image-clustered standard error and t(G - 1), G images (Miller 2024).

    The error is sqrt(G / (G - 1) * sum over images of (sum of its residuals)^2) / n. Give differences
    between two rows' shares for a paired comparison.

    Raises:
        ValueError: for fewer than two images.
    """
    _, owner = np.unique(np.asarray(images), return_inverse=True)
    groups = int(owner.max(initial=-1)) + 1
    if groups < 2:
        raise ValueError(f"an interval over images needs two images at least, not {groups}")
    mean = float(shares.mean())
    sums = np.bincount(owner, shares - mean, groups)
    error = float(np.sqrt(groups / (groups - 1) * (sums**2).sum()) / len(shares))
    return _symmetric(mean, error, groups - 1, groups)


@dataclass(frozen=True, slots=True)
class Variance:
    """The squared standard error of a mean over training seeds and test images, by its sources.

    Attributes:
        by_seed: clustered on seeds, in squared units of the value; NaN for one seed.
        by_image: clustered on images.
        by_cell: clustered on seed and image together. The other two both contain what is a cell's own; it
            also holds a seeds-th of the images' variance (and an images-th of the seeds'), so that `total`
            comes out a little small where images differ much, which its floor mends in part.
        seeds: S.
        images: G.
    """

    by_seed: float
    by_image: float
    by_cell: float
    seeds: int
    images: int

    @property
    def total(self) -> float:
        """by_seed + by_image - by_cell, and no less than either of the first two; one seed: by_image.

        The difference of estimates can fall below what one source alone gives, and with it the error.
        """
        if self.seeds == 1:
            return self.by_image
        return max(self.by_seed + self.by_image - self.by_cell, self.by_seed, self.by_image)

    @property
    def error(self) -> float:
        """Standard error, in the value's unit."""
        return float(np.sqrt(self.total))

    @property
    def freedom(self) -> float:
        """Degrees of freedom of the error: of seeds and images, weighted by their shares of it.

        S - 1 where the seeds make the error, more with the images' share in it. S - 1 throughout is too
        wide: with three seeds t(2) then covers 99 to 100 % instead of 95. Satterthwaite's weights (1946;
        for readers x cases Hillis 2007), the squares of the shares, are too narrow for few seeds: a
        variance between seeds that comes out small by chance shrinks the error and raises its freedom at
        once, and three seeds found differences in up to 8 % of cases where there were none.

        by_seed holds what is a cell's own too, so that quiet seeds are overrated: three to five then cover
        98 to 99 %. Taking a third of by_cell off brings all of 3, 5 and 10 seeds to 93 to 98 %, but decisions
        fall further out, where Holm puts them: at p = .0125 three seeds that differ found differences that
        were not there in 3.1 % of cases instead of 2.1, at .005 in 2.3 instead of 1.3.
        """
        if self.seeds == 1:
            return self.images - 1
        if self.total == 0:
            return self.seeds - 1
        seed, image = self.by_seed / self.total, 1 - self.by_seed / self.total
        return 1 / (seed / (self.seeds - 1) + image / (self.images - 1))

    def at(self, seeds: int) -> Variance:
        """The same study with another number of seeds: their part shrinks as 1 / S, the images' stays.

        Raises:
            ValueError: if the study has one seed, or is to have fewer than two.
        """
        if self.seeds == 1 or seeds < 2:
            raise ValueError(
                "one seed says nothing about others; train two at least before planning for more"
            )
        common = max(self.by_image - self.by_cell, 0.0) * self.seeds / (self.seeds - 1)
        return Variance(self.by_seed * self.seeds / seeds, common, 0.0, seeds, self.images)

    def interval(self, value: float) -> Interval:
        """The value with t(freedom) x error on both sides."""
        return _symmetric(value, self.error, self.freedom, self.images if self.seeds == 1 else self.seeds)


def variance(shares: Floats, images: Sequence[str]) -> Variance:
    """Of the mean of shares; each clustering with its G / (G - 1) (Cameron, Gelbach and Miller 2011, 2.11).

    Args:
        shares: (S, n) one line per training seed, the same examples in the same order.
        images: (n,) the image of each example.

    Raises:
        ValueError: for fewer than two images.
    """
    _, owner = np.unique(np.asarray(images), return_inverse=True)
    seeds, groups = len(shares), int(owner.max(initial=-1)) + 1
    if groups < 2:
        raise ValueError(f"an interval over images needs two images at least, not {groups}")
    centred = shares - shares.mean()
    cells = np.stack([np.bincount(owner, line, groups) for line in centred])
    by_seed, by_image, by_cell = (
        len(sums) / (len(sums) - 1) * float((sums**2).sum()) / shares.size**2 if len(sums) > 1 else np.nan
        for sums in (cells.sum(1), cells.sum(0), cells.ravel())
    )
    return Variance(by_seed, by_image, by_cell, seeds, groups)


def two_way(shares: Floats, images: Sequence[str]) -> Interval:
    """Mean over seeds and examples with errors clustered by seed and by image.

    Args:
        shares: (S, n) one line per training seed, the same examples in the same order; differences
            between two arms' shares for a paired comparison.
        images: (n,) the image of each example.

    Raises:
        ValueError: for fewer than two seeds or images.
    """
    found = variance(shares, images)
    if found.seeds < 2:
        raise ValueError("two-way errors need two seeds at least, not 1; use clustered for one")
    return found.interval(float(shares.mean()))


def _symmetric(mean: float, error: float, freedom: float, clusters: int) -> Interval:
    half = float(stats.t.ppf((1 + LEVEL) / 2, freedom)) * error
    return Interval(mean, mean - half, mean + half, error, clusters)


@dataclass(frozen=True, slots=True)
class Resampling:
    """Poisson bootstrap: how often each image counts in each repetition.

    Every image gets an independent Poisson(1) count. Unlike drawing n of n, that lets datasets and rows
    that show the same image share its count, so differences are paired and averages over datasets
    respect common images. The estimators below are ratios, for which both bootstraps agree.

    Attributes:
        column: image -> column of `counts`.
        counts: (repetitions, images).
    """

    column: Mapping[str, int]
    counts: NDArray[np.uint8]

    def weights(self, images: Sequence[str]) -> Floats:
        """(repetitions, len(images)): the count of each."""
        return self.counts[:, [self.column[image] for image in images]].astype(np.float64)


def resample(images: Iterable[str], repetitions: int = REPETITIONS, seed: int = 2023) -> Resampling:
    """Draws the counts; the same images and seed give the same ones."""
    names = sorted(set(images))
    counts = np.random.default_rng(seed).poisson(1.0, (repetitions, len(names)))
    return Resampling({name: place for place, name in enumerate(names)}, counts.astype(np.uint8))


def value_of(metric: str, shares: Floats, positive: Bools) -> float:
    """The metric's value over one dataset: the mean of the shares, or AUC x 100 of the margins."""
    if metric != "auc":
        return float(shares.mean())
    return float(_auc(shares[None], positive, np.ones((1, len(shares))))[0, 0])


def replicates(
    metric: str, shares: Floats, positive: Bools, images: Sequence[str], resampling: Resampling
) -> Floats:
    """(repetitions,) values of the metric; NaN where the counts leave no example (or one label only).

    CIDEr is resampled by its per-example values: document frequencies stay those of the whole set, so
    the interval leaves out their (small) share of the variation.

    Args:
        shares: (n,) in the metric's unit; for AUC the margins log p(yes) - log p(no). Or (S, n) for
            several seeds, which gives (repetitions, S).
        positive: (n,) labels, read for AUC only.
        images: (n,) the image of each example.
    """
    names, owner = np.unique(np.asarray(images), return_inverse=True)
    weights = resampling.weights(names.tolist())
    lines = np.atleast_2d(shares)
    if metric == "auc":
        found = _auc(lines, positive, weights[:, owner])
    else:
        sums = np.stack([np.bincount(owner, line) for line in lines], axis=1)
        with np.errstate(invalid="ignore"):
            found = weights @ sums / (weights @ np.bincount(owner))[:, None]
    return np.asarray(found if shares.ndim == 2 else found[:, 0])


def _auc(lines: Floats, positive: Bools, weights: Floats) -> Floats:
    """Share of (yes, no) pairs in the right order, ties half, each pair counting by both weights.

    From (S, n) margins and (repetitions, n) weights, (repetitions, S).
    """
    yes, no = weights[:, positive], weights[:, ~positive]
    found = []
    for margins in lines:  # one at a time: (yes, no) pairs of all seeds at once would not fit
        above = np.sign(margins[positive][:, None] - margins[~positive][None, :]) / 2 + 0.5
        found.append(((yes @ above) * no).sum(1))
    with np.errstate(invalid="ignore"):
        return np.asarray(100 * np.stack(found, axis=1) / (yes.sum(1) * no.sum(1))[:, None])


def percentile(value: float, replicated: Floats, clusters: int) -> Interval:
    """The value with the middle 95 % of its replicates; undefined ones are left out."""
    low, high = np.nanquantile(replicated, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Interval(value, float(low), float(high), float(np.nanstd(replicated)), clusters)

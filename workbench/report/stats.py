"""Intervals for means, AUC and averages over datasets, when examples of one image hang together.

With one training seed an interval speaks of other test images, not of other trainings: such results
are exploratory. `two_way` adds the seeds for means (Cameron, Gelbach and Miller 2011); for the rest the
weights of a resampling can be multiplied by weights of seeds in the same way.
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


def two_way(shares: Floats, images: Sequence[str]) -> Interval:
    """Mean over seeds and examples with errors clustered by seed and by image, t(S - 1).

    The variance is that clustered on seeds plus that on images minus that on their intersections, each
    with its G / (G - 1); where noise makes it smaller than one of the first two, the larger of those.

    Args:
        shares: (S, n) one line per training seed, the same examples in the same order.
        images: (n,) the image of each example.

    Raises:
        ValueError: for fewer than two seeds or images.
    """
    _, owner = np.unique(np.asarray(images), return_inverse=True)
    seeds, groups = len(shares), int(owner.max(initial=-1)) + 1
    if seeds < 2 or groups < 2:
        raise ValueError(f"two-way errors need two seeds and two images, not {seeds} and {groups}")
    mean = float(shares.mean())
    cells = np.stack([np.bincount(owner, line - mean, groups) for line in shares])
    by_seed, by_image, by_cell = (
        len(sums) / (len(sums) - 1) * float((sums**2).sum())
        for sums in (cells.sum(1), cells.sum(0), cells.ravel())
    )
    variance = max(by_seed + by_image - by_cell, by_seed, by_image)
    return _symmetric(mean, float(np.sqrt(variance)) / shares.size, seeds - 1, seeds)


def _symmetric(mean: float, error: float, freedom: int, clusters: int) -> Interval:
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
    return float(_auc(shares, positive, np.ones((1, len(shares))))[0] if metric == "auc" else shares.mean())


def replicates(
    metric: str, shares: Floats, positive: Bools, images: Sequence[str], resampling: Resampling
) -> Floats:
    """(repetitions,) values of the metric; NaN where the counts leave no example (or one label only).

    CIDEr is resampled by its per-example values: document frequencies stay those of the whole set, so
    the interval leaves out their (small) share of the variation.

    Args:
        shares: (n,) in the metric's unit; for AUC the margins log p(yes) - log p(no).
        positive: (n,) labels, read for AUC only.
        images: (n,) the image of each example.
    """
    names, owner = np.unique(np.asarray(images), return_inverse=True)
    weights = resampling.weights(names.tolist())
    if metric == "auc":
        return _auc(shares, positive, weights[:, owner])
    with np.errstate(invalid="ignore"):
        return np.asarray(weights @ np.bincount(owner, shares) / (weights @ np.bincount(owner)))


def _auc(margins: Floats, positive: Bools, weights: Floats) -> Floats:
    """Share of (yes, no) pairs in the right order, ties half, each pair counting by both weights."""
    yes, no = weights[:, positive], weights[:, ~positive]
    above = np.sign(margins[positive][:, None] - margins[~positive][None, :]) / 2 + 0.5
    with np.errstate(invalid="ignore"):
        return np.asarray(100 * ((yes @ above) * no).sum(1) / (yes.sum(1) * no.sum(1)))


def percentile(value: float, replicated: Floats, clusters: int) -> Interval:
    """The value with the middle 95 % of its replicates; undefined ones are left out."""
    low, high = np.nanquantile(replicated, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Interval(value, float(low), float(high), float(np.nanstd(replicated)), clusters)

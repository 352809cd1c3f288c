"""Intervals for means, AUC and averages over datasets, when examples of one image hang together.

With one training seed an interval speaks of other test images, not of other trainings: such results
are exploratory. For several there is variance.py.
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
    half = float(stats.t.ppf((1 + LEVEL) / 2, groups - 1)) * error
    return Interval(mean, mean - half, mean + half, error, groups)


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

"""What a ratio of an effect to its error scatters like when seeds and images both make that error.

The seeds' part is known from S - 1 differences, the images' from G - 1. Where one of them is all of it, the
ratio follows t with that many degrees of freedom. In between it follows the distribution of Behrens (1929)
and Fisher (1935), sqrt(share) t(S - 1) + sqrt(1 - share) t(G - 1): narrow in the middle, as many images
make it, and with the tails of few seeds further out. No t distribution is both.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import numpy as np
from numpy.typing import NDArray
from scipy import interpolate, special, stats

Floats = NDArray[np.float64]

APART = 0.4  # nodes of the integrals over variances, in standard deviations of their logarithm
RARE = 1e-13  # probability of a variance beyond the nodes
SHARES = 65  # at which `criticals` solves; between them a spline
STEPS, CLOSE = 60, 1e-10  # of Newton's method; relative


@cache
def variances(freedom: float) -> tuple[Floats, Floats]:
    """Nodes and weights of an integral over estimated variances, chi2(freedom) / freedom.

    They are evenly spaced in the logarithm, where the density falls off on both sides and the trapezoid
    rule is exact but for rounding.
    """
    low, high = np.log(stats.chi2.ppf(RARE, freedom)), np.log(stats.chi2.isf(RARE, freedom))
    logs = np.linspace(low, high, int((high - low) / (APART * min(1.0, np.sqrt(2 / freedom)))))
    weights = np.exp(stats.chi2.logpdf(np.exp(logs), freedom) + logs)
    return np.exp(logs) / freedom, weights / weights.sum()


def two_sided(ratio: float, share: float, seeds: float, images: float) -> float:
    """P(|T| > ratio).

    Args:
        ratio: of the effect to its standard error, 0 or above.
        share: of the squared error, from 0 to 1: what is known from few seeds.
        seeds: degrees of freedom of that part, S - 1.
        images: of the rest, G - 1.
    """
    if share in (0, 1):
        return float(2 * stats.t.sf(ratio, seeds if share else images))
    above, _ = _tails(np.array([ratio]), np.array([share]), seeds, images)
    return min(float(above[0]), 1.0)  # the weights' sum is 1 but for rounding


def critical(alpha: float, share: float, seeds: float, images: float) -> float:
    """The ratio that |T| exceeds with probability alpha."""
    return float(_solve(alpha, np.array([share]), seeds, images)[0])


@cache
def criticals(alpha: float, seeds: float, images: float) -> Callable[[Floats], Floats]:
    """`critical` of an array of shares, for where many are asked for: right to 1e-4, with two seeds to .4 %.

    It bends like the root of the share where that is small, so the spline is over angles.
    """
    angles = np.linspace(0, np.pi / 2, SHARES)
    spline = interpolate.CubicSpline(angles, _solve(alpha, np.sin(angles) ** 2, seeds, images))
    return lambda shares: np.asarray(spline(np.arcsin(np.sqrt(shares))))


def _tails(ratios: Floats, shares: Floats, seeds: float, images: float) -> tuple[Floats, Floats]:
    """P(|T| > ratio) of each ratio and share, and its derivative by the ratio."""
    of_seeds, often = variances(seeds)
    of_images, seldom = variances(images)
    parts = shares[:, None, None]
    errors = np.sqrt(parts / of_seeds[:, None] + (1 - parts) / of_images)
    distances = ratios[:, None, None] / errors
    above = 2 * special.ndtr(-distances)  # as stats.norm's sf and pdf, without their checks of each argument
    slope = -2 * np.exp(-(distances**2) / 2) / np.sqrt(2 * np.pi) / errors
    weights = often[:, None] * seldom
    return (above * weights).sum((1, 2)), (slope * weights).sum((1, 2))


def _solve(alpha: float, shares: Floats, seeds: float, images: float) -> Floats:
    """Newton's method on log P in log ratio, where a normal's tail is concave and a t's nearly straight."""
    ratios = np.full(shares.shape, stats.norm.isf(alpha / 2))
    for _ in range(STEPS):
        above, slope = _tails(ratios, shares, seeds, images)
        step = np.log(above / alpha) * above / (slope * ratios)
        ratios = ratios * np.exp(-step)
        if (np.abs(step) < CLOSE).all():
            return ratios
    raise ArithmeticError(f"no critical value for p = {alpha}, {seeds} and {images} degrees of freedom")

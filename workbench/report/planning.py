"""How large an effect a study can see, and how many seeds it needs for a smaller one."""

from __future__ import annotations

import numpy as np
from scipy import optimize, stats

from workbench.report.stats import LEVEL, Variance

ALPHA = 1 - LEVEL
CHANCE = 0.8  # of seeing an effect that is there, the usual bar (Cohen 1988)
MOST = 1000  # seeds; nobody trains more


def power(effect: float, error: float, freedom: float, alpha: float = ALPHA) -> float:
    """Chance that a true effect is found on its own side of zero by the two-sided t test.

    The statistic is then t(freedom) with noncentrality effect / error.

    Args:
        effect: in points, above 0.
        error: standard error, in points.
        alpha: of the two-sided test.

    Raises:
        ValueError: unless the effect is above 0.
    """
    if not effect > 0:
        raise ValueError(f"planning is for an effect above 0, not {effect}; swap the arms")
    if error == 0:
        return 1.0
    return float(stats.nct.sf(stats.t.ppf(1 - alpha / 2, freedom), freedom, effect / error))


def detectable(error: float, freedom: float, alpha: float = ALPHA, chance: float = CHANCE) -> float:
    """The smallest true effect that is found with the given chance, in points."""
    if error == 0:
        return 0.0
    bar = float(stats.t.ppf(1 - alpha / 2, freedom))
    # an error taken for larger than it is lifts the bar; 99 in 100 times no further than this
    far = bar * float(np.sqrt(stats.chi2.ppf(0.99, freedom) / freedom)) + 5
    shift = optimize.brentq(lambda shift: stats.nct.sf(bar, freedom, shift) - chance, 0, far)
    return float(shift) * error


def seeds_needed(effect: float, seen: Variance, alpha: float = ALPHA, chance: float = CHANCE) -> int:
    """The fewest seeds with which a true effect is found with the given chance; two decide nothing.

    Args:
        effect: in points, above 0.
        seen: the variance of a comparison of the same kind, from two seeds or more. Of few seeds it is
            itself uncertain: with three, what is seen of the seeds' part lies between .1 and 2.3 times
            the truth four times in five.

    Raises:
        ValueError: if no number of seeds is enough on these images, saying how many images are; or if
            the variance is of one seed.
    """
    endless = float(np.sqrt(seen.at(2).by_image))
    if endless > 0 and power(effect, endless, seen.images - 1, alpha) < chance:
        factor = (detectable(endless, seen.images - 1, alpha, chance) / effect) ** 2
        raise ValueError(
            f"no number of seeds shows {effect:g} points on {seen.images} images; "
            f"test on about {factor * seen.images:.0f} images, or declare a larger effect"
        )
    for seeds in range(3, MOST + 1):
        planned = seen.at(seeds)
        if power(effect, planned.error, planned.freedom, alpha) >= chance:
            return seeds
    raise ValueError(f"{effect:g} points need more than {MOST} seeds; declare a larger effect")

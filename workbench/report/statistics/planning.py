"""How large an effect a study can see, and how many seeds it needs for a smaller one."""

from __future__ import annotations

import math
from bisect import bisect_left

from scipy import optimize

from workbench.report.statistics.intervals import LEVEL
from workbench.report.statistics.variance import Variance

ALPHA = 1 - LEVEL
CHANCE = 0.8  # of seeing an effect that is there, the usual bar (Cohen 1988)
MOST = 1000  # seeds; nobody trains more


def power(effect: float, variance: Variance, alpha: float = ALPHA) -> float:
    """Chance that a true effect is found on its own side of zero by the two-sided test of `Variance.p`.

    Args:
        effect: in points, above 0.
        variance: taken for the true one of such studies.
        alpha: of the two-sided test.

    Raises:
        ValueError: unless the effect is above 0.
    """
    if not effect > 0:
        raise ValueError(f"planning is for an effect above 0, not {effect}; swap the arms")
    return 1.0 if variance.error == 0 else variance.found(effect, alpha)


def detectable(variance: Variance, alpha: float = ALPHA, chance: float = CHANCE) -> float:
    """The smallest true effect that is found with the given chance, in points."""
    far = variance.error
    if far in (0.0, float("inf")):
        return far
    while power(far, variance, alpha) < chance:
        far *= 2
    found = optimize.brentq(lambda effect: variance.found(effect, alpha) - chance, far / 2, far)
    return float(found)


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
    seen.at(3)  # raises for one seed
    endless = Variance(float("nan"), seen.common, seen.common, 1, seen.images)
    if power(effect, endless, alpha) < chance:
        factor = (detectable(endless, alpha, chance) / effect) ** 2
        raise ValueError(
            f"no number of seeds shows {effect:g} points on {seen.images} images; "
            f"test on about {max(math.ceil(factor * seen.images), seen.images + 1)} images, or declare a "
            "larger effect"
        )
    seeds = range(3, MOST + 1)  # from some 20 images on, more seeds never find less, but for 1e-3
    enough = bisect_left(seeds, True, key=lambda count: power(effect, seen.at(count), alpha) >= chance)
    if enough == len(seeds):
        raise ValueError(f"{effect:g} points need more than {MOST} seeds; declare a larger effect")
    return seeds[enough]

"""p-values of several tests at once."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.stats import false_discovery_control

from workbench.report.statistics.intervals import Floats


def holm(values: Sequence[float] | Floats) -> Floats:
    """Adjusted p-values that bound the chance of any false positive (Holm 1979).

    The k-th smallest of m (k from 0) is multiplied by m - k, and none is below one before it.

    Args:
        values: (m,) p-values in any order.

    Raises:
        ValueError: if one is no number from 0 to 1.
    """
    found = _checked(values)
    order = np.argsort(found, kind="stable")
    steps = found[order] * np.arange(len(found), 0, -1)
    adjusted = np.empty_like(found)
    adjusted[order] = np.minimum(np.maximum.accumulate(steps), 1.0)
    return adjusted


def benjamini_hochberg(values: Sequence[float] | Floats) -> Floats:
    """Adjusted p-values that bound the expected share of false positives (Benjamini and Hochberg 1995).

    Args:
        values: (m,) p-values in any order.

    Raises:
        ValueError: if one is no number from 0 to 1.
    """
    return np.asarray(false_discovery_control(_checked(values)), dtype=np.float64)


def _checked(values: Sequence[float] | Floats) -> Floats:
    found = np.asarray(values, dtype=np.float64)
    if found.ndim != 1 or not ((found >= 0) & (found <= 1)).all():  # NaN fails both
        raise ValueError(f"p-values lie between 0 and 1, not {found.tolist()}; leave out what was not tested")
    return found

"""p-values of several tests at once."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

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
    return _restored(np.maximum.accumulate(steps), order)


def benjamini_hochberg(values: Sequence[float] | Floats) -> Floats:
    """Adjusted p-values that bound the expected share of false positives (Benjamini and Hochberg 1995).

    The k-th smallest of m (k from 1) is multiplied by m / k, and none is above one after it.

    Args:
        values: (m,) p-values in any order.

    Raises:
        ValueError: if one is no number from 0 to 1.
    """
    found = _checked(values)
    order = np.argsort(found, kind="stable")
    steps = found[order] * len(found) / np.arange(1, len(found) + 1)
    return _restored(np.minimum.accumulate(steps[::-1])[::-1], order)


def _checked(values: Sequence[float] | Floats) -> Floats:
    found = np.asarray(values, dtype=np.float64)
    if found.ndim != 1 or not ((found >= 0) & (found <= 1)).all():  # NaN fails both
        raise ValueError(f"p-values lie between 0 and 1, not {found.tolist()}; leave out what was not tested")
    return found


def _restored(ordered: Floats, order: np.ndarray[tuple[int, ...], np.dtype[np.intp]]) -> Floats:
    found = np.empty_like(ordered)
    found[order] = np.minimum(ordered, 1.0)
    return found

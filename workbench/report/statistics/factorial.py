"""What each factor of a 2^k design is worth: exact Shapley shares, and an analysis of variance."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations, product
from math import factorial

import numpy as np
import pandas as pd
from scipy import stats

from workbench.report.statistics.intervals import LEVEL

Corner = tuple[int, ...]


def shapley(values: Mapping[Corner, float]) -> list[float]:
    """Each factor's share of the gain from (0, ..., 0) to (1, ..., 1); they sum to it (Shapley 1953).

    The mean, over all orders in which factors can be switched on, of what a factor adds.

    Raises:
        ValueError: when a corner is missing.
    """
    count = len(next(iter(values), ()))
    if set(values) != set(product((0, 1), repeat=count)) or not count:
        raise ValueError(f"all {2**count} corners of the design are needed, not {sorted(values)}")
    shares = []
    for factor in range(count):
        others = [other for other in range(count) if other != factor]
        share = 0.0
        for size in range(count):
            weight = factorial(size) * factorial(count - size - 1) / factorial(count)
            for chosen in combinations(others, size):
                off = tuple(int(place in chosen) for place in range(count))
                on = tuple(int(place in chosen or place == factor) for place in range(count))
                share += weight * (values[on] - values[off])
        shares.append(share)
    return shares


def contrast(values: Mapping[Corner, float], factors: Sequence[int]) -> float:
    """The interaction of some factors (one of them: its main effect), averaged over the others.

    The difference that the first makes, at the second on minus at the second off, and so on.
    """
    count = len(next(iter(values)))
    signs = {c: np.prod([1 if c[place] else -1 for place in factors]) for c in values}
    return float(sum(signs[corner] * value for corner, value in values.items())) / 2 ** (count - len(factors))


def shares(cells: pd.DataFrame, factors: Sequence[str]) -> pd.DataFrame:
    """Shapley shares, main effects and interactions with 95 % t-intervals over the paired seeds.

    Args:
        cells: one column of 0 and 1 per factor, seed, value; every corner with each seed.

    Raises:
        ValueError: when a seed lacks a corner, or there is one seed only.
    """
    by_seed = [
        {tuple(int(line[name]) for name in factors): float(line["value"]) for line in part.to_dict("records")}
        for _, part in cells.groupby("seed", sort=True)
    ]
    if len(by_seed) < 2:
        raise ValueError("shares with intervals need two seeds at least; run more cells")
    found: dict[tuple[str, str], list[float]] = {("share", name): [] for name in factors}
    for values in by_seed:
        for name, share in zip(factors, shapley(values), strict=True):
            found["share", name].append(share)
        for size in range(1, len(factors) + 1):
            for chosen in combinations(range(len(factors)), size):
                kind = "effect" if size == 1 else "interaction"
                named = " x ".join(factors[place] for place in chosen)
                found.setdefault((kind, named), []).append(contrast(values, chosen))
    lines = []
    for (kind, name), drawn in found.items():
        mean, half = float(np.mean(drawn)), _half(drawn)
        lines.append({"kind": kind, "factor": name, "value": mean, "low": mean - half, "high": mean + half})
    return pd.DataFrame(lines)


def anova(cells: pd.DataFrame, factors: Sequence[str]) -> pd.DataFrame:
    """Type II analysis of variance of all factors and interactions, seeds as blocks (statsmodels).

    Args:
        cells: as `shares`; missing cells make it unbalanced, not impossible.
    """
    import statsmodels.api as sm
    from statsmodels.formula.api import ols

    plain = [f"f{place}" for place in range(len(factors))]
    named = dict(zip(factors, plain, strict=True))
    fitted = ols(f"value ~ C(seed) + {' * '.join(plain)}", cells.rename(columns=named)).fit()
    table = sm.stats.anova_lm(fitted, typ=2).reset_index(names="source")
    total = float(table["sum_sq"].sum())

    spelt = dict(zip(plain, factors, strict=True)) | {"C(seed)": "seed"}
    return pd.DataFrame(
        {
            "source": [" x ".join(spelt.get(f, f) for f in one.split(":")) for one in table["source"]],
            "squares": table["sum_sq"],
            "freedom": table["df"],
            "F": table["F"],
            "p": table["PR(>F)"],
            "share": 100 * table["sum_sq"] / total,
        }
    )


def _half(drawn: Sequence[float]) -> float:
    """Half the width of the t-interval of the mean."""
    error = float(np.std(drawn, ddof=1)) / len(drawn) ** 0.5
    return float(stats.t.ppf((1 + LEVEL) / 2, len(drawn) - 1)) * error

"""Shapley shares, contrasts and the analysis of variance of designs that are known."""

from __future__ import annotations

from itertools import permutations, product

import numpy as np
import pandas as pd
import pytest

from workbench.report.statistics.factorial import anova, contrast, shapley, shares

FACTORS = ("awareness", "sets", "kinds")


def game(corner: tuple[int, ...]) -> float:
    """Two points for the first, one for the second, three more when both are on; the third does nothing."""
    a, b, _ = corner
    return 10 + 2 * a + b + 3 * a * b


VALUES = {corner: game(corner) for corner in product((0, 1), repeat=3)}


def test_shares_sum_to_the_gain_and_split_what_is_joint():
    assert shapley(VALUES) == pytest.approx([3.5, 2.5, 0.0])
    assert sum(shapley(VALUES)) == VALUES[1, 1, 1] - VALUES[0, 0, 0]


def test_shares_are_the_mean_over_all_orders():
    rng = np.random.default_rng(1)
    values = {corner: float(rng.normal()) for corner in product((0, 1), repeat=4)}
    expected = np.zeros(4)
    orders = list(permutations(range(4)))
    for order in orders:
        corner = [0, 0, 0, 0]
        for factor in order:
            before = values[tuple(corner)]
            corner[factor] = 1
            expected[factor] += (values[tuple(corner)] - before) / len(orders)
    assert shapley(values) == pytest.approx(expected.tolist())


def test_a_missing_corner_is_refused():
    with pytest.raises(ValueError, match="all 8 corners"):
        shapley({c: v for c, v in VALUES.items() if c != (0, 1, 1)})


def test_contrasts():
    assert contrast(VALUES, [0]) == pytest.approx(3.5)  # 2, or 5 with the other on
    assert contrast(VALUES, [0, 1]) == pytest.approx(3.0)
    assert contrast(VALUES, [0, 2]) == contrast(VALUES, [0, 1, 2]) == pytest.approx(0.0)


def cells(noise: float, seeds: int = 5) -> pd.DataFrame:
    rng = np.random.default_rng(2)
    return pd.DataFrame(
        dict(zip(FACTORS, corner, strict=True))
        | {"seed": seed, "value": game(corner) + seed + rng.normal(0, noise)}
        for seed in range(seeds)
        for corner in VALUES
    )


def test_intervals_over_seeds_hold_the_truth_and_seed_levels_cancel():
    table = shares(cells(0.2), FACTORS).set_index(["kind", "factor"])
    for key, truth in (
        (("share", "awareness"), 3.5), (("share", "kinds"), 0.0), (("interaction", "awareness x sets"), 3.0)
    ):  # fmt: skip
        line = table.loc[key]
        assert line["low"] < truth < line["high"]
        assert line["high"] - line["low"] < 1.0
    with pytest.raises(ValueError, match="two seeds"):
        shares(cells(0.2, 1), FACTORS)


def test_the_variance_of_a_balanced_design_by_hand():
    table = anova(cells(0.5), FACTORS).set_index("source")
    frame = cells(0.5)
    effect = frame[frame["awareness"] == 1]["value"].mean() - frame[frame["awareness"] == 0]["value"].mean()
    assert table.loc["awareness", "squares"] == pytest.approx(len(frame) * (effect / 2) ** 2)
    assert table.loc["awareness x sets", "p"] < 0.001 < table.loc["kinds", "p"]
    assert table["share"].sum() == pytest.approx(100)
    assert table.loc["seed", "freedom"] == 4

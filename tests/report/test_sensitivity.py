"""Spread, flips and the interaction of arms with templates, on numbers that are known."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from statsmodels.formula.api import ols
from statsmodels.stats.anova import anova_lm

from workbench.report.study.sensitivity import by_template, flips, interaction, shared, spreads


def table(values: dict[str, list[list[float]]]) -> pd.DataFrame:
    """arm -> seeds x templates."""
    return pd.DataFrame(
        {"arm": arm, "seed": 101 + s, "dataset": "d", "template": f"t{t}", "value": value}
        for arm, lines in values.items()
        for s, line in enumerate(lines)
        for t, value in enumerate(line)
    )


def test_probe_frames_become_means():
    frame = pd.DataFrame(
        {"arm": "a", "seed": 1, "probe": "d", "group": ["t0", "t0", "t1"], "score": [0.0, 100.0, 30.0]}
    )
    assert by_template(frame)["value"].tolist() == [50.0, 30.0]


def test_spread_is_over_templates_of_the_mean_over_seeds():
    line = spreads(table({"a": [[10, 20, 60], [30, 20, 40]]})).iloc[0]
    assert (line["mean"], line["worst"], line["best"], line["spread"]) == (30.0, 20.0, 50.0, 30.0)


def test_flips_count_pairs_of_templates_that_disagree():
    """a wins with t0 and t1, b with t2: two of the three pairs disagree; a tie with t3 takes no side."""
    three = flips(table({"a": [[5, 5, 1]], "b": [[1, 1, 5]]}))
    assert three["flips"].tolist() == [pytest.approx(200 / 3)]
    tie = flips(table({"a": [[5, 5, 1, 2]], "b": [[1, 1, 5, 2]]}))
    assert tie["flips"].tolist() == [pytest.approx(200 / 6)]
    assert flips(table({"a": [[5, 6]], "b": [[1, 2]]}))["flips"].tolist() == [0.0]


def test_flips_are_counted_on_seeds_that_all_arms_have():
    """a is better by 2.5 wherever both are; b's third seed would turn two of three pairs."""
    values = table({"a": [[5, 5, 5], [5, 5, 5]], "b": [[2.5, 2.5, 2.5], [2.5, 2.5, 2.5], [60, 2.5, 2.5]]})
    assert flips(values)["flips"].tolist() == [0.0]
    assert set(shared(values)["seed"]) == {101, 102}
    assert flips(values[(values["arm"] == "a") | (values["seed"] == 103)]).empty


def test_constant_scores_have_no_effect_and_no_division_by_zero():
    apart = interaction(table({"a": [[0, 0], [0, 0]], "b": [[10 / 3] * 2] * 2})).set_index("effect")
    assert apart.loc["arm", "p"] == 0
    assert apart.loc[["template", "arm x template"], "p"].isna().all()
    none = interaction(table({"a": [[0, 0], [0, 0]], "b": [[0, 0], [0, 0]]}))
    assert none["p"].isna().all()
    assert (none["share"] == 0).all()
    alone = interaction(table({"a": [[1, 2], [2, 3]]}))
    assert alone["effect"].tolist() == ["template"]


@pytest.fixture
def drawn() -> pd.DataFrame:
    rng = np.random.default_rng(5)
    base = {"a": np.array([50, 52, 54.0]), "b": np.array([54, 52, 50.0])}
    noisy = {
        arm: [(line + rng.normal(0, 2) + rng.normal(0, 0.3, 3)).tolist() for _ in range(5)]
        for arm, line in base.items()
    }
    return table(noisy)


def test_the_interaction_is_seen_and_agrees_with_statsmodels(drawn):
    found = interaction(drawn).set_index("effect")
    assert found.loc["arm x template", "p"] < 1e-6
    assert found.loc["template", "p"] > 0.01
    assert found.loc["arm", "p"] > 0.01
    fitted = ols("value ~ C(arm) * C(template) + C(arm):C(seed)", drawn).fit()
    known = anova_lm(fitted, typ=1)
    assert found.loc["arm x template", "F"] == pytest.approx(known.loc["C(arm):C(template)", "F"])
    plots = known.loc["C(arm):C(seed)", "mean_sq"]
    assert found.loc["arm", "F"] == pytest.approx(known.loc["C(arm)", "mean_sq"] / plots)


def test_missing_cells_and_single_seeds_are_refused(drawn):
    with pytest.raises(ValueError, match="run the cells that are missing"):
        interaction(drawn[~((drawn["arm"] == "b") & (drawn["seed"] == 103))])
    with pytest.raises(ValueError, match="two seeds"):
        interaction(drawn[drawn["seed"] == 101])

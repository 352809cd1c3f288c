"""Draws held-out scores over the number of datasets, and what each factor is worth."""

from __future__ import annotations

from pathlib import Path

import matplotlib as mpl
import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure

from workbench.report.figures import MUTED, STYLE
from workbench.report.statistics import factorial
from workbench.report.study import frames
from workbench.report.study.figures import COLOURS
from workbench.search.study import module

MEASURE = "held_out"


CAPTIONS = {
    "lines": "Held-out average over the number of held-in datasets, with and without the text path.",
    "worth": "Shapley shares of the held-out gain, and the interactions, with 95 % intervals over seeds.",
    "shares": "Shapley shares and interactions, points of the held-out average.",
    "variance": "Type II analysis of variance of the held-out average, seeds as blocks.",
}


def draw(outputs: Path) -> dict[str, Figure | pd.DataFrame]:
    """Name -> figure or table; shares and variance need every corner with two seeds."""
    cells = frames.measured(outputs / "studies/awareness_vs_diversity", MEASURE)
    declared = module(Path(__file__).parent / "study.py")
    made: dict[str, Figure | pd.DataFrame] = {"lines": lines(cells, declared)}
    names = list(declared.FACTORS)
    corners = pd.DataFrame(
        {**dict(zip(names, declared.CUBE[arm], strict=True)), "seed": seed, "value": value}
        for arm, seed, value in cells.itertuples(index=False)
        if arm in declared.CUBE
    ).reindex(columns=[*names, "seed", "value"])
    complete = corners.groupby("seed").filter(lambda part: len(part) == len(declared.CUBE))
    if complete["seed"].nunique() > 1:
        shares = factorial.shares(complete, names)
        made |= {"worth": worth(shares), "shares": shares, "variance": factorial.anova(complete, names)}
    return made


def lines(cells: pd.DataFrame, declared: object) -> Figure:
    """Held-out score over the number of held-in datasets, by awareness and number of categories."""
    split = cells["arm"].str.extract(r"^(?P<form>[a-z]+)_(?P<sets>\d+)_?(?P<kinds>\w*)$")
    table = cells.assign(
        sets=split["sets"].astype(int),
        model=split["form"].map(declared.TITLES),
        categories=split["kinds"].replace("", "more"),
    )
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(7.6, 4.0), layout="constrained")
        axes = figure.subplots()
        sns.lineplot(
            table, x="sets", y="value", hue="model", style="categories", markers=True, errorbar=("ci", 95),
            n_boot=2000, seed=0, palette=list(COLOURS[:2]), err_style="bars", ax=axes,
        )  # fmt: skip
        axes.set(xlabel="held-in datasets, at equal compute", ylabel="held-out mean, points")
        axes.set_xticks(sorted(set(table["sets"])))
        axes.legend(frameon=False, fontsize=8)
        sns.despine(ax=axes)
    return figure


def worth(shares: pd.DataFrame) -> Figure:
    """Shapley shares of the held-out gain, and the interactions, with 95 % intervals over seeds."""
    shown = shares[shares["kind"] != "effect"].reset_index(drop=True)
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(7.6, 0.38 * len(shown) + 1.0), layout="constrained")
        axes = figure.subplots()
        colours = shown["kind"].map({"share": COLOURS[1], "interaction": COLOURS[0]}).tolist()
        sns.barplot(shown, x="value", y="factor", hue="factor", palette=colours, legend=False, ax=axes)
        errors = [shown["value"] - shown["low"], shown["high"] - shown["value"]]
        axes.errorbar(shown["value"], range(len(shown)), xerr=errors, fmt="none", ecolor=MUTED, lw=1.2)
        axes.set(xlabel="points of the held-out mean", ylabel="")
        axes.axvline(0, color=MUTED, lw=0.8)
        sns.despine(ax=axes, left=True)
    return figure

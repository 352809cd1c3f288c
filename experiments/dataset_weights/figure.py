"""Draws outputs/explorations/dataset_weights: response curves, importances, what manual factors are worth."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure

from workbench import files
from workbench.report.figures import MUTED, STYLE
from workbench.report.study.exploration import EXPLORATION, TRIALS
from workbench.report.study.figures import COLOURS
from workbench.report.study.own import NothingToDraw

METHODS = {"fanova": "fANOVA: variance over the space", "ped_anova": "PED-ANOVA: being among the best"}


CAPTIONS = {
    "responses": "Held-in validation over each weight: fitted with one standard error; dots are trials.",
    "importance": "Share of each weight in the variance (fANOVA) and in being among the best (PED-ANOVA).",
    "importances": "Importance by method.",
    "contrasts": "What settings are worth on the fitted surface, points of the held-in validation mean.",
    "trials": "Every trial.",
}


def draw(outputs: Path) -> dict[str, Figure | pd.DataFrame]:
    """Name -> figure or table.

    Raises:
        NothingToDraw: when nothing was explored, or too little.
    """
    folder = outputs / "explorations/dataset_weights"
    if not (folder / EXPLORATION).is_file():
        raise NothingToDraw(f"{folder / EXPLORATION} does not exist; run `workbench explore dataset_weights`")
    found = files.read_json(folder / EXPLORATION)
    if found["surface"] is None or found["importance"]["fanova"] is None:
        raise NothingToDraw(f"{folder / TRIALS} has too few finished trials; run more: --trials 40")
    trials = pd.read_csv(folder / TRIALS)
    contrasts = pd.DataFrame(
        {"contrast": name, "on": column, **line}
        for name, columns in found["surface"]["contrasts"].items()
        for column, line in columns.items()
    )
    importance = pd.DataFrame(
        {"dimension": name, "method": METHODS[method], "share": share}
        for method, shares in found["importance"].items()
        for name, share in shares.items()
    )
    return {
        "responses": responses(found, trials),
        "importance": importances(importance),
        "importances": importance,
        "contrasts": contrasts,
        "trials": trials,
    }


def responses(found: Mapping[str, Any], trials: pd.DataFrame) -> Figure:
    """The fitted objective along each dimension with one standard error, and the trials as dots."""
    curves = found["surface"]["responses"]
    done = trials[trials["state"] == "complete"]
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(7.6, 2.3 * -(-len(curves) // 3)), layout="constrained")
        grid = figure.subplots(-(-len(curves) // 3), 3, sharey=True, squeeze=False).ravel()
        for axes, (name, curve) in zip(grid, curves.items(), strict=False):
            mean, error = np.array(curve["mean"]), np.array(curve["error"])
            sns.scatterplot(done, x=name, y="val", s=12, color=MUTED, ax=axes)
            sns.lineplot(x=curve["values"], y=mean, color=COLOURS[1], ax=axes)
            axes.fill_between(curve["values"], mean - error, mean + error, color=COLOURS[1], alpha=0.2, lw=0)
            if found["space"]["dimensions"][name].get("log"):
                axes.set_xscale("log", base=2)
            axes.set(xlabel=name.removeprefix("data."), ylabel="held-in validation")
            sns.despine(ax=axes)
        for axes in grid[len(curves) :]:
            axes.set_axis_off()
    return figure


def importances(table: pd.DataFrame) -> Figure:
    """Both measures side by side, because they answer different questions."""
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(7.6, 0.4 * table["dimension"].nunique() + 1.2), layout="constrained")
        axes = figure.subplots()
        sns.barplot(table, x="share", y="dimension", hue="method", palette=list(COLOURS[:2]), ax=axes)
        axes.set(xlabel="share", ylabel="")
        axes.legend(frameon=False, fontsize=8)
        sns.despine(ax=axes)
    return figure

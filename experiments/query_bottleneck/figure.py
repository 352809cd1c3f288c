"""Draws what awareness is worth by number of queries and length of training."""

from __future__ import annotations

from pathlib import Path

import matplotlib as mpl
import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure

from workbench.report.figures import STYLE
from workbench.report.statistics import factorial
from workbench.report.study import frames
from workbench.report.study.figures import COLOURS
from workbench.search.study import module

MEASURES = {"held_in": "held-in mean, points", "held_out": "held-out mean, points"}


CAPTIONS = {
    "means": "Held-in and held-out averages with 95 % intervals over seeds, with and without the text path.",
    "shares_held_in": "At equal training: what awareness and nine queries add held-in; interaction.",
    "shares_held_out": "The same for the held-out average.",
}


def draw(outputs: Path) -> dict[str, Figure | pd.DataFrame]:
    """Name -> figure or table; shares need the four arms of equal training with two seeds."""
    folder = outputs / "studies/query_bottleneck"
    declared = module(Path(__file__).parent / "study.py")
    cells = {measure: frames.measured(folder, measure) for measure in MEASURES}
    made: dict[str, Figure | pd.DataFrame] = {"means": means(cells, declared)}
    names = list(declared.FACTORS)
    for measure, table in cells.items():
        corners = pd.DataFrame(
            {**dict(zip(names, declared.SQUARE[arm], strict=True)), "seed": seed, "value": value}
            for arm, seed, value in table.itertuples(index=False)
            if arm in declared.SQUARE
        ).reindex(columns=[*names, "seed", "value"])
        complete = corners.groupby("seed").filter(lambda part: len(part) == len(declared.SQUARE))
        if complete["seed"].nunique() > 1:
            made[f"shares_{measure}"] = factorial.shares(complete, names)
    return made


def means(cells: dict[str, pd.DataFrame], declared: object) -> Figure:
    """A panel for each average: its mean over seeds in each setting, aware and not, with 95 % intervals."""
    labels = {name: label.replace(" queries, ", "\n") for name, (label, _) in declared.SETTINGS.items()}
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(7.6, 3.4), layout="constrained")
        for axes, (measure, table) in zip(figure.subplots(1, len(cells)), cells.items(), strict=True):
            split = table["arm"].str.extract(r"^(?P<form>[a-z]+)_(?P<setting>\w+)$")
            shown = table.assign(
                setting=split["setting"].map(labels),
                model=split["form"].map(declared.TITLES),
            )
            sns.pointplot(
                shown, x="setting", y="value", hue="model", order=list(labels.values()), dodge=0.3,
                hue_order=list(declared.TITLES.values()), palette=list(COLOURS[:2]), linestyle="none",
                errorbar=("ci", 95), n_boot=2000, seed=0, ax=axes,
            )  # fmt: skip
            axes.set(xlabel="queries, steps of tuning", ylabel=MEASURES[measure])
            axes.legend(frameon=False, fontsize=8, title=None)
            sns.despine(ax=axes)
    return figure

"""Draws what templates do: scores by template, spread, and how often arms change places."""

from __future__ import annotations

from pathlib import Path

import matplotlib as mpl
import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure

from workbench.report.figures import STYLE
from workbench.report.study import frames, probing, sensitivity
from workbench.report.study.drawing import rows_figure

CAPTIONS = {
    "templates": "Scores by evaluation template: the catalogue's prompt, templates of training, new ones.",
    "flips": "Percent of pairs of templates that disagree about which of two arms is better.",
    "rates": "Score by template, arm and dataset.",
    "spreads": "Mean, worst and spread over templates.",
    "flip_rates": "Percent of pairs of templates that disagree about two arms, by dataset.",
    "interaction": "Template by arm: how much of the variance is their interaction.",
}


def draw(outputs: Path) -> dict[str, Figure | pd.DataFrame]:
    """Name -> figure or table; flips need a seed that all arms share, the interaction two."""
    folder = outputs / "studies/template_sensitivity"
    frame, titles = frames.probes(folder), frames.titles(folder)
    values = sensitivity.by_template(frame)
    rates, flips = probing.rates(frame), sensitivity.flips(values)
    made: dict[str, Figure | pd.DataFrame] = {
        "templates": rows_figure(rates, list(dict.fromkeys(rates["probe"])), "probe", titles, "score"),
        "rates": rates,
        "spreads": sensitivity.spreads(values),
    }
    if len(flips):
        made |= {"flips": heat(flips), "flip_rates": flips}
    whole = sensitivity.shared(values)
    if whole["seed"].nunique() > 1:
        made["interaction"] = sensitivity.interaction(whole)
    return made


def heat(flips: pd.DataFrame) -> Figure:
    """Pairs of arms by datasets; the number is the percentage of template pairs that disagree."""
    table = flips.assign(pair=flips["one"] + " / " + flips["other"])
    wide = table.pivot_table(index="dataset", columns="pair", values="flips", sort=False)
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(7.6, 0.3 * len(wide) + 1.6), layout="constrained")
        axes = figure.subplots()
        sns.heatmap(wide, annot=True, fmt=".0f", vmin=0, vmax=60, cmap="Blues", cbar=False, ax=axes)
        axes.set(xlabel="", ylabel="")
        axes.tick_params(length=0, axis="both")
        axes.set_xticks(axes.get_xticks(), axes.get_xticklabels(), rotation=20, ha="right")
    return figure

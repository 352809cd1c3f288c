"""What the figures of several studies share: rows of estimates with their intervals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import matplotlib as mpl
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from workbench.report.figures import INK, LINE, MUTED, STYLE
from workbench.report.study.figures import COLOURS, MARKERS

HIGH = 0.72  # of a row is taken by its marks


def estimates(
    axes: Axes,
    frame: pd.DataFrame,
    rows: str,
    marks: str,
    titles: Mapping[str, str],
    zero: float | None = None,
) -> None:
    """One row for each value of the column `rows`, one mark in it for each value of `marks`.

    Args:
        frame: with value, low and high.
        titles: value of `marks` -> legend; its order is that of the marks.
        zero: where to draw the line that stands for no difference.
    """
    names, kinds = list(dict.fromkeys(frame[rows])), [mark for mark in titles if mark in set(frame[marks])]
    for place, kind in enumerate(kinds):
        look = list(titles).index(kind)  # the same in every panel, whoever is missing
        part = frame[frame[marks] == kind]
        offset = HIGH * ((place + 0.5) / len(kinds) - 0.5)
        heights = [names.index(name) + offset for name in part[rows]]
        errors = [part["value"] - part["low"], part["high"] - part["value"]]
        axes.errorbar(
            part["value"],
            heights,
            xerr=errors,
            fmt=MARKERS[look % len(MARKERS)],
            ms=4.5,
            lw=1.2,
            color=COLOURS[look % len(COLOURS)],
            label=titles[kind],
        )
    if zero is not None:
        axes.axvline(zero, color=MUTED, lw=0.8, zorder=0)
    axes.set_yticks(range(len(names)), names)
    axes.set_ylim(len(names) - 0.5, -0.5)
    axes.tick_params(axis="y", length=0)
    for edge in range(1, len(names)):
        axes.axhline(edge - 0.5, color=LINE, lw=0.6, zorder=0)


def rows_figure(
    frame: pd.DataFrame,
    panels: Sequence[str],
    panel: str,
    titles: Mapping[str, str],
    label: str,
    zero: float | None = None,
) -> Figure:
    """A panel below the other for each of `panels`, a row in it for each group, a mark for each arm."""
    counts = [max(1, frame[frame[panel] == name]["group"].nunique()) for name in panels]
    each = 0.14 * len(titles) + 0.16
    with mpl.rc_context(STYLE), sns.axes_style("white", rc=STYLE):
        size = (7.6, each * sum(counts) + 0.45 * len(panels) + 0.26 * len(titles) / 2 + 0.5)
        figure = Figure(figsize=size, layout="constrained")
        grid = figure.subplots(len(panels), 1, squeeze=False, height_ratios=counts)[:, 0]
        for axes, name in zip(grid, panels, strict=True):
            estimates(axes, frame[frame[panel] == name], "group", "arm", titles, zero)
            axes.set_title(name, loc="left", fontsize=9, color=INK)
            sns.despine(ax=axes, left=True)
        grid[-1].set_xlabel(label)
        handles, labels = grid[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=2, frameon=False, fontsize=8)
    return figure

"""Figures as matplotlib objects and SVG text; nothing is computed here but places on paper."""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Mapping, Sequence

import matplotlib as mpl
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from workbench.report.compare import HELD_IN, HELD_OUT, Comparison, Suite
from workbench.report.methods import METHODS, Method
from workbench.report.outputs import Tables
from workbench.report.statistics.intervals import Interval

INK, MUTED, LINE, PAGE = "#1f2328", "#59636e", "#d1d9e0", "#ffffff"
LETTER = 4.6  # points, the mean width of one in a legend
STYLE = {
    **sns.axes_style("ticks"),
    "svg.fonttype": "none",  # text stays text: small, selectable, in the reader's font
    "svg.hashsalt": "instructblip-workbench",  # the same ids in every build
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],
    "font.size": 10,
    "axes.titlesize": 11,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.labelsize": 10,
    "axes.edgecolor": LINE,
    "axes.labelcolor": INK,
    "axes.titlecolor": INK,
    "text.color": INK,
    "xtick.color": LINE,
    "ytick.color": LINE,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "grid.color": LINE,
    "legend.frameon": False,
    "figure.facecolor": PAGE,
    "axes.facecolor": "none",
}
SAMPLING = {"sqrt": ("#AA4499", "o"), "uniform": ("#8A8A8A", "|"), "proportional": ("#117733", "^")}


def figure4(comparison: Comparison, rows: Sequence[str], paper: Mapping[str, Sequence[float]]) -> Figure:
    """Held-out and held-in averages of every row, ours with intervals, the paper's beside them."""
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(7.6, 4.6), layout="constrained")
        panels = figure.subplots(2, 2, sharey=True)
        for line, (group, title) in enumerate(((HELD_OUT, "held-out average"), (HELD_IN, "held-in average"))):
            ours, theirs = panels[line]
            for place, row in enumerate(rows):
                found = comparison.average(row, group)
                assert found is not None
                dot(ours, place, METHODS[row], found)
                _label(ours, found.high, place, found.value)
                if blind := comparison.average(row, group, blind=True):
                    dot(ours, place, METHODS[row], blind, hollow=True)
                value = paper[METHODS[row].paper][line]
                theirs.plot(value, place, METHODS[row].marker, color=METHODS[row].colour, **_outline())
                _label(theirs, value, place, value)
            ours.set_title(f"Here: {title}")
            theirs.set_title(f"Paper: {title}")
            for axes in (ours, theirs):
                rows_axis(axes, [METHODS[row].title for row in rows])
                axes.margins(x=0.25)
        for axes in panels[1]:
            axes.set_xlabel("average score")
        handles = [handle("o", MUTED, "with the picture"), handle("o", PAGE, "blind: without the picture")]
        legend(figure, handles)
    return figure


def datasets(comparison: Comparison, suite: Suite, rows: Sequence[str]) -> Figure:
    """Every dataset's score by row, blind scores as ticks; CIDEr beside the percent metrics."""
    scored = set(comparison.scores["dataset"])
    known = [d for d in suite.datasets if d.name in scored]
    left = [d for d in known if d.metric != "cider"]
    right = [d for d in known if d.metric == "cider"]
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(7.6, 0.42 * max(len(left), len(right)) + 1.6), layout="constrained")
        panels = figure.subplots(1, 2)
        for axes, shown, title in zip(panels, (left, right), ("percent", "CIDEr × 100"), strict=True):
            for place, dataset in enumerate(shown):
                for number, row in enumerate(rows):
                    height = place + 0.15 * (number - (len(rows) - 1) / 2)
                    if found := comparison.score(row, dataset.name):
                        dot(axes, height, METHODS[row], found, size=5)
                    if blind := comparison.score(row, dataset.name, blind=True):
                        axes.plot(blind.value, height, "|", color=METHODS[row].colour, ms=7, mew=2)
            marks = {name: "" for name in suite.held_in} | {name: " °" for name in suite.held_out}
            rows_axis(axes, [d.title + marks.get(d.name, " *") for d in shown])
            axes.set_title(title)
            for edge in range(1, len(shown)):
                turn = (shown[edge].name in suite.held_in) != (shown[edge - 1].name in suite.held_in)
                axes.axhline(edge - 0.5, color=MUTED if turn else LINE, linewidth=1.2 if turn else 0.6)
        extra = [handle("|", MUTED, "blind"), handle("", MUTED, "° held-out, * in no average")]
        legend(figure, [*map(_method_handle, rows), *extra], columns=4)
    return figure


def curves(tables: Tables) -> Figure:
    """Training loss (running mean over 25 logged steps) and the mean validation score of each recipe."""
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(7.6, 3.3), layout="constrained")
        losses, scores = figure.subplots(1, 2)
        for recipe, frame in tables.curves.items():
            method = METHODS[recipe]
            smooth = frame.assign(loss=frame["loss"].rolling(25, min_periods=1).mean())
            smooth = smooth.iloc[:: max(1, len(frame) // 150)]
            sns.lineplot(smooth, x="step", y="loss", ax=losses, color=method.colour, errorbar=None)
            measured = frame.filter(like="val/").dropna(how="all")
            if not measured.empty:
                steps = frame.loc[measured.index, "step"]
                scores.plot(steps, measured.mean(axis=1), color=method.colour, linewidth=1.6)
                scores.plot(steps, measured.mean(axis=1), method.marker, color=method.colour, **_outline())
        losses.set(title="Training loss", xlabel="step", ylabel="nats per target token")
        scores.set(title="Validation, held-in", xlabel="step", ylabel="average score")
        for axes in (losses, scores):
            axes.set_xlim(left=0)
            _open(axes)
            axes.grid(True, axis="y", linewidth=0.6)
        legend(figure, [*map(_method_handle, tables.curves)])
    return figure


def sampling(suite: Suite) -> Figure:
    """How often each held-in dataset is drawn under each sampling rule, on a logarithmic axis."""
    titles = {d.name: d.title for d in suite.datasets}
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(7.6, 0.32 * len(suite.held_in) + 1.2), layout="constrained")
        axes = figure.subplots()
        for rule, probabilities in suite.sampling.items():
            colour, marker = SAMPLING[rule]
            shares = [100 * (probabilities.get(name) or float("nan")) for name in suite.held_in]
            axes.plot(shares, range(len(shares)), marker, color=colour, markersize=8, markeredgewidth=1.6)
        rows_axis(axes, [titles[name] for name in suite.held_in])
        axes.set_xscale("log")
        axes.set_xticks(*_percent_ticks(suite))
        axes.minorticks_off()
        axes.set_xlabel("share of the draws (logarithmic)")
        legend(figure, [handle(marker, colour, rule) for rule, (colour, marker) in SAMPLING.items()])
    return figure


def cost(tables: Tables) -> Figure:
    """Seconds and peak memory of each training and each scoring."""
    shown = tables.costs.sort_values("kind", ascending=False, kind="stable")
    names = [("tune" if kind == "tune" else "score") + ": " + METHODS[name].title
             for kind, name in zip(shown["kind"], shown["name"], strict=True)]  # fmt: skip
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(7.6, 0.32 * len(shown) + 0.9), layout="constrained")
        panels = figure.subplots(1, 2, sharey=True)
        values = (shown["seconds"], shown["peak_memory_bytes"] / 2**30)
        colours = [METHODS[name].colour for name in shown["name"]]
        for axes, value, unit in zip(panels, values, ("seconds", "peak memory, GiB"), strict=True):
            axes.barh(range(len(shown)), value, color=colours, height=0.6)
            for place, number in enumerate(value):
                _label(axes, number, place, number, digits=0 if number >= 10 else 2)
            rows_axis(axes, names)
            axes.set_xlabel(unit)
            axes.margins(x=0.18)
            axes.set_xlim(left=0)
    return figure


def svg(figure: Figure) -> str:
    """The figure as SVG, the same bytes for the same figure; coordinates to a hundredth of a point."""
    written = io.StringIO()
    with mpl.rc_context(STYLE), warnings.catch_warnings():
        warnings.simplefilter("error")
        figure.savefig(written, format="svg", metadata={"Date": None, "Creator": None})
    return re.sub(r' (?:d|x|y)="[^"]*"', _rounded, written.getvalue())


def _rounded(attribute: re.Match[str]) -> str:
    return re.sub(r"(\.\d\d)\d+", r"\1", attribute[0])


def _percent_ticks(suite: Suite) -> tuple[list[float], list[str]]:
    drawn = [100 * p for rule in suite.sampling.values() for p in rule.values() if p]
    nice = (0.01, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0)
    ticks = [tick for tick in nice if min(drawn) / 2 < tick < max(drawn) * 2]
    return ticks, [f"{tick:g} %" for tick in ticks]


def _outline() -> dict[str, object]:
    return {"markersize": 8, "markeredgecolor": INK, "markeredgewidth": 0.5}


def dot(
    axes: Axes, height: float, method: Method, found: Interval, hollow: bool = False, size: int = 8
) -> None:
    """A value with its interval as a line, in the method's colour and marker."""
    axes.plot([found.low, found.high], [height, height], color=method.colour, linewidth=size / 5)
    face, edge, width = (PAGE, method.colour, 1.4) if hollow else (method.colour, INK, 0.5)
    axes.plot(found.value, height, method.marker, ms=size, mfc=face, mec=edge, mew=width)


def _label(axes: Axes, x: float, height: float, value: float, digits: int = 1) -> None:
    text = f"{value:.{digits}f}"
    axes.annotate(text, (x, height), (8, 0), textcoords="offset points", va="center", fontsize=9)


def rows_axis(axes: Axes, names: Sequence[str]) -> None:
    """Names from the top down, with a grid for reading values off."""
    axes.set_yticks(range(len(names)), names)
    axes.set_ylim(len(names) - 0.5, -0.5)
    axes.tick_params(axis="y", length=0)
    axes.grid(True, axis="x", linewidth=0.6)
    axes.set_axisbelow(True)
    _open(axes)


def _open(axes: Axes) -> None:
    sns.despine(ax=axes, left=True)


def handle(marker: str, colour: str, label: str) -> Line2D:
    """One entry of a legend."""
    width = 2 if marker == "|" else 0.8
    edge = colour if marker == "|" else MUTED if colour == PAGE else INK
    return Line2D([], [], ls="", marker=marker, color=colour, mec=edge, mew=width, ms=7, label=label)


def _method_handle(row: str) -> Line2D:
    return handle(METHODS[row].marker, METHODS[row].colour, METHODS[row].title)


def legend(figure: Figure, handles: Sequence[Line2D], columns: int = 3) -> None:
    """Below the whole figure, in fewer columns where the texts are too long for its width."""
    kept = list(handles)
    longest = max(len(str(entry.get_label())) for entry in kept)
    fit = int(figure.get_figwidth() * 72 / (LETTER * longest + 36))  # points; 36: the mark and the gap
    number = max(1, min(columns, fit))
    figure.legend(handles=kept, loc="outside lower center", ncols=number, fontsize=9, handletextpad=0.3)

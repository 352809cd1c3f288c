"""Two more figures of a study's page: how the arms learned, and where their Q-Formers look."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Sequence

import matplotlib as mpl
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from PIL import Image

from workbench.report.compare import Dataset
from workbench.report.figures import LINE, MUTED, STYLE, handle, legend
from workbench.report.gallery import OpenImage
from workbench.report.methods import Method
from workbench.report.statistics.intervals import Floats
from workbench.report.study.cells import Study
from workbench.report.study.figures import looks, plain

COLUMNS = 4
SMOOTH = 9  # points of the thinned loss
MOST_POINTS = 60  # of a line on paper
SIDE = 72  # pixels of a picture in the figure
LOOKING = 6  # arms in it, at most


def curves(study: Study, datasets: Sequence[Dataset]) -> Figure | None:
    """Validation score of every held-in dataset over steps, and the training loss: a line for each arm.

    Means over the arm's seeds, with the lowest and the highest seed as a band. None where nothing was
    trained.
    """
    if not study.curves:
        return None
    have = {name for frame in study.curves.values() for name in frame.columns}
    shown = [("loss", "training loss"), ("val", "held-in, mean")]
    shown += [(f"val/{d.name}", plain(d.title)) for d in datasets if f"val/{d.name}" in have]
    seen = looks(study)
    arms = [arm.name for arm in study.arms if any(name == arm.name for name, _ in study.curves)]
    with mpl.rc_context(STYLE | {"font.size": 8, "axes.titlesize": 8.5}):
        lines = math.ceil(len(shown) / COLUMNS)
        figure = Figure(figsize=(7.6, 1.45 * lines + 0.9), layout="constrained")
        panels = figure.subplots(lines, COLUMNS, sharex=True).ravel()
        for place, (axes, (column, title)) in enumerate(zip(panels, shown, strict=False)):
            for arm in arms:
                _learned(axes, _by_seed(study, arm, column), seen[arm])
            axes.set_title(title)
            axes.set_xlim(left=0)
            axes.locator_params(axis="x", nbins=3)
            axes.locator_params(axis="y", nbins=4)
            axes.grid(True, axis="y", linewidth=0.6)
            sns.despine(ax=axes, left=True)
            axes.tick_params(length=0)
            if place + COLUMNS >= len(shown):  # nothing below it
                axes.tick_params(labelbottom=True)
                axes.set_xlabel("step")
        for axes in panels[len(shown) :]:
            axes.set_visible(False)
        marks = [handle(seen[arm].marker, seen[arm].colour, plain(seen[arm].title)) for arm in arms]
        legend(figure, marks)
    return figure


def _by_seed(study: Study, arm: str, column: str) -> pd.DataFrame:
    """One column for each seed, by step; smoothed if it is the loss."""
    parts = {}
    for (name, seed), frame in study.curves.items():
        if name == arm and column in frame:
            line = frame.set_index("step")[column].dropna()
            parts[seed] = line.rolling(SMOOTH, min_periods=1).mean() if column == "loss" else line
    table = pd.DataFrame(parts).dropna()
    return table.iloc[:: max(1, math.ceil(len(table) / MOST_POINTS))]


def _learned(axes: Axes, table: pd.DataFrame, look: Method) -> None:
    steps, mean = table.index.to_numpy(float), table.mean(axis=1).to_numpy(float)
    if table.shape[1] > 1:
        low, high = table.min(axis=1).to_numpy(float), table.max(axis=1).to_numpy(float)
        axes.fill_between(steps, low, high, color=look.colour, alpha=0.15, linewidth=0)
    axes.plot(steps, mean, color=look.colour, linewidth=1.3)
    axes.plot(steps[-1:], mean[-1:], look.marker, color=look.colour, ms=4)


def attention(study: Study, open_image: OpenImage) -> Figure | None:
    """The picture, and beside it what the Q-Formers of the first arms look at under two instructions."""
    arms = [arm for arm in study.arms if study.paired(arm.name)][:LOOKING]
    looked = [study.looked[arm.name, study.paired(arm.name)[0]] for arm in arms]
    first = looked[0]
    if any(one.image != first.image for one in looked):
        return None
    picture = open_image(first.image).convert("RGB").resize((SIDE, SIDE), Image.Resampling.LANCZOS)
    with mpl.rc_context(STYLE | {"font.size": 8, "axes.titlesize": 8, "axes.titleweight": "normal"}):
        columns = len(arms) + 1
        figure = Figure(figsize=(max(4.2, 1.25 * columns), 3.4), layout="constrained")
        panels = figure.subplots(2, columns)
        for line, instruction in enumerate(first.instructions):
            _picture(panels[line, 0], np.asarray(picture), "" if line else "the picture")
            panels[line, 0].set_xlabel(textwrap.fill(plain(instruction), 24), fontsize=7.5)
            for column, (arm, one) in enumerate(zip(arms, looked, strict=True), start=1):
                title = "" if line else textwrap.fill(plain(arm.title), 16)
                _picture(panels[line, column], overlay(picture, one.maps[line]), title)
                panels[line, column].set_xlabel(
                    textwrap.fill(f"“{plain(one.answers[line])}”", 20), fontsize=7.5
                )
    return figure


def _picture(axes: Axes, pixels: np.ndarray, title: str) -> None:
    axes.imshow(pixels, interpolation="none")
    axes.set_title(title, loc="center", color=MUTED)
    axes.set(xticks=[], yticks=[])
    for side in axes.spines.values():
        side.set_color(LINE)


def overlay(picture: Image.Image, shares: Floats) -> np.ndarray:
    """The picture (height, width, 3), dark where nobody looks; `shares` (N,) has the class token first."""
    side = math.isqrt(len(shares) - 1)
    grid = shares[1:].reshape(side, side)
    light = 0.15 + 0.85 * grid / max(float(grid.max()), 1e-12)
    mask = Image.fromarray((light * 255).astype(np.uint8)).resize(picture.size, Image.Resampling.BICUBIC)
    return np.asarray(Image.composite(picture, Image.new("RGB", picture.size), mask))

"""The figures of a study's page; nothing is computed here but places on paper."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from workbench.report.compare import Dataset
from workbench.report.figures import INK, LINE, MUTED, PAGE, STYLE, dot, handle, legend, rows_axis
from workbench.report.methods import METHODS, Method
from workbench.report.study.cells import Study
from workbench.report.study.effects import Found, Judged, OnDataset

# Okabe and Ito's, as for the methods; yellow comes last because it is faint on white
COLOURS = ("#D55E00", "#0072B2", "#E69F00", "#56B4E9", "#009E73", "#CC79A7", "#8A8A8A", "#F0E442")
MARKERS = ("P", "^", "s", "D", "o", "v", "X", "h", "p")  # one more, so that a ninth arm is no first one


def looks(study: Study) -> Mapping[str, Method]:
    """One title, colour and marker for each arm: a row's own where arms are rows, else by their order."""
    rows = [arm.row for arm in study.arms]
    if len(set(rows)) == len(rows) and set(rows) <= set(METHODS):
        return {
            arm.name: Method(arm.title, METHODS[arm.row].colour, METHODS[arm.row].marker, "")
            for arm in study.arms
        }
    return {
        arm.name: Method(arm.title, COLOURS[place % len(COLOURS)], MARKERS[place % len(MARKERS)], "")
        for place, arm in enumerate(study.arms)
    }


def claims(study: Study, found: Found) -> Figure:
    """Every claim's effect with its interval, in the colour of the worse arm; the paper's as a diamond.

    What has CIDEr in it has a panel of its own, because its points are many more.
    """
    seen = looks(study)
    sides = [[one for one in found.claims if _captions(study, one) == kind] for kind in (False, True)]
    sides = [side for side in sides if side]
    with mpl.rc_context(STYLE):
        size = (7.6, 0.42 * len(found.claims) + 0.6 * len(sides) + 0.7)
        figure = Figure(figsize=size, layout="constrained")
        heights = [len(side) for side in sides]
        panels = figure.subplots(len(sides), 1, squeeze=False, height_ratios=heights)[:, 0]
        for axes, side in zip(panels, sides, strict=True):
            for place, judged in enumerate(side):
                claim = judged.declared
                if claim.paper is not None:
                    axes.plot(claim.paper, place + 0.22, "d", ms=7, mfc=PAGE, mec=INK, mew=1.2)
                if judged.verdict is not None:
                    dot(axes, place - 0.08, seen[claim.worse], judged.verdict.effect)
            rows_axis(axes, [_mark(judged.declared.name, judged.declared.primary) for judged in side])
            _zero(axes)
            points = "points, CIDEr × 100 among them" if _captions(study, side[0]) else "percent points"
            axes.set_xlabel(f"better minus worse arm, {points}")
        worse = dict.fromkeys(judged.declared.worse for judged in found.claims)
        named = [
            handle(seen[arm].marker, seen[arm].colour, f"minus {plain(seen[arm].title)}") for arm in worse
        ]
        cited = any(judged.declared.paper is not None for judged in found.claims)
        extra = [*([_paper()] if cited else []), handle("", MUTED, "* primary")]
        legend(figure, [*named, *extra], columns=3)
    return figure


def _captions(study: Study, judged: Judged) -> bool:
    """Whether the claim's measure has CIDEr in it."""
    asked = (study.asked.get(name) for name in study.datasets_of(judged.declared.measure))
    return any(one is not None and one.metric == "cider" for one in asked)


def forest(study: Study, found: Found, datasets: Sequence[Dataset]) -> Figure:
    """Every dataset's effect of every pair of arms, CIDEr beside percent; the paper's as diamonds."""
    pairs = list(dict.fromkeys((one.better, one.worse) for one in found.datasets))
    effects = {(one.better, one.worse, one.dataset): one for one in found.datasets}
    known = [d for d in datasets if d.name in study.asked]
    sides = [[d for d in known if d.metric != "cider"], [d for d in known if d.metric == "cider"]]
    tallest = max(len(side) for side in sides)
    seen, worse = looks(study), [pair[1] for pair in pairs]
    # the worse arm's look, unless it is worse in several pairs
    marks = {pair: seen[pair[0] if worse.count(pair[1]) > 1 else pair[1]] for pair in pairs}
    with mpl.rc_context(STYLE):
        size = (7.6, (0.3 + 0.06 * len(pairs)) * tallest + 1.6)
        figure = Figure(figsize=size, layout="constrained")
        for axes, shown, title in zip(
            figure.subplots(1, 2), sides, ("percent points", "CIDEr × 100"), strict=True
        ):
            for place, dataset in enumerate(shown):
                lines = [effects[(*pair, dataset.name)] for pair in pairs]
                _effects(axes, place, lines, marks, _published(study, dataset.name, marks))
            held_out = study.measures.get("held_out", ())
            rows_axis(axes, [plain(d.title) + (" °" if d.name in held_out else "") for d in shown])
            for edge in range(1, len(shown)):
                axes.axhline(edge - 0.5, color=LINE, linewidth=0.6)
            _zero(axes)
            axes.set_title(title)
        named = [
            handle(look.marker, look.colour, f"{plain(seen[better].title)} minus {plain(seen[worse].title)}")
            for (better, worse), look in marks.items()
        ]
        cited = any(_published(study, dataset.name, marks) for dataset in datasets)
        legend(figure, [*named, *([_paper()] if cited else []), handle("", MUTED, "° held-out")], columns=2)
    return figure


def scatter(study: Study, found: Found) -> Figure | None:
    """Held-in against held-out average of every arm, with intervals both ways; None where no arm has both."""
    seen = looks(study)
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(7.6, 4.6), layout="constrained")
        axes = figure.subplots()
        shown = []
        for arm in study.arms:
            across, up = found.average(arm.name, "held_in"), found.average(arm.name, "held_out")
            if across is None or up is None:
                continue
            x, y, look = across.found, up.found, seen[arm.name]
            axes.plot([x.low, x.high], [y.value, y.value], color=look.colour, linewidth=1.6)
            axes.plot([x.value, x.value], [y.low, y.high], color=look.colour, linewidth=1.6)
            axes.plot(x.value, y.value, look.marker, ms=9, mfc=look.colour, mec=INK, mew=0.5)
            shown.append(handle(look.marker, look.colour, plain(look.title)))
        axes.grid(True, linewidth=0.6)
        axes.set_axisbelow(True)
        axes.spines[["top", "right"]].set_visible(False)
        axes.set(xlabel="held-in average", ylabel="held-out average")
        if shown:
            legend(figure, shown)
    return figure if shown else None


def plain(text: str) -> str:
    """A title that matplotlib does not take for a formula."""
    return text.replace("$", r"\$")


def _effects(
    axes: Axes,
    place: int,
    lines: Sequence[OnDataset],
    marks: Mapping[tuple[str, str], Method],
    paper: Sequence[tuple[float, str]],
) -> None:
    for number, one in enumerate(lines):
        height = place + 0.6 * ((number + 1) / (len(lines) + 1) - 0.5)
        dot(axes, height, marks[one.better, one.worse], one.verdict.effect, size=5)
    for value, colour in paper:
        axes.plot(value, place + 0.32, "d", ms=5, mfc=PAGE, mec=colour, mew=1.2)


def _published(
    study: Study, dataset: str, marks: Mapping[tuple[str, str], Method]
) -> list[tuple[float, str]]:
    """What the paper says about one dataset, as far as claims cite it, each in its comparison's colour."""
    found = []
    for claim in study.claims:
        values = dict(claim.published or {})
        if claim.measure == dataset and claim.paper is not None:
            values[dataset] = claim.paper
        look = marks.get((claim.better, claim.worse))
        if dataset in values:
            found.append((values[dataset], look.colour if look else INK))
    return found


def _paper() -> Line2D:
    return handle("d", PAGE, "paper's effect (its own scale)")


def _zero(axes: Axes) -> None:
    axes.axvline(0, color=MUTED, linewidth=1.0)
    axes.margins(x=0.08)


def _mark(name: str, primary: bool) -> str:
    return plain(name) + (" *" if primary else "")

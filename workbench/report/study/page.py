"""A study's page: reports/studies/<study>.html and .md, its figures, table and summary.

Everything goes to reports/studies, the table of effects too: reports/tables and reports/figures are
outputs of the stage report, and DVC empties them before it runs that stage.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
from markupsafe import escape

from workbench import files
from workbench.report import front
from workbench.report.compare import Dataset
from workbench.report.figures import svg
from workbench.report.gallery import OpenImage
from workbench.report.render import environment, inline
from workbench.report.study import figures, learning_and_attention
from workbench.report.study.cards import CAUTION, GENERAL_FAILURES, cards
from workbench.report.study.cells import Looked, Study
from workbench.report.study.collected import read_study
from workbench.report.study.effects import Found, comparisons, find
from workbench.report.study.flips import CAPTION_POINTS, counts, flips
from workbench.report.study.own import Own
from workbench.report.study.own import write as write_own
from workbench.report.study.tables import WATTS, costs, tables

LARGEST_PAGE = 3_000_000  # bytes; some hundred small pictures
TOLD = 6  # arms whose answers an example shows, at most
MEASURES = {
    "held_in": "held-in, all",
    "held_out": "held-out, all",
    "figure4": "held-out, Figure 4",
    "table2_held_in": "held-in, Table 2",
    "table2_held_out": "held-out, Table 2",
}


@dataclass(frozen=True, slots=True)
class Moved:
    """How far an arm's attention follows the instruction: percent of it, over seeds."""

    arm: str
    first: Looked
    mean: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Said:
    """One example and what each arm with a finished cell said to it."""

    dataset: Dataset
    example_id: str
    instruction: str
    references: Sequence[str]
    answers: Sequence[tuple[str, str, str]]  # arm, text, score


def build_study(
    folder: Path, reports: Path, datasets: Sequence[Dataset], open_image: OpenImage, own: Own | None = None
) -> Path:
    """Reads outputs/studies/<study> and writes its page; two builds of the same cells are byte-equal.

    Args:
        datasets: the catalogue, in the order of the tables.
        open_image: from an image reference of predictions.parquet to the picture.
        own: what the study's figure.py draws, if it has one.

    Returns:
        The path of the page.

    Raises:
        ReportError: see `collected.read_study`.
    """
    study = read_study(folder)
    found = find(study)
    target, name = reports / front.FOLDER, study.name
    drawn = _figures(study, found, datasets, open_image)
    for figure, (text, _) in drawn.items():
        files.write_text(target / f"{name}_{figure}.svg", text)
    view = _view(study, found, datasets, open_image) | {
        "figures": {figure: alt for figure, (_, alt) in drawn.items()},
        "inline": {figure: inline(text, alt) for figure, (text, alt) in drawn.items()},
        "own": own,
        "own_inline": {n: inline(text, own.caption(n)) for n, text in own.drawn().items()} if own else {},
    }
    lists = tables(study, found, view["changed"]) | {"attention": _moves(view["looked"])}
    for table, lines in lists.items():
        text = lines.to_csv(index=False, float_format="%.6g", lineterminator="\n")
        files.write_text(target / f"{name}_{table}.csv", text)
    if own:
        write_own(target, name, own)
    templates = environment()
    for card in view["cards"]:
        text = templates.get_template("card.md.j2").render(view, card=card)
        files.write_text(target / f"{name}_card_{card.arm.name}.md", text)
    page = templates.get_template("study.html.j2").render(view)
    assert len(page.encode()) < LARGEST_PAGE, "the page outgrew its budget; show fewer examples"
    files.write_text(target / f"{name}.md", templates.get_template("study.md.j2").render(view))
    files.write_text(target / f"{name}.html", page)
    front.write(target, study, found)  # last: what it says has a page
    return target / f"{name}.html"


def moved(study: Study) -> list[Moved]:
    """One line for each arm with a finished cell."""
    found = []
    for arm in study.arms:
        looked = [study.looked[arm.name, seed] for seed in study.paired(arm.name)]
        if looked:
            shifts = [one.shift for one in looked]
            mean = sum(shifts) / len(shifts)
            found.append(Moved(arm.name, looked[0], mean, min(shifts), max(shifts)))
    return found


def said(study: Study, datasets: Sequence[Dataset]) -> list[Said]:
    """One example of each dataset, the first by the hash of its id, so that nobody chose by answers."""
    found = []
    for dataset in datasets:
        part = study.answers[study.answers["dataset"] == dataset.name]
        if part.empty:
            continue
        ids = part["example_id"].astype(str)
        chosen = min(ids.unique(), key=lambda name: hashlib.sha256(name.encode()).digest())
        lines = part[ids == chosen].head(TOLD)
        main = lines.iloc[0]
        answers = [
            (str(arm), str(text), "" if dataset.metric == "auc" else f"{score:.0f}")
            for arm, text, score in zip(lines["arm"], lines["prediction"], lines["score"], strict=True)
        ]
        references = list(dict.fromkeys(map(str, main["references"])))
        found.append(Said(dataset, chosen, str(main["instruction"]), references, answers))
    return found


def plain(text: str) -> str:
    """For Markdown's tables: no bar ends a cell, no tag, link or picture begins."""
    return re.sub(r"([\\`*_\[\]!|])", r"\\\1", re.sub(r"[\r\n]+", " ", str(escape(text))))


def _moves(lines: Sequence[Moved]) -> pd.DataFrame:
    columns = ("arm", "mean", "low", "high")
    return pd.DataFrame([{column: getattr(one, column) for column in columns} for one in lines])


def _figures(
    study: Study, found: Found, datasets: Sequence[Dataset], open_image: OpenImage
) -> dict[str, tuple[str, str]]:
    """Name -> (SVG, what it shows, for those who do not see it)."""
    drawn = {}
    if found.claims:
        alt = "Every claim's effect with its 95 % interval and the paper's beside it; numbers in the table."
        drawn["claims"] = (figures.claims(study, found), alt)
    if found.datasets:
        alt = "Effects on every dataset with 95 % intervals; numbers in the table."
        drawn["datasets"] = (figures.forest(study, found, datasets), alt)
    if (averaged := figures.scatter(study, found)) is not None:
        alt = "Held-in against held-out average of every arm with 95 % intervals; numbers in the table."
        drawn["averages"] = (averaged, alt)
    if (learned := learning_and_attention.curves(study, datasets)) is not None:
        alt = "Training loss and validation score of every held-in dataset over steps, a line for each arm."
        drawn["curves"] = (learned, alt)
    if (looked := learning_and_attention.attention(study, open_image)) is not None:
        alt = "Attention of each arm's Q-Former to one picture under two instructions; shares in the table."
        drawn["attention"] = (looked, alt)
    return {name: (svg(figure), alt) for name, (figure, alt) in drawn.items()}


def _view(study: Study, found: Found, datasets: Sequence[Dataset], open_image: OpenImage) -> dict[str, Any]:
    """Everything the templates insert, apart from figures."""
    titles = {d.name: d.title for d in datasets}
    ordered = [*MEASURES, *(name for name in study.measures if name not in MEASURES)]
    shown_measures = [name for name in ordered if any(found.average(arm.name, name) for arm in study.arms)]
    effects: dict[tuple[str, str, str], Any] = {}
    for one in found.datasets:
        effects[one.better, one.worse, one.dataset] = one.verdict
    named: Mapping[str, str] = titles | {name: MEASURES.get(name, name) for name in study.measures}
    shown_flips = flips(study, datasets, open_image)
    return {
        "study": study,
        "found": found,
        "looks": figures.looks(study),
        "pairs": comparisons(study),
        "effects": effects,
        "datasets": [d for d in datasets if d.name in study.asked],
        "measures": shown_measures,
        "named": named,
        "costs": costs(study),
        "watts": WATTS,
        "looked": moved(study),
        "changed": counts(study),
        "caption_points": CAPTION_POINTS,
        "flips": shown_flips,
        "flipped": {item.dataset.name for item in shown_flips},
        "cards": cards(study, found, datasets),
        "general_failures": GENERAL_FAILURES,
        "caution": CAUTION,
        "said": said(study, datasets),
        "plain": plain,
    }

"""A study's page: reports/studies/<study>.html and .md, its figures, table and summary.

Everything goes to reports/studies, the table of effects too: reports/tables and reports/figures are
outputs of the stage report, and DVC empties them before it runs that stage.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from markupsafe import escape

from workbench import files
from workbench.report import figures, front, study_figures
from workbench.report.compare import Dataset
from workbench.report.render import LARGEST_PAGE, environment, inline
from workbench.report.study_cells import Cell, Study
from workbench.report.study_effects import Found, comparisons, find, frame
from workbench.report.study_table import read_study

MEASURES = {
    "held_in": "held-in, all",
    "held_out": "held-out, all",
    "figure4": "held-out, Figure 4",
    "table2_held_in": "held-in, Table 2",
    "table2_held_out": "held-out, Table 2",
}


@dataclass(frozen=True, slots=True)
class Cost:
    """Of one arm, mean over its cells; NaN-free: an arm without cells has no line.

    Attributes:
        trained: whether it is tuned at all.
    """

    arm: str
    cells: int
    trained: bool
    tune_seconds: float
    evaluate_seconds: float
    tune_flops: float
    evaluate_flops: float
    peak_memory_bytes: float


@dataclass(frozen=True, slots=True)
class Said:
    """One example and what each arm with a finished cell said to it."""

    dataset: Dataset
    example_id: str
    instruction: str
    references: Sequence[str]
    answers: Sequence[tuple[str, str, str]]  # arm, text, score


def build_study(folder: Path, reports: Path, datasets: Sequence[Dataset]) -> Path:
    """Reads outputs/studies/<study> and writes its page; two builds of the same cells are byte-equal.

    Args:
        datasets: the catalogue, in the order of the tables.

    Returns:
        The path of the page.

    Raises:
        ReportError: see `study_table.read_study`.
    """
    study = read_study(folder)
    found = find(study)
    target, name = reports / front.FOLDER, study.name
    drawn = _figures(study, found, datasets)
    for figure, (text, _) in drawn.items():
        files.write_text(target / f"{name}_{figure}.svg", text)
    table = frame(found).to_csv(index=False, float_format="%.6g", lineterminator="\n")
    files.write_text(target / f"{name}_effects.csv", table)
    view = _view(study, found, datasets) | {
        "figures": {figure: alt for figure, (_, alt) in drawn.items()},
        "inline": {figure: inline(text, alt) for figure, (text, alt) in drawn.items()},
    }
    page = environment().get_template("study.html.j2").render(view)
    assert len(page.encode()) < LARGEST_PAGE, "the page outgrew its budget; shrink figures or examples"
    files.write_text(target / f"{name}.md", environment().get_template("study.md.j2").render(view))
    files.write_text(target / f"{name}.html", page)
    front.write(target, study, found)  # last: what it says has a page
    return target / f"{name}.html"


def costs(study: Study) -> list[Cost]:
    """What a cell of each arm took, on average; a training that arms share counts for each of them."""
    found = []
    for arm in study.arms:
        cells = [cell for cell in study.cells if cell.arm == arm.name]
        if cells:
            found.append(
                Cost(
                    arm=arm.name,
                    cells=len(cells),
                    trained=bool(cells[0].tune),
                    tune_seconds=_mean(cells, "tune", "seconds"),
                    evaluate_seconds=_mean(cells, "evaluate", "seconds"),
                    tune_flops=_mean(cells, "tune", "flops"),
                    evaluate_flops=_mean(cells, "evaluate", "flops"),
                    peak_memory_bytes=max(
                        cost["peak_memory_bytes"] for cell in cells for cost in cell.cost.values()
                    ),
                )
            )
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
        lines = part[ids == chosen]
        main = lines.iloc[0]
        answers = [
            (str(arm), str(text), "" if dataset.metric == "auc" else f"{score:.0f}")
            for arm, text, score in zip(lines["arm"], lines["prediction"], lines["score"], strict=True)
        ]
        references = list(dict.fromkeys(map(str, main["references"])))
        found.append(Said(dataset, chosen, str(main["instruction"]), references, answers))
    return found


def plain(text: str) -> str:
    """For Markdown's tables: no bar ends a cell, no tag begins."""
    return str(escape(text)).replace("|", "\\|").replace("\n", " ")


def _mean(cells: Sequence[Cell], kind: str, field: str) -> float:
    values = [float(cell.cost[kind][field]) for cell in cells if kind in cell.cost]
    return sum(values) / len(values) if values else 0.0


def _figures(study: Study, found: Found, datasets: Sequence[Dataset]) -> dict[str, tuple[str, str]]:
    """Name -> (SVG, what it shows, for those who do not see it)."""
    drawn = {}
    if found.claims:
        alt = "Every claim's effect with its 95 % interval and the paper's beside it; numbers in the table."
        drawn["claims"] = (study_figures.claims(study, found), alt)
    if found.datasets:
        alt = "Effects on every dataset with 95 % intervals; numbers in the table."
        drawn["datasets"] = (study_figures.forest(study, found, datasets), alt)
    alt = "Held-in against held-out average of every arm with 95 % intervals; numbers in the table."
    drawn["averages"] = (study_figures.scatter(study, found), alt)
    return {name: (figures.svg(figure), alt) for name, (figure, alt) in drawn.items()}


def _view(study: Study, found: Found, datasets: Sequence[Dataset]) -> dict[str, Any]:
    """Everything the templates insert, apart from figures."""
    titles = {d.name: d.title for d in datasets}
    ordered = [*MEASURES, *(name for name in study.measures if name not in MEASURES)]
    shown = [name for name in ordered if any(found.average(arm.name, name) for arm in study.arms)]
    effects: dict[tuple[str, str, str], Any] = {}
    for one in found.datasets:
        effects[one.better, one.worse, one.dataset] = one.verdict
    named: Mapping[str, str] = titles | {name: MEASURES.get(name, name) for name in study.measures}
    return {
        "study": study,
        "found": found,
        "looks": study_figures.looks(study),
        "pairs": comparisons(study),
        "effects": effects,
        "datasets": [d for d in datasets if d.name in study.asked],
        "measures": shown,
        "named": named,
        "costs": costs(study),
        "said": said(study, datasets),
        "plain": plain,
    }

"""Writes a table of the paper with our rows: Markdown, CSV, and a section for the HTML report."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from workbench import files
from workbench.report.render import HERE, environment
from workbench.report.reproduce.examinations import examinations, find, groups
from workbench.report.reproduce.tables import Reproduced, Table, reproduce
from workbench.report.study.page import plain

FOLDER = "reproduce"  # below reports/
COLUMNS = (
    "table", "kind", "row", "suite", "seeds", "signatures", "against", "column", "value", "low", "high", "n",
    "difference", "difference_low", "difference_high", "recalled",
)  # fmt: skip


def publish(
    table: Table,
    root: Path,
    held_in: Sequence[str],
    checkpoint: Path | None = None,
    against: str = "",
    starts: Sequence[str] = (),
) -> tuple[Reproduced, Path]:
    """Reads records below `root` and writes reports/reproduce/<table>.md, .csv and .html.

    Args:
        checkpoint: a run, a folder of runs, a tuned checkpoint or a start (see `examined.find`); by default
            what the pipeline and the studies left in outputs/, as far as there is any.
        starts: hashes of the BLIP-2 folders in `checkpoint`, where it is a start.

    Returns:
        The table, and the path of the Markdown.

    Raises:
        ReportError: see `examined.find` and `examined.groups`.
        ValueError: see `reproduce.reproduce`.
    """
    places = (root / "outputs/evaluate", *sorted(root.glob("outputs/studies/*")))
    if checkpoint is None:
        found = [folder for place in places for folder in examinations(place)]
    else:
        found = find(root / checkpoint, (*places, root / "runs"), starts)
    paper = files.read_json(HERE / "paper_tables.json")
    made = reproduce(table, groups(found), paper, held_in, against)
    target = root / "reports" / FOLDER
    view: dict[str, Any] = {"made": made, "about": paper["_about"], "plain": plain}
    for kind in ("md", "html"):
        text = environment().get_template(f"reproduce.{kind}.j2").render(view)
        files.write_text(target / f"{table}.{kind}", text)
    text = frame(made).to_csv(index=False, float_format="%.4f", lineterminator="\n")
    files.write_text(target / f"{table}.csv", text)
    return made, target / f"{table}.md"


def frame(made: Reproduced) -> pd.DataFrame:
    """One line for each row and column; what nobody measured or printed is empty, never 0."""
    lines: list[dict[str, Any]] = []
    for printed in made.paper:
        for column in made.columns:
            line: dict[str, Any] = {"kind": "paper", "row": printed.name, "value": printed.values[column]}
            lines.append(line | {"column": column, "recalled": column in printed.recalled})
    for ours in made.ours:
        group = ours.group
        named = {"kind": "ours", "row": ours.title, "suite": group.suite, "against": ours.against}
        named |= {"seeds": " ".join(map(str, group.seeds)), "signatures": " ".join(group.signatures)}
        for column in made.columns:
            line = {**named, "column": column}
            if found := ours.found.get(column):
                line |= {"value": found.value, "low": found.low, "high": found.high}
                line |= {"n": ours.counts[column]}
            if gap := ours.differences.get(column):
                line |= {"difference": gap.value, "difference_low": gap.low, "difference_high": gap.high}
            lines.append(line)
        for name in group.beside:
            line = {**named, "kind": "beside", "against": "", "column": name}
            lines.append(line | {"value": group.shares[name].mean(), "n": len(group.asked[name].examples)})
    table = pd.DataFrame(lines, columns=list(COLUMNS)).assign(table=made.table)
    return table.astype({"n": "Int64"})

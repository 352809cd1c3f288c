"""What the figure.py of a study draws: files beside the study's page, and a section of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd
from matplotlib.figure import Figure

from workbench import files
from workbench.report import figures
from workbench.report.outputs import ReportError
from workbench.report.words import number

# what a page's own files are called after the study's name; a figure.py needs other names
TAKEN = (
    "claims.svg", "datasets.svg", "averages.svg", "curves.svg", "attention.svg",
    "effects.csv", "arms.csv", "cost.csv", "flips.csv", "runs.csv", "attention.csv",
)  # fmt: skip
LONGEST = 60  # rows; a longer table is a file alone


class NothingToDraw(ReportError):
    """What a figure.py draws from is not there yet: the page says so and stands without it."""


@dataclass(frozen=True, slots=True)
class Own:
    """Figures and tables by name.

    Attributes:
        captions: name -> what it shows; a name without one is its own caption.
        note: why nothing could be drawn, or "".
    """

    figures: Mapping[str, Figure] = field(default_factory=dict)
    tables: Mapping[str, pd.DataFrame] = field(default_factory=dict)
    captions: Mapping[str, str] = field(default_factory=dict)
    note: str = ""

    def __post_init__(self) -> None:
        for name in (*(f"{one}.svg" for one in self.figures), *(f"{one}.csv" for one in self.tables)):
            if name in TAKEN:
                raise ValueError(f"the study's page has a {name} of its own; rename this one")

    def caption(self, name: str) -> str:
        """For the page, and for those who do not see the figure."""
        return self.captions.get(name) or name.replace("_", " ").capitalize()

    def drawn(self) -> dict[str, str]:
        """Name -> SVG."""
        return {name: figures.svg(figure) for name, figure in self.figures.items()}

    def shown(self) -> Iterator[tuple[str, list[str], list[list[tuple[str, bool]]]]]:
        """Of each table that is short enough: name, columns, rows of (text, whether it is a number)."""
        for name, table in self.tables.items():
            if 0 < len(table) <= LONGEST:
                columns = [str(column).replace("_", " ") for column in table.columns]
                yield name, columns, [[cell(value) for value in row] for row in table.itertuples(index=False)]


def write(folder: Path, study: str, own: Own) -> list[Path]:
    """<study>_<name>.svg and .csv in reports/studies."""
    texts = {f"{name}.svg": text for name, text in own.drawn().items()}
    for name, table in own.tables.items():
        texts[f"{name}.csv"] = table.to_csv(index=False, float_format="%.6g", lineterminator="\n")
    for name, text in texts.items():
        files.write_text(folder / f"{study}_{name}", text)
    return [folder / f"{study}_{name}" for name in texts]


def cell(value: object) -> tuple[str, bool]:
    """A table's value as text, and whether it is a number; two decimals, below 1 three."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return str(value), False
    if value != value:  # NaN
        return "–", True
    if 0 < abs(value) < 0.0005:
        return f"{value:.0e}".replace("-", "−"), True
    if float(value).is_integer():
        return number(value, 0), True
    return number(value, 3 if abs(value) < 1 else 2), True

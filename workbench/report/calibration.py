"""What the benchmarks calibration.py and same_arm.py left in reports/calibration, for the front page."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from workbench.report.outputs import ReportError

FOLDER = "calibration"  # below reports/
STUDIES, SAME, PICTURE = "calibration.csv", "same_arm.csv", "calibration.svg"


@dataclass(frozen=True, slots=True)
class Calibration:
    """Simulated studies, whose truth is known, and one arm trained twice.

    Attributes:
        studies: simulated for each line.
        false: lowest and highest percentage of studies without an effect that found one at a nominal 5 %.
        covered: lowest and highest percentage of intervals that hold the true effect.
        seeds, found, datasets: of the arm trained twice: seeds on each side, datasets with p < .05, datasets.
        picture: SVG.
    """

    studies: int
    false: tuple[float, float]
    covered: tuple[float, float]
    seeds: int
    found: int
    datasets: int
    picture: str


def read(reports: Path, datasets: Collection[str]) -> Calibration | None:
    """None where neither benchmark was run.

    Args:
        datasets: names that same_arm.csv may have; its other lines are averages.

    Raises:
        ReportError: for a file that is missing beside the others, or lacks a column.
    """
    folder = reports / FOLDER
    if not folder.is_dir():
        return None
    try:
        table, same = pd.read_csv(folder / STUDIES), pd.read_csv(folder / SAME)
        picture = (folder / PICTURE).read_text(encoding="utf-8")
        nothing = table[table["gain"] == 0]
        wrong = 100 * (nothing["above"] + nothing["below"])
        covered = 100 * table["covered"]
        alone = same[same["measure"].isin(list(datasets))]
        return Calibration(
            studies=int(table["studies"].iloc[0]),
            false=(float(wrong.min()), float(wrong.max())),
            covered=(float(covered.min()), float(covered.max())),
            seeds=int(alone["seeds"].iloc[0]),
            found=int((alone["p"] < 0.05).sum()),
            datasets=len(alone),
            picture=picture,
        )
    except (OSError, KeyError, IndexError, ValueError) as error:
        raise ReportError(
            f"{folder} is not what the benchmarks write ({error}); `git restore {folder}`, or run "
            "benchmarks/calibration.py and benchmarks/same_arm.py"
        ) from error

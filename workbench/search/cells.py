"""What one cell of a study is on disk: a tuned model (for most rows) and its examination."""

from __future__ import annotations

import os
import statistics
from dataclasses import dataclass
from pathlib import Path

from workbench import files
from workbench.data.catalog import HELD_OUT
from workbench.experiment import fit, record, score
from workbench.experiment.answers import WEIGHTS
from workbench.records import ROWS
from workbench.search.study import Cell
from workbench.surroundings import home


@dataclass(frozen=True, slots=True)
class OnDisk:
    """Where a cell stands.

    Attributes:
        key: hash of everything its result follows from; weights count by what they are tuned from.
        training: signature of its tuning run, "" for a row that is not tuned.
        tune, evaluate: folders of the finished runs, None where there is none yet.
    """

    key: str
    training: str
    tune: Path | None
    evaluate: Path | None


def inspect(cell: Cell, root: Path) -> OnDisk:
    """Looks for a cell's finished runs; trains and answers nothing.

    Raises:
        ValueError: for missing inputs, and for a record or result that was edited, naming the file.
    """
    runs, recipe, row = home(root) / "runs", ROWS[cell.arm.row], cell.arm.row
    tuning = fit.signed(cell.config, recipe, root) if recipe else {}
    training = files.digest(tuning) if recipe else ""
    asking = score.signed(cell.config, row, root, None)
    key = files.digest({"tune": tuning, "evaluate": asking, "metrics": record.metrics_hash()})
    tune: Path | None = None
    if recipe:
        if not (runs / training / record.RECORD).is_file():
            return OnDisk(key, training, None, None)
        tune = runs / training
        weights = record.verified(tune).result["weights_sha256"]
        if not (tune / WEIGHTS).is_file() or files.file_sha256(tune / WEIGHTS) != weights:
            raise record.RunError(f"{tune / WEIGHTS} was edited or removed; delete {tune} and rerun")
        asking = {**asking, "weights": weights}
    evaluate = runs / files.digest(asking)
    if not (evaluate / record.RECORD).is_file():
        return OnDisk(key, training, tune, None)
    current = {**asking, "metrics": record.metrics_hash()}
    same = record.verified(evaluate).hashes == current  # else its metrics are of yesterday
    return OnDisk(key, training, tune, evaluate if same else None)


def finish(cell: Cell, root: Path) -> float:
    """Tunes and examines the cell unless that is recorded; the mean of its held-out scores, in points.

    Its runs in MLflow carry the study and the arm, and are children of the study's run.
    """
    os.environ |= {"WORKBENCH_STUDY": cell.study, "WORKBENCH_ARM": cell.arm.name}
    folder = score.score(cell.config, cell.arm.row, root)
    values = {s["dataset"]: s["value"] for s in score.read_scores(folder) if not s["blind"]}
    return statistics.fmean(values[name] for name in HELD_OUT)

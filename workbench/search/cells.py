"""What one cell of a study is on disk: a tuned model (for most rows) and its examination."""

from __future__ import annotations

import os
import statistics
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from pathlib import Path

from workbench import files
from workbench.data.catalog import HELD_OUT
from workbench.experiment import fit, probe, record, score
from workbench.experiment.answers import WEIGHTS
from workbench.records import ROWS
from workbench.search import probes
from workbench.search.study import Cell
from workbench.surroundings import home


@dataclass(frozen=True, slots=True)
class OnDisk:
    """Where a cell stands.

    Attributes:
        key: hash of everything its result follows from; weights count by what they are tuned from.
        training: signature of its tuning run, "" for a row that is not tuned.
        tune, evaluate, probe: folders of the finished runs, None where there is none yet.
        probed: whether the study asks its cells probes.
    """

    key: str
    training: str
    tune: Path | None
    evaluate: Path | None
    probe: Path | None
    probed: bool

    @property
    def done(self) -> bool:
        """Whether everything is recorded."""
        return self.evaluate is not None and (self.probe is not None or not self.probed)


def standing(cells: Iterable[Cell], asked: Collection[str], root: Path) -> dict[str, OnDisk]:
    """Where cells stand, by their names.

    A start of downloaded weights is one of one language model. Cells of arms that are not asked for are
    left out where theirs is not there, so that the others of a study with both can be run.

    Raises:
        ValueError: as `inspect`.
    """
    return {
        cell.name: inspect(cell, root)
        for cell in cells
        if cell.arm.name in asked or record.start_folder(cell.config, root).is_dir()
    }


def inspect(cell: Cell, root: Path) -> OnDisk:
    """Looks for a cell's finished runs; trains and answers nothing.

    Raises:
        ValueError: for missing inputs, and for a record or result that was edited, naming the file.
    """
    runs, recipe, row = home(root) / "runs", ROWS[cell.arm.row], cell.arm.row
    tuning = _tuning(cell, root)
    training = files.digest(tuning) if recipe else ""
    asking = score.signed(cell.config, row, root, None)
    asked = probes.of(cell.study, cell.config, root)
    probing = probe.signed(cell.config, row, root, asked) if asked else {}
    metrics = record.metrics_hash(cell.config.suite)
    parts = {"tune": tuning, "evaluate": asking, "metrics": metrics}
    key = files.digest({**parts, "probe": probing} if asked else parts)
    tune: Path | None = None
    if recipe:
        if not (runs / training / record.RECORD).is_file():
            return OnDisk(key, training, None, None, None, bool(asked))
        tune = runs / training
        weights = record.verified(tune).result["weights_sha256"]
        if not (tune / WEIGHTS).is_file() or files.file_sha256(tune / WEIGHTS) != weights:
            raise record.RunError(f"{tune / WEIGHTS} was edited or removed; delete {tune} and rerun")
        asking, probing = {**asking, "weights": weights}, {**probing, "weights": weights}
    examined = _finished(runs, asking, metrics)
    answered = _finished(runs, probing, record.metrics_hash()) if asked else None
    return OnDisk(key, training, tune, examined, answered, bool(asked))


def _finished(runs: Path, hashes: dict[str, str], metrics: str) -> Path | None:
    """The folder of the run with these hashes, unless there is none or its metrics are of yesterday."""
    folder = runs / files.digest(hashes)
    if not (folder / record.RECORD).is_file():
        return None
    current = {**hashes, "metrics": metrics}
    return folder if record.verified(folder).hashes == current else None


def tuned(cell: Cell, root: Path) -> Path | None:
    """The folder of the cell's tuning run, tuned now unless it is recorded; None for a row without one."""
    recipe = ROWS[cell.arm.row]
    if recipe is None:
        return None
    return fit.fit(cell.config, recipe, root, tuned(cell.after, root) if cell.after else None)


def _tuning(cell: Cell, root: Path) -> dict[str, str]:
    recipe = ROWS[cell.arm.row]
    if recipe is None:
        return {}
    return fit.signed(
        cell.config, recipe, root, files.digest(_tuning(cell.after, root)) if cell.after else ""
    )


def finish(cell: Cell, root: Path) -> float:
    """Tunes, examines and probes the cell as far as that is not recorded.

    Returns:
        The mean of its scores on the held-out datasets it was asked, or on all if none of these is held
        out, in points.

    Its runs in MLflow carry the study and the arm, and are children of the study's run.
    """
    os.environ |= {"WORKBENCH_STUDY": cell.study, "WORKBENCH_ARM": cell.arm.name}
    weights = tuned(cell, root)
    folder = score.score(cell.config, cell.arm.row, root, weights)
    if asked := probes.of(cell.study, cell.config, root):
        probe.probe(cell.config, cell.arm.row, root, weights, asked)
    values = {s["dataset"]: s["value"] for s in score.read_scores(folder) if not s["blind"]}
    return statistics.fmean([values[name] for name in HELD_OUT if name in values] or values.values())

"""What a study leaves for its report: small copies and one table of contents.

    outputs/studies/<study>/cells.json              what ran, what it cost, what is claimed
    outputs/studies/<study>/cells/<arm>@<seed>/     record.json, scores.jsonl, predictions.parquet,
                                                    attention.json; of its training tune.json, the
                                                    record, and curve.csv; probes.parquet and
                                                    probe.json if it was probed

Results of development seeds go to outputs/development/<study>/ instead. A report needs these and the
pictures in data/prepared alone: no Optuna, torch, MLflow or runs/.
"""

from __future__ import annotations

import logging
import shutil
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pandas as pd

from workbench import files, tracking
from workbench.config import Config
from workbench.experiment.answers import WEIGHTS
from workbench.experiment.curve import read_curve
from workbench.experiment.looking import ATTENTION, look
from workbench.experiment.probe import PROBES
from workbench.experiment.record import RECORD, Record
from workbench.search.cells import OnDisk
from workbench.search.study import MEASURES, Cell, Study
from workbench.surroundings import home, surroundings

log = logging.getLogger(__name__)
CELLS, CURVE = "cells.json", "curve.csv"
POINTS = 200  # of a loss curve; validations are kept besides


def folder_of(root: Path, study: str, development: bool) -> Path:
    """Where a study's results go."""
    return root / "outputs" / ("development" if development else "studies") / study


class Collection:
    """The results of one call of the driver, complete after each cell.

    Args:
        grid: every cell that the call asks for, recorded or not.
    """

    def __init__(
        self, study: Study, grid: Sequence[Cell], base: Config, root: Path, development: bool
    ) -> None:
        self._study, self._base, self._root = study, base, root
        self._development, self._cells = development, {cell.name: cell for cell in grid}
        self._lines: dict[str, dict[str, Any]] = {}
        self._next_try = 0.0  # of MLflow, on the monotonic clock
        self.folder = folder_of(root, study.name, development)
        shutil.rmtree(self.folder, ignore_errors=True)
        self.write()

    def add(self, name: str, found: OnDisk) -> None:
        """Copies a recorded cell's results and lists it."""
        cell, target = self._cells[name], self.folder / "cells" / name
        assert found.evaluate is not None
        target.mkdir(parents=True)
        weights = found.tune / WEIGHTS if found.tune is not None else None
        look(cell.config, cell.arm.row, self._root, weights, found.evaluate)
        examined = Record.read(found.evaluate)
        for file in (RECORD, *examined.result["sha256"], ATTENTION):
            shutil.copyfile(found.evaluate / file, target / file)
        cost = {"evaluate": asdict(examined.cost)}
        marks = {"evaluate": files.digest(dict(examined.hashes))}
        if found.tune is not None:
            shutil.copyfile(found.tune / RECORD, target / "tune.json")
            files.write_text(target / CURVE, thinned(found.tune))
            cost["tune"] = asdict(Record.read(found.tune).cost)
            marks["tune"] = found.training
        if found.probe is not None:
            shutil.copyfile(found.probe / PROBES, target / PROBES)
            shutil.copyfile(found.probe / RECORD, target / "probe.json")
            cost["probe"] = asdict(Record.read(found.probe).cost)
            marks["probe"] = files.digest(dict(Record.read(found.probe).hashes))
        self._lines[name] = {
            "arm": cell.arm.name,
            "seed": cell.seed,
            "row": cell.arm.row,
            "changes": dict(cell.arm.changes),
            "folder": f"cells/{name}",
            "tune": found.training or None,
            "evaluate": found.evaluate.name,
            "probe": found.probe.name if found.probe else None,
            "cost": cost,
            "data": examined.hashes["data"],
            "code": examined.hashes["code"],
            "sha256": examined.result["sha256"],
            "extras": {
                file: files.file_sha256(target / file)
                for file in (ATTENTION, CURVE)
                if (target / file).is_file()
            },
            "mlflow": self._runs(cell, marks),
        }
        self.write()

    def write(self) -> None:
        """cells.json, with what is recorded so far."""
        code = {
            key.removeprefix("git."): value
            for key, value in surroundings().items()
            if key.startswith(("git.", "dvc."))
        }
        files.write_json(
            self.folder / CELLS,
            {
                "study": self._study.name,
                "question": self._study.question,
                "baseline": self._study.baseline,
                "arms": [
                    {"name": arm.name, "title": arm.title or arm.name, "row": arm.row}
                    | {"changes": dict(arm.changes)}
                    for arm in self._study.arms
                ],
                "claims": [asdict(claim) for claim in self._study.claims],
                "measures": {name: list(datasets) for name, datasets in MEASURES.items()},
                "seeds": sorted({cell.seed for cell in self._cells.values()}),
                "development": self._development,
                "config": self._base.to_dict(),
                "revision": code,
                "cells": [self._lines[name] for name in self._cells if name in self._lines],
                "missing": [name for name in self._cells if name not in self._lines],
            },
        )

    def _runs(self, cell: Cell, signatures: Mapping[str, str]) -> dict[str, str]:
        """Ids of the cell's MLflow runs, tagged with the arm they are here; empty while MLflow is away.

        A run that two studies share is the child of the first; the tag `study.<name>` finds it in both.
        """
        place, options = home(self._root), cell.config.tracking
        if time.monotonic() < self._next_try:
            return {}
        try:
            client, experiment = tracking.connect(place, options)
            found = {}
            for kind, signature in signatures.items():
                wanted = f"tags.`{tracking.SIGNATURE}` = '{signature}'"
                for run in client.search_runs([experiment], wanted, max_results=1):
                    found[kind] = str(run.info.run_id)
                    client.set_tag(run.info.run_id, f"study.{cell.study}", cell.arm.name)
                    if tracking.PARENT not in run.data.tags:
                        parent = tracking.study_run(client, experiment, place, cell.study)
                        client.set_tag(run.info.run_id, tracking.PARENT, parent)
        except tracking.unavailable() as error:
            log.warning("tracking is away (%s); %s has no MLflow ids in cells.json", error, cell.name)
            self._next_try = time.monotonic() + tracking.RETRY_AFTER_SECONDS
            return {}
        return found


def thinned(tune: Path) -> str:
    """A training's curve as CSV: step, loss, val and val/<dataset>; every validation, and some losses."""
    points = read_curve(tune)
    every = max(1, len(points) // POINTS)
    kept = [point for place, point in enumerate(points) if place % every == 0 or "val" in point]
    columns = ["step", "loss", *sorted({name for point in kept for name in point if name.startswith("val")})]
    return pd.DataFrame(kept, columns=columns).to_csv(index=False, float_format="%.6g", lineterminator="\n")

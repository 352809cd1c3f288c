"""What figure.py of a study draws from: scores and probes of its cells as data frames."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from workbench import files
from workbench.report.outputs import ReportError
from workbench.report.study.collected import CELLS, PROBES
from workbench.report.study.own import NothingToDraw

SCORES = "scores.jsonl"


def table_of_contents(folder: Path) -> Mapping[str, Any]:
    """cells.json.

    Raises:
        NothingToDraw: when the study was not run, or no cell of it is finished.
    """
    path = folder / CELLS
    if not path.is_file():
        raise NothingToDraw(f"{path} does not exist; run `workbench ablate {folder.name}`")
    found: Mapping[str, Any] = files.read_json(path)
    if not found["cells"]:
        raise NothingToDraw(f"{path} lists no finished cell; run `workbench ablate {folder.name}`")
    return found


def titles(folder: Path) -> dict[str, str]:
    """Arm -> title, in the order in which the study tells them."""
    return {arm["name"]: arm["title"] for arm in table_of_contents(folder)["arms"]}


def scores(folder: Path) -> pd.DataFrame:
    """arm, seed, dataset, value: every cell's scores with the picture.

    Raises:
        ReportError: for a file that is missing or not the one that was collected.
    """
    lines = []
    for cell in table_of_contents(folder)["cells"]:
        path = folder / cell["folder"] / SCORES
        _check(path, cell["sha256"][SCORES])
        for text in path.read_text(encoding="utf-8").splitlines():
            line = json.loads(text)
            if not line["blind"]:
                own = {"arm": cell["arm"], "seed": cell["seed"]}
                lines.append({**own, "dataset": line["dataset"], "value": line["value"]})
    return pd.DataFrame(lines)


def measured(folder: Path, measure: str) -> pd.DataFrame:
    """arm, seed, value: a measure of cells.json, the mean over its datasets."""
    datasets = table_of_contents(folder)["measures"][measure]
    frame = scores(folder)
    chosen = frame[frame["dataset"].isin(datasets)]
    return chosen.groupby(["arm", "seed"], sort=False)["value"].mean().reset_index()


def probes(folder: Path) -> pd.DataFrame:
    """Every cell's probes.parquet, with arm and seed.

    Raises:
        ReportError: for a study without probes, and for a file that is missing or was edited.
    """
    frames = []
    for cell in table_of_contents(folder)["cells"]:
        if not cell.get("probe"):
            raise ReportError(
                f"{folder / CELLS}: {cell['arm']}@{cell['seed']} was not probed; run `workbench ablate "
                f"{folder.name}` with a probes.py beside its study.py"
            )
        place = folder / cell["folder"]
        path = place / "probe.json"
        try:
            record = files.read_sealed(path)
        except files.Edited as error:
            raise ReportError(f"{error}; {_remedy(folder.name)}") from error
        if record["signature"] != cell["probe"]:
            raise ReportError(f"{path} is not the record of {cell['probe']}; {_remedy(folder.name)}")
        _check(place / PROBES, record["result"]["sha256"][PROBES])
        frames.append(pd.read_parquet(place / PROBES).assign(arm=cell["arm"], seed=cell["seed"]))
    return pd.concat(frames, ignore_index=True)


def _check(path: Path, sha256: str) -> None:
    if not path.is_file() or files.file_sha256(path) != sha256:
        study = path.parents[2].name
        raise ReportError(f"{path} is missing or not the file that was collected; {_remedy(study)}")


def _remedy(study: str) -> str:
    return f"run `workbench ablate {study}`, which collects it again"

"""Examinations as they lie on disk, put together by what was examined: one group, one or several seeds."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from workbench import files
from workbench.config import Data
from workbench.report.methods import METHODS
from workbench.report.stats import Floats
from workbench.report.study_cells import Asked
from workbench.report.table import ReportError, evaluated

FIELDS = ("kind", "name", "signature", "suite", "seed", "config", "hashes")
RECORD, WEIGHTS = "record.json", "best.safetensors"


@dataclass(frozen=True, slots=True)
class Group:
    """Examinations that differ in the training seed only.

    Attributes:
        row: as in methods.METHODS.
        config: the resolved configuration of the first seed.
        signatures: one for each seed.
        asked: dataset -> metric and examples.
        shares: dataset -> (S, n) each example's score with the picture, seeds in the order of `seeds`.
    """

    row: str
    suite: str
    config: Mapping[str, Any]
    seeds: Sequence[int]
    signatures: Sequence[str]
    folders: Sequence[Path]
    asked: Mapping[str, Asked]
    shares: Mapping[str, Floats]

    def setting(self, name: str) -> Any:
        """A value of the configuration by its dotted name; None if the record has none."""
        section, _, key = name.partition(".")
        return self.config.get(section, {}).get(key)


def find(place: Path, known: Iterable[Path] = ()) -> list[Path]:
    """The folders of examinations that a path means.

    Args:
        place: an examination; a folder of them (runs, outputs/evaluate, a study's folder); or a folder
            with a checkpoint's best.safetensors, which stands for those that examined these very weights.
        known: where to look for a checkpoint's examinations.

    Raises:
        ReportError: if there is none.
    """
    if found := examinations(place):
        return found
    if (place / WEIGHTS).is_file():
        mark = files.file_sha256(place / WEIGHTS)
        folders = [folder for root in known for folder in examinations(root)]
        if found := [one for one in folders if _record(one)["hashes"].get("weights") == mark]:
            return found
        raise ReportError(f"{place / WEIGHTS} was never examined; run `dvc repro evaluate` with it first")
    raise ReportError(f"{place} holds no examination; give a run, a folder of runs or a tuned checkpoint")


def examinations(place: Path) -> list[Path]:
    """The folder itself, those in it, or a study's cells; none if there is no finished one."""
    inside = sorted(path.parent for path in [*place.glob(f"*/{RECORD}"), *place.glob(f"cells/*/{RECORD}")])
    return [folder for folder in (place, *inside) if _is_examination(folder)]


def groups(folders: Iterable[Path]) -> list[Group]:
    """One group for each way of training and asking, in the order of METHODS; copies of a run count once.

    Raises:
        ReportError: naming the file: a record that lacks something or was edited, an unknown row, a seed
            trained twice, or seeds that were not asked the same.
    """
    parts: dict[str, list[tuple[Path, Mapping[str, Any]]]] = {}
    seen = set()
    for folder in folders:
        record = _record(folder)
        if record["signature"] in seen:
            continue
        seen.add(record["signature"])
        train = {**record["config"].get("train", {}), "seed": None}
        data = {**asdict(Data()), **record["config"].get("data", {})}  # earlier records lack younger fields
        hashes = {key: value for key, value in record["hashes"].items() if key != "weights"}
        same = [record["name"], {**record["config"], "train": train, "data": data}, hashes]
        parts.setdefault(files.digest({"same": same}), []).append((folder, record))
    made = [_group(sorted(part, key=lambda one: one[1]["seed"])) for part in parts.values()]
    return sorted(made, key=lambda group: list(METHODS).index(group.row))


def _is_examination(folder: Path) -> bool:
    return (folder / RECORD).is_file() and (folder / "predictions.parquet").is_file()


def _record(folder: Path) -> Mapping[str, Any]:
    path = folder / RECORD
    record: dict[str, Any] = files.read_json(path)
    if missing := [field for field in FIELDS if field not in record]:
        raise ReportError(f"{path} has no field {missing[0]!r}; run its evaluation again")
    if record["kind"] != "evaluate" or record["name"] not in METHODS:
        raise ReportError(f"{path} is of {record['kind']} {record['name']}, no row of the comparison")
    seal = record.pop("seal", None)
    if seal is not None and seal != files.digest(record):
        raise ReportError(f"{path} was edited after it was written; delete its run and evaluate again")
    for name, mark in record.get("result", {}).get("sha256", {}).items():
        if files.file_sha256(folder / name) != mark:
            raise ReportError(f"{folder / name} is not what {path} says; delete its run and evaluate again")
    return record


def _group(part: Sequence[tuple[Path, Mapping[str, Any]]]) -> Group:
    folders, records = [folder for folder, _ in part], [record for _, record in part]
    seeds = [int(record["seed"]) for record in records]
    if len(set(seeds)) < len(seeds):
        raise ReportError(f"{folders[0]} and {folders[1]} have the same seed and configuration; give one")
    asked: dict[str, Asked] = {}
    lines: dict[str, list[Floats]] = {}
    for folder in folders:
        frame = evaluated(folder)[0]
        frame = frame[~frame["blind"].astype(bool)].sort_values(["dataset", "example_id"])
        for name, one in frame.groupby("dataset", sort=True):
            found = _asked(one)
            known = asked.setdefault(str(name), found)
            if (known.examples, known.images) != (found.examples, found.images):
                raise ReportError(f"{folder} and {folders[0]} were not asked the same of {name}; give one")
            lines.setdefault(str(name), []).append(one["score"].to_numpy(float))
    first = records[0]
    return Group(
        row=first["name"],
        suite=first["suite"],
        config=first["config"],
        seeds=seeds,
        signatures=[str(record["signature"]) for record in records],
        folders=folders,
        asked={name: one for name, one in asked.items() if len(lines[name]) == len(folders)},
        shares={name: np.stack(found) for name, found in lines.items() if len(found) == len(folders)},
    )


def _asked(frame: pd.DataFrame) -> Asked:
    examples, images = (frame[name].astype(str).tolist() for name in ("example_id", "image_id"))
    return Asked(str(frame["metric"].iloc[0]), examples, images, frame["positive"].to_numpy(bool))

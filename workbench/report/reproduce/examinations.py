"""Examinations as they lie on disk, put together by what was examined: one group, one or several seeds."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from workbench import files
from workbench.config import Data
from workbench.report.methods import METHODS
from workbench.report.outputs import ReportError, evaluated
from workbench.report.statistics.intervals import Floats
from workbench.report.study.cells import Asked

log = logging.getLogger(__name__)

FIELDS = ("kind", "name", "signature", "suite", "seed", "config", "hashes")
TRAINED = ("data", "model", "train")  # sections of the configuration that weights follow from
RECORD, TUNE, WEIGHTS = "record.json", "tune.json", "best.safetensors"
DETAILS = "details.parquet"  # of official examinations


@dataclass(frozen=True, slots=True)
class Group:
    """Examinations that differ in the training seed only.

    Attributes:
        row: as in methods.METHODS.
        config: the resolved configuration of the first seed.
        signatures: one for each seed.
        asked: dataset -> metric and examples; of what stands beside the scores, "<dataset> <metric>" -> them.
        shares: the same names -> (S, n) each example's score with the picture, seeds in the order of `seeds`.
        after: whether their training began with weights of an earlier tuning, not with the start's.
    """

    row: str
    suite: str
    config: Mapping[str, Any]
    seeds: Sequence[int]
    signatures: Sequence[str]
    folders: Sequence[Path]
    asked: Mapping[str, Asked]
    shares: Mapping[str, Floats]
    after: bool

    @property
    def beside(self) -> list[str]:
        """The names in `asked` of what stands beside the scores; a dataset's has no space."""
        return [name for name in self.asked if " " in name]

    def setting(self, name: str) -> Any:
        """A value of the configuration by its dotted name; None if the record has none."""
        section, _, key = name.partition(".")
        return self.config.get(section, {}).get(key)


def find(place: Path, known: Iterable[Path] = (), starts: Sequence[str] = ()) -> list[Path]:
    """The folders of examinations that a path means.

    Args:
        place: an examination; a folder of them (runs, outputs/evaluate, a study's folder); a folder
            with a checkpoint's best.safetensors, or a start: these two stand for the examinations of these
            very weights, a start for those of itself, untuned.
        known: where to look for a checkpoint's examinations.
        starts: hashes of the BLIP-2 folders in `place`, where it is a start.

    Raises:
        ReportError: if there is none.
    """
    if found := examinations(place):
        return found
    if (place / WEIGHTS).is_file():
        mark = files.file_sha256(place / WEIGHTS)
        if found := [one for one, hashes in _hashed(known) if hashes.get("weights") == mark]:
            return found
        raise ReportError(f"{place / WEIGHTS} was never examined; run `dvc repro evaluate` with it first")
    if starts:
        untuned = [(one, hashes) for one, hashes in _hashed(known) if not hashes.get("weights")]
        if found := [one for one, hashes in untuned if hashes.get("start") in starts]:
            return found
        raise ReportError(
            f"{place} was never examined; run `workbench evaluate blip2` with it as model.start first"
        )
    raise ReportError(
        f"{place} holds no examination; give a run, a folder of runs, a tuned checkpoint or a start"
    )


def _hashed(known: Iterable[Path]) -> list[tuple[Path, Mapping[str, str]]]:
    """The examinations in these places, with what they say to have followed from; `groups` checks those
    that are taken, and damage to others is no reason not to show them."""
    found = []
    for folder in (folder for root in known for folder in examinations(root)):
        try:
            found.append((folder, files.read_json(folder / RECORD)["hashes"]))
        except (ValueError, LookupError, TypeError) as error:
            log.warning("%s is left out: %s", folder / RECORD, error)
    return found


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
    begun: dict[str, bool] = {}
    trainings = cache(_trainings)
    seen = set()
    for folder in folders:
        record = _record(folder)
        earlier = _earlier(record, trainings(folder.parent))
        mark = files.digest({"same": _same(record, [*record["config"], "data", "train"]), "after": earlier})
        asked = (mark, record["hashes"].get("weights") or record["signature"])
        if asked not in seen:
            seen.add(asked)
            parts.setdefault(mark, []).append((folder, record))
            begun[mark] = bool(earlier)
    made = [
        _group(sorted(part, key=lambda one: one[1]["seed"]), begun[mark]) for mark, part in parts.items()
    ]
    return sorted(made, key=lambda group: list(METHODS).index(group.row))


def _same(record: Mapping[str, Any], sections: Sequence[str]) -> list[Any]:
    """What a record has in common with those of other seeds; of its configuration these sections."""
    config = {name: record["config"].get(name, {}) for name in sections}
    config["train"] = {**config["train"], "seed": None}
    config["data"] = {**asdict(Data()), **config["data"]}  # earlier records lack younger fields
    if record["hashes"].get("weights"):  # of some seeds also without the picture, which is left out here
        config["evaluate"] = {**config.get("evaluate", {}), "blind": None}
    hashes = {key: value for key, value in record["hashes"].items() if key not in ("config", "weights")}
    return [record["name"], config, hashes]


def _trainings(place: Path) -> list[Mapping[str, Any]]:
    """The records of tuning in a folder's folders, by themselves or beside the examination of a cell.

    Nobody asked for them: one that is damaged or was edited is no evidence, and left out.
    """
    found: list[Mapping[str, Any]] = []
    for path in sorted(path for name in (RECORD, TUNE) for path in place.glob(f"*/{name}")):
        try:
            record = files.read_sealed(path)
        except ValueError as error:
            log.warning("%s is left out: %s", path, error)
            continue
        if record.get("kind") == "tune" and "result" in record:
            found.append(record)
    return found


def _earlier(record: Mapping[str, Any], trainings: Sequence[Mapping[str, Any]]) -> list[Any]:
    """What tuned the weights that the examined model's own training began with; empty for the start's.

    Where that record is not among the `trainings`, its signature stands for it, which is one for each seed.
    """
    weights = record["hashes"].get("weights")
    own = [one for one in trainings if weights and one["result"].get("weights_sha256") == weights]
    after = own[0]["hashes"].get("after") if own else None
    before = [_same(one, TRAINED) for one in trainings if one["signature"] == after]
    return before[:1] or ([after] if after else [])


def _is_examination(folder: Path) -> bool:
    return (folder / RECORD).is_file() and (folder / "predictions.parquet").is_file()


def _record(folder: Path) -> Mapping[str, Any]:
    path = folder / RECORD
    try:
        record = files.read_sealed(path)
    except files.Edited as error:
        raise ReportError(f"{error}; delete its run and evaluate again") from error
    if missing := [field for field in FIELDS if field not in record]:
        raise ReportError(f"{path} has no field {missing[0]!r}; run its evaluation again")
    if record["kind"] != "evaluate" or record["name"] not in METHODS:
        raise ReportError(f"{path} is of {record['kind']} {record['name']}, no row of the comparison")
    for name, mark in record.get("result", {}).get("sha256", {}).items():
        if not (folder / name).is_file() or files.file_sha256(folder / name) != mark:
            raise ReportError(f"{folder / name} is not what {path} says; delete its run and evaluate again")
    return record


def _group(part: Sequence[tuple[Path, Mapping[str, Any]]], after: bool) -> Group:
    folders, records = [folder for folder, _ in part], [record for _, record in part]
    seeds = [int(record["seed"]) for record in records]
    if len(set(seeds)) < len(seeds):
        raise ReportError(f"{folders[0]} and {folders[1]} have the same seed and configuration; give one")
    asked: dict[str, Asked] = {}
    lines: dict[str, list[Floats]] = {}
    for folder in folders:
        for name, one in _scored(folder):
            found = _asked(one)
            known = asked.setdefault(name, found)
            if (known.examples, known.images) != (found.examples, found.images):
                raise ReportError(f"{folder} and {folders[0]} were not asked the same of {name}; give one")
            lines.setdefault(name, []).append(one["score"].to_numpy(float))
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
        after=after,
    )


def _scored(folder: Path) -> Iterator[tuple[str, pd.DataFrame]]:
    """The examples of each name of Group.asked, with the picture."""
    frame = evaluated(folder)[0]
    frame = frame[~frame["blind"].astype(bool)].sort_values(["dataset", "example_id"])
    for dataset, one in frame.groupby("dataset", sort=True):
        yield str(dataset), one
    if (folder / DETAILS).is_file():
        frame = pd.read_parquet(folder / DETAILS).assign(positive=False)
        frame["name"] = frame["dataset"] + " " + frame["metric"]
        for name, one in frame[~frame["blind"].astype(bool)].groupby("name", sort=False):
            yield str(name), one.sort_values("example_id")


def _asked(frame: pd.DataFrame) -> Asked:
    examples, images = (frame[name].astype(str).tolist() for name in ("example_id", "image_id"))
    return Asked(str(frame["metric"].iloc[0]), examples, images, frame["positive"].to_numpy(bool))

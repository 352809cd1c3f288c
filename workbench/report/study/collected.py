"""What a study left in outputs/studies/<study>: what ran, what is missing, and every example's score.

cells.json says what belongs to the study and what each file's SHA-256 is; each cell's record.json says
the same under a seal of its own. Whatever differs from that is refused, so that an effect on the page is
one of the runs that stand beside it.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from workbench import files
from workbench.report.outputs import ReportError, evaluated
from workbench.report.statistics.intervals import Floats
from workbench.report.study.cells import Arm, Asked, Cell, Declared, Looked, Study

CELLS, CURVE, ATTENTION = "cells.json", "curve.csv", "attention.json"
RESULTS, PROBES = ("scores.jsonl", "predictions.parquet"), "probes.parquet"
RECORDS = {"evaluate": "record.json", "tune": "tune.json", "probe": "probe.json"}
FIELDS: Mapping[str, type] = {
    "study": str, "question": str, "baseline": str, "arms": list, "claims": list, "measures": dict,
    "seeds": list, "development": bool, "revision": dict, "cells": list, "missing": list,
}  # fmt: skip
CELL_FIELDS: Mapping[str, type] = {
    "arm": str, "seed": int, "folder": str, "evaluate": str, "cost": dict, "data": str, "code": str,
    "row": str, "sha256": dict, "extras": dict, "mlflow": dict,
}  # fmt: skip


def read_study(folder: Path) -> Study:
    """Reads and checks outputs/studies/<study>.

    Raises:
        ReportError: naming file, field and remedy: for a missing, incomplete or edited file, development
            seeds, cells on different data, code or examples, and a study without a finished cell.
    """
    path = folder / CELLS
    raw = _json(path, folder.name)
    _typed(raw, FIELDS, str(path), folder.name)
    if raw["study"] != folder.name:
        raise _wrong(folder.name, f"{path}: study is {raw['study']!r} in the folder of another")
    if raw["development"]:
        raise _wrong(folder.name, f"{path} is of development seeds, which no report shows")
    arms, claims = _arms(raw, path), _claims(raw, path)
    cells = [_cell(line, folder, number) for number, line in enumerate(raw["cells"])]
    _check_grid(raw, arms, cells, path)
    asked: dict[str, Asked] = {}
    shares: dict[tuple[str, int, str], Floats] = {}
    blind: dict[tuple[str, int, str], float] = {}
    answers: list[pd.DataFrame] = []
    for cell in cells:
        frame, scores = evaluated(folder / "cells" / f"{cell.arm}@{cell.seed}")
        unseen = scores[scores["blind"].astype(bool)]
        for dataset, value in zip(unseen["dataset"], unseen["value"].to_numpy(float), strict=True):
            blind[cell.arm, cell.seed, str(dataset)] = float(value)
        frame = frame[~frame["blind"].astype(bool)].sort_values(["dataset", "example_id"])
        _add(cell, frame, asked, shares, folder)
        if cell.arm not in {str(part["arm"].iloc[0]) for part in answers}:
            answers.append(frame.assign(arm=cell.arm, seed=cell.seed))
    for claim in claims:
        for dataset in raw["measures"].get(claim.measure, (claim.measure,)):
            if dataset not in asked:
                about = f"claim {claim.name!r} is about {dataset}, which was not scored"
                raise _wrong(folder.name, f"{path}: {about}")
    return Study(
        name=folder.name,
        question=raw["question"],
        baseline=raw["baseline"],
        suite=str(raw.get("config", {}).get("suite", "")),
        arms=arms,
        claims=claims,
        measures=raw["measures"],
        seeds=raw["seeds"],
        cells=cells,
        missing=raw["missing"],
        asked=asked,
        shares=shares,
        blind=blind,
        curves={(c.arm, c.seed): _curve(folder, c) for c in cells if c.tune},
        looked={(c.arm, c.seed): _looked(folder, c) for c in cells},
        answers=pd.concat(answers, ignore_index=True),
        revision={key: str(value) for key, value in raw["revision"].items()},
    )


def _wrong(study: str, what: str) -> ReportError:
    remedy = f"run `workbench ablate {study}`, which copies what is recorded and trains only what is not"
    return ReportError(f"{what}; {remedy}")


def _json(path: Path, study: str, read: Callable[[Path], Any] = files.read_json) -> dict[str, Any]:
    if not path.is_file():
        raise _wrong(study, f"{path} is missing")
    try:
        raw = read(path)
    except files.Edited as error:
        raise _wrong(study, str(error)) from error
    except ValueError as error:
        raise _wrong(study, f"{path} is not readable JSON") from error
    if not isinstance(raw, dict):
        raise _wrong(study, f"{path} is no JSON object")
    return raw


def _typed(raw: Any, wanted: Mapping[str, type], where: str, study: str) -> None:
    for field, kind in wanted.items():
        if not isinstance(raw, dict) or not isinstance(raw.get(field), kind):
            raise _wrong(study, f"{where}: {field} is missing or no {kind.__name__}")


def _arms(raw: Mapping[str, Any], path: Path) -> list[Arm]:
    study, found = str(raw["study"]), []
    for number, line in enumerate(raw["arms"]):
        where = f"{path}: arms[{number}]"
        _typed(line, {"name": str, "title": str, "row": str, "changes": dict}, where, study)
        if not re.fullmatch(r"[a-z0-9_]+", line["name"]):
            raise _wrong(study, f"{where}: name {line['name']!r} may hold a-z, 0-9 and _ only")
        found.append(Arm(line["name"], line["title"], line["row"], line["changes"]))
    if raw["baseline"] not in [arm.name for arm in found]:
        raise _wrong(study, f"{path}: baseline {raw['baseline']!r} is no arm")
    return found


def _claims(raw: Mapping[str, Any], path: Path) -> list[Declared]:
    study, arms, found = str(raw["study"]), {arm["name"] for arm in raw["arms"]}, []
    for number, line in enumerate(raw["claims"]):
        where = f"{path}: claims[{number}]"
        texts = dict.fromkeys(("name", "better", "worse", "measure", "source"), str)
        _typed(line, {**texts, "primary": bool}, where, study)
        if unknown := {line["better"], line["worse"]} - arms:
            raise _wrong(study, f"{where}: {min(unknown)!r} is no arm")
        for field in ("smallest_effect", "paper"):
            value = line.get(field)
            numeric = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
            if not numeric and not (field == "paper" and value is None):
                raise _wrong(study, f"{where}: {field} is {value!r}, no number")
        found.append(Declared(**{field: line.get(field) for field in Declared.__dataclass_fields__}))
    return found


def _cell(line: Any, folder: Path, number: int) -> Cell:
    """One line of cells.json, once it is sure that its files are those that were collected."""
    study = folder.name
    _typed(line, CELL_FIELDS, f"{folder / CELLS}: cells[{number}]", study)
    name = f"{line['arm']}@{line['seed']}"
    if line["folder"] != f"cells/{name}":
        raise _wrong(study, f"{folder / CELLS}: cells[{number}].folder is not cells/{name}")
    tuned = bool(line.get("tune"))
    extras = {ATTENTION, CURVE} if tuned else {ATTENTION}
    if set(line["extras"]) != extras:
        raise _wrong(study, f"{folder / CELLS}: cells[{number}].extras are not {', '.join(sorted(extras))}")
    for file, written in {**dict.fromkeys(RESULTS), **line["sha256"], **line["extras"]}.items():
        path = folder / "cells" / name / file
        if not path.is_file():
            raise _wrong(study, f"{path} is missing")
        if files.file_sha256(path) != written:
            raise _wrong(study, f"{path} is not the file whose sha256 is in {CELLS}: it was edited")
    records = _records(line, folder / "cells" / name, number)
    return Cell(
        arm=line["arm"],
        seed=line["seed"],
        tune=str(line.get("tune") or ""),
        evaluate=line["evaluate"],
        probe=str(line.get("probe") or ""),
        data=line["data"],
        code=line["code"],
        mlflow=line["mlflow"],
        cost={kind: record["cost"] for kind, record in records.items()},
        tuned=records.get("tune", {}),
    )


def _records(line: Mapping[str, Any], place: Path, number: int) -> Mapping[str, Mapping[str, Any]]:
    """Kind -> the sealed record, once it is sure that the line says of it what it says itself."""
    study = place.parents[1].name
    wanted = {kind: file for kind, file in RECORDS.items() if line.get(kind)}
    found = {kind: _sealed(place / file, line[kind], study) for kind, file in wanted.items()}
    for kind, record in found.items():
        told = {"kind": kind}
        if kind == "evaluate":
            told |= {"name": line["row"], "hashes.data": line["data"], "hashes.code": line["code"]}
            told["result.sha256"] = line["sha256"]
        if "tune" in found:  # what is not tuned is examined once for all seeds
            told["seed"] = line["seed"]
        for field, value in told.items():
            if _at(record, field) != value:
                where = f"{place / wanted[kind]}: {field} is not the {value!r} of {CELLS}, cells[{number}]"
                raise _wrong(study, where)
    if "probe" in found:
        probes = _at(found["probe"], "result.sha256") or {}
        if not (place / PROBES).is_file() or files.file_sha256(place / PROBES) != probes.get(PROBES):
            raise _wrong(study, f"{place / PROBES} is missing or not the file that its record names")
    return found


def _at(record: Mapping[str, Any], field: str) -> Any:
    """The value of a dotted field; None without one."""
    outer, _, inner = field.partition(".")
    return record.get(outer, {}).get(inner) if inner else record.get(outer)


def _sealed(path: Path, signature: str, study: str) -> dict[str, Any]:
    record = _json(path, study, files.read_sealed)
    if record.get("signature") != signature:
        raise _wrong(study, f"{path}: signature is not the {signature} of {CELLS}")
    return record


def _curve(folder: Path, cell: Cell) -> pd.DataFrame:
    return pd.read_csv(folder / "cells" / f"{cell.arm}@{cell.seed}" / CURVE)


def _looked(folder: Path, cell: Cell) -> Looked:
    raw = _json(folder / "cells" / f"{cell.arm}@{cell.seed}" / ATTENTION, folder.name)
    maps = [np.array(shares, dtype=float) for shares in raw["maps"]]
    return Looked(raw["image"], raw["instructions"], raw["answers"], maps)


def _check_grid(raw: Mapping[str, Any], arms: Sequence[Arm], cells: Sequence[Cell], path: Path) -> None:
    study, names = str(raw["study"]), [f"{cell.arm}@{cell.seed}" for cell in cells]
    wanted = {f"{arm.name}@{seed}" for arm in arms for seed in raw["seeds"]}
    if len(names) != len(set(names)) or sorted([*names, *raw["missing"]]) != sorted(wanted):
        raise _wrong(study, f"{path}: cells and missing are not every arm with every seed")
    if not cells:
        raise _wrong(study, f"{path}: no cell is finished, {len(wanted)} are missing")
    for cell in cells:
        for field in ("data", "code"):
            if getattr(cell, field) != getattr(cells[0], field):
                both = f"{names[0]} and {cell.arm}@{cell.seed}"
                raise _wrong(study, f"{path}: {both} differ in {field}, so they do not compare")


def _add(
    cell: Cell,
    frame: pd.DataFrame,
    asked: dict[str, Asked],
    shares: dict[tuple[str, int, str], Floats],
    folder: Path,
) -> None:
    """Differences are taken example by example, so all cells have to hold the same ones."""
    first, where = not asked, folder / "cells" / f"{cell.arm}@{cell.seed}"
    for name, part in frame.groupby("dataset", sort=True):
        dataset, examples = str(name), part["example_id"].astype(str).tolist()
        images, positive = part["image_id"].astype(str).tolist(), part["positive"].to_numpy(bool)
        if first:
            asked[dataset] = Asked(str(part["metric"].iloc[0]), examples, images, positive)
        known = asked.get(dataset)
        if known is None or (known.examples, known.images) != (examples, images):
            raise _wrong(folder.name, f"{where} was not asked the same of {dataset} as the cells before it")
        shares[cell.arm, cell.seed, dataset] = part["score"].to_numpy(float)
    if absent := sorted(set(asked) - set(frame["dataset"].astype(str))):
        raise _wrong(folder.name, f"{where} was not asked {absent[0]}")

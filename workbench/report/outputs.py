"""What lies in outputs/ as tables; files that are missing, edited or of different runs are refused."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from workbench import files
from workbench.report.methods import METHODS
from workbench.report.statistics.intervals import value_of

PREDICTION_COLUMNS = (
    "dataset",
    "example_id",
    "image_id",
    "images",
    "domain",
    "instruction",
    "prediction",
    "candidates",
    "references",
    "score",
    "blind",
)
SCORE_COLUMNS = ("dataset", "metric", "value", "blind", "n")
COST_COLUMNS = ("seconds", "flops", "peak_memory_bytes")
TOLERANCE = 1e-3  # of a score in its own unit: shares may be stored in single precision


class ReportError(ValueError):
    """An input of the report is missing, edited or does not belong to the others."""


@dataclass(frozen=True, slots=True)
class Tables:
    """Everything the report is made of.

    Attributes:
        predictions: one line per row, dataset, blind and example: the parquet columns plus `row`,
            `metric` and, for AUC, the label in `positive`.
        scores: row, dataset, metric, value, blind, n; value in percent or CIDEr x 100.
        curves: recipe -> step, loss, learning_rate, val/<dataset>.
        costs: kind (tune or evaluate), name, seconds, flops, peak_memory_bytes.
        records: "evaluate/<row>" and "tune/<recipe>" -> record.json.
    """

    predictions: pd.DataFrame
    scores: pd.DataFrame
    curves: Mapping[str, pd.DataFrame]
    costs: pd.DataFrame
    records: Mapping[str, Mapping[str, Any]]

    @property
    def rows(self) -> list[str]:
        """The evaluated rows, in the paper's order."""
        present = set(self.scores["row"])
        return [name for name in METHODS if name in present]


def read(outputs: Path) -> Tables:
    """Reads outputs/evaluate/* and outputs/tune/*.

    Raises:
        ReportError: naming the file and what to rerun: nothing evaluated, an unknown row, a missing
            file or column, scores that their predictions do not give, rows scored on different
            examples or different data.
    """
    names = _folders(outputs / "evaluate")
    if not names:
        raise ReportError(f"{outputs / 'evaluate'} holds no evaluated row; run the evaluate stage first")
    if unknown := [name for name in names if name not in METHODS]:
        raise ReportError(
            f"{outputs / 'evaluate' / unknown[0]} is no row of the comparison ("
            f"{', '.join(METHODS)}); move it away"
        )
    ordered = [name for name in METHODS if name in names]
    examined = [evaluated(outputs / "evaluate" / name) for name in ordered]
    predictions = pd.concat([frame for frame, _ in examined], ignore_index=True)
    scores = pd.concat([frame for _, frame in examined], ignore_index=True)
    recipes = [name for name in METHODS if (outputs / "tune" / name).is_dir()]
    records = {f"tune/{name}": _record(outputs / "tune" / name) for name in recipes}
    records |= {f"evaluate/{name}": _record(outputs / "evaluate" / name) for name in ordered}
    _check_same_data(records)
    _check_pairing(predictions, ordered)
    return Tables(
        predictions=predictions,
        scores=scores,
        curves={name: _curve(outputs / "tune" / name / "curve.csv") for name in recipes},
        costs=pd.DataFrame([_cost(outputs, name, record) for name, record in records.items()]),
        records=records,
    )


def _folders(parent: Path) -> list[str]:
    return sorted(path.name for path in parent.iterdir() if path.is_dir()) if parent.is_dir() else []


def _present(path: Path) -> Path:
    if not path.is_file():
        raise ReportError(f"{path} is missing; run `dvc repro {path.parts[-3]}`")
    return path


def _record(folder: Path) -> Mapping[str, Any]:
    try:
        record = files.read_sealed(_present(folder / "record.json"))
    except files.Edited as error:
        raise ReportError(f"{error}; rerun its stage") from error
    for field in ("signature", "seed", "suite", "cost", "hashes"):
        if field not in record:
            raise ReportError(f"{folder / 'record.json'} has no field {field!r}; rerun its stage")
    return record


def _cost(outputs: Path, name: str, record: Mapping[str, Any]) -> dict[str, Any]:
    kind, _, row = name.partition("/")
    missing = [column for column in COST_COLUMNS if column not in record["cost"]]
    if missing:
        path = outputs / name / "record.json"
        raise ReportError(f"{path}: cost has no {', '.join(missing)}; rerun its stage")
    return {"kind": kind, "name": row} | {column: record["cost"][column] for column in COST_COLUMNS}


def _columns(frame: pd.DataFrame, wanted: tuple[str, ...], path: Path) -> None:
    missing = [column for column in wanted if column not in frame.columns]
    if missing:
        raise ReportError(f"{path} has no column {', '.join(missing)}; rerun its stage")


def _curve(path: Path) -> pd.DataFrame:
    try:
        frame = pd.read_csv(_present(path))
    except (pd.errors.ParserError, pd.errors.EmptyDataError) as error:
        raise ReportError(f"{path} is not a readable curve ({error}); rerun its stage") from error
    _columns(frame, ("step", "loss"), path)
    return frame


def evaluated(folder: Path) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Predictions and scores of one examination, checked against each other.

    Raises:
        ReportError: naming the file: it is missing, unreadable, or the two do not belong together.
    """
    path = _present(folder / "scores.jsonl")
    try:
        scores = pd.DataFrame([json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()])
    except json.JSONDecodeError as error:
        raise ReportError(f"{path} is not JSON lines ({error}); rerun its stage") from error
    _columns(scores, SCORE_COLUMNS, path)
    path = _present(folder / "predictions.parquet")
    try:
        predictions = pd.read_parquet(path)
    except (OSError, ValueError) as error:
        raise ReportError(f"{path} is not readable parquet ({error}); rerun its stage") from error
    _columns(predictions, PREDICTION_COLUMNS, path)
    metrics = dict(zip(scores["dataset"], scores["metric"], strict=True))
    predictions["metric"] = predictions["dataset"].map(metrics)
    predictions["positive"] = [
        metric == "auc" and str(references[0]).strip().lower() in ("yes", "true")
        for metric, references in zip(predictions["metric"], predictions["references"], strict=True)
    ]
    _check_scores(folder, predictions, scores)
    return predictions.assign(row=folder.name), scores.assign(row=folder.name)


def _check_scores(folder: Path, predictions: pd.DataFrame, scores: pd.DataFrame) -> None:
    """Every line of scores.jsonl has to follow from predictions.parquet, and none may be missing."""
    groups = {key: group for key, group in predictions.groupby(["dataset", "blind"], sort=False)}
    keys = list(zip(scores["dataset"], scores["blind"], strict=True))
    if len(set(keys)) != len(keys) or set(keys) != set(groups):
        raise ReportError(
            f"{folder / 'scores.jsonl'} and predictions.parquet do not hold the same datasets; "
            f"run `dvc repro -f evaluate`"
        )
    for key, metric, value, n in zip(keys, scores["metric"], scores["value"], scores["n"], strict=True):
        group = groups[key]
        found = value_of(metric, group["score"].to_numpy(float), group["positive"].to_numpy(bool))
        if n != len(group) or not abs(found - value) <= TOLERANCE:
            raise ReportError(
                f"{folder / 'scores.jsonl'} gives {metric} {value:.3f} of {n} for {key[0]}, its predictions "
                f"give {found:.3f} of {len(group)}; one was edited or is of another run: "
                f"run `dvc repro -f evaluate`"
            )


def _check_same_data(records: Mapping[str, Mapping[str, Any]]) -> None:
    first, *others = [name for name in records if name.startswith("evaluate/")]
    for name in others:
        if records[name]["hashes"].get("data") != records[first]["hashes"].get("data"):
            raise ReportError(f"{first} and {name} were scored on different data; run `dvc repro`")


def _check_pairing(predictions: pd.DataFrame, rows: list[str]) -> None:
    """Differences are taken example by example, so all rows have to hold the same ones."""
    by_row = {
        row: set(zip(part["dataset"], part["example_id"], part["image_id"], part["blind"], strict=True))
        for row, part in predictions.groupby("row", sort=False)
    }
    for row in rows[1:]:
        if odd := by_row[row] ^ by_row[rows[0]]:
            dataset, example, _, _ = min(odd)
            raise ReportError(
                f"rows {rows[0]} and {row} were not scored on the same examples ({dataset}/{example}); "
                "run `dvc repro`"
            )

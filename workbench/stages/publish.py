"""Copies what DVC shall see from runs/<signature>/ to the stages' outputs: small, and without the rest."""

from __future__ import annotations

import csv
import io
import shutil
import statistics
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from workbench import files
from workbench.data.catalog import FIGURE4_HELD_OUT, HELD_IN, HELD_OUT
from workbench.experiment.answers import WEIGHTS
from workbench.experiment.curve import read_curve
from workbench.experiment.details import DETAILS
from workbench.experiment.record import RECORD, Record
from workbench.experiment.score import read_scores

POINTS = 200  # of a curve that goes into git; validations are kept besides


def tuned(folder: Path, root: Path, recipe: str) -> None:
    """outputs/tune/<recipe>, reports/curves/<recipe>.csv and reports/metrics/tune_<recipe>.json."""
    target = _fresh(root / "outputs/tune" / recipe)
    for name in (RECORD, WEIGHTS):
        shutil.copyfile(folder / name, target / name)
    curve = [{k: v for k, v in point.items() if not k.startswith("drawn/")} for point in read_curve(folder)]
    files.write_text(target / "curve.csv", _table(curve))
    every = max(1, len(curve) // POINTS)
    thin = [point for i, point in enumerate(curve) if i % every == 0 or "val" in point]
    files.write_text(root / "reports/curves" / f"{recipe}.csv", _table(thin))
    record = Record.read(folder)
    best = curve[int(record.result["best_step"]) - 1]
    figures = {"signature": folder.name, "best_step": best["step"], "validation": best["val"]}
    figures |= {"loss": round(statistics.fmean(p["loss"] for p in curve[-50:]), 4)}
    figures |= {"seconds": round(record.cost.seconds, 1)}
    files.write_json(root / "reports/metrics" / f"tune_{recipe}.json", figures)


def evaluated(folder: Path, root: Path, row: str) -> None:
    """outputs/evaluate/<row> and reports/metrics/<row>.json."""
    target = _fresh(root / "outputs/evaluate" / row)
    for name in (RECORD, *Record.read(folder).result["sha256"]):
        shutil.copyfile(folder / name, target / name)
    figures: dict[str, Any] = {"signature": folder.name}
    for blind, title in ((False, "score"), (True, "blind")):
        values = {s["dataset"]: s["value"] for s in read_scores(folder) if s["blind"] is blind}
        if values:
            figures[title] = _averages(values) | {name: round(value, 2) for name, value in values.items()}
    if (folder / DETAILS).is_file():
        details = pd.read_parquet(folder / DETAILS).query("not blind")
        means = details["score"].groupby(details["dataset"] + " " + details["metric"]).mean()
        figures["beside"] = means.round(2).to_dict()
    files.write_json(root / "reports/metrics" / f"{row}.json", figures)


def _averages(values: Mapping[str, float]) -> dict[str, float]:
    groups: dict[str, Iterable[str]] = {
        "held_in": HELD_IN,
        "held_out": HELD_OUT,
        "held_out_figure4": FIGURE4_HELD_OUT,
    }
    whole = {key: names for key, names in groups.items() if values.keys() >= set(names)}  # evaluate.datasets
    means = {key: statistics.fmean(values[n] for n in names) for key, names in whole.items()}
    return {f"mean_{key}": round(mean, 2) for key, mean in means.items()}


def _fresh(folder: Path) -> Path:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder


def _table(points: list[dict[str, Any]]) -> str:
    columns = list(dict.fromkeys(key for point in points for key in point))
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows({k: f"{v:.6g}" if isinstance(v, float) else v for k, v in p.items()} for p in points)
    return text.getvalue()

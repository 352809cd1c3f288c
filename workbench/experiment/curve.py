"""The curve of a training: one point for each step, a line of curve.jsonl."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from accelerate.utils import gather_object

from workbench import files

Curve = dict[str, float]
CURVE = "curve.jsonl"


def read_curve(folder: Path) -> list[dict[str, Any]]:
    """The points of curve.jsonl, one for each step."""
    return [json.loads(line) for line in (folder / CURVE).read_text(encoding="utf-8").splitlines()]


def cut(folder: Path, steps: int) -> None:
    """Leaves the first `steps` points: those after the checkpoint are made again, and are the same."""
    path = folder / CURVE
    lines = path.read_text(encoding="utf-8").splitlines()[:steps] if path.exists() else []
    files.write_text(path, "".join(line + "\n" for line in lines))


def flat(step: int, metrics: Mapping[str, Any]) -> Curve:
    """What the loop says of a step, and as ``drawn/<dataset>`` how many examples all processes drew."""
    point: Curve = {"step": step}
    point |= {key: value for key, value in metrics.items() if key != "datasets"}
    drawn: Counter[str] = sum(map(Counter, gather_object([metrics["datasets"]])), Counter())
    return point | {f"drawn/{name}": count for name, count in drawn.items()}


def counts(point: Mapping[str, Any]) -> dict[str, int]:
    """Dataset -> the examples of it that a point says were drawn."""
    return {key.removeprefix("drawn/"): n for key, n in point.items() if key.startswith("drawn/")}

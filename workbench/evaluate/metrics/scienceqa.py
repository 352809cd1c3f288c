"""ScienceQA's accuracies by subject, context and grade (lupantech/ScienceQA, tools/evaluate_acc.py)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

Problem = Mapping[str, Any]  # as in problems.json: subject, hint, image, grade

GROUPS: Mapping[str, Callable[[Problem], bool]] = {
    "natural": lambda p: p["subject"] == "natural science",
    "social": lambda p: p["subject"] == "social science",
    "language": lambda p: p["subject"] == "language science",
    "text context": lambda p: bool(p["hint"]),
    "image context": lambda p: bool(p["image"]),
    "no context": lambda p: not p["hint"] and not p["image"],
    "grades 1-6": lambda p: int(p["grade"].removeprefix("grade")) <= 6,
    "grades 7-12": lambda p: int(p["grade"].removeprefix("grade")) >= 7,
    "average": lambda p: True,
}


def scienceqa_accuracy(shares: Sequence[float], problems: Sequence[Problem]) -> dict[str, float]:
    """The mean share (percent) of each group that has an example; contexts overlap, as officially.

    "image context" over the whole test split is the paper's ScienceQA IMG.

    Raises:
        ValueError: if a problem lacks a field that is asked.
    """
    found = {}
    for name, belongs in GROUPS.items():
        try:
            chosen = [share for share, problem in zip(shares, problems, strict=True) if belongs(problem)]
        except KeyError as error:
            raise ValueError(f"a problem has no field {error}; take it from problems.json") from error
        if chosen:
            found[name] = sum(chosen) / len(chosen)
    return found

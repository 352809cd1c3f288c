"""What MLflow shows of a run beside its figures: some answers in words, and a table of the scores."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from workbench import files
from workbench.data.catalog import Suite, for_suite
from workbench.records import Prediction

SAMPLE, TABLE = "sample.csv", "scores.md"
SAMPLED = 3  # answers of each dataset
COLUMNS = ("dataset", "example_id", "instruction", "prediction", "references", "score")


def first(said: Sequence[Prediction], shares: Sequence[float]) -> pd.DataFrame:
    """The first answers to a dataset, each with its share of the score."""
    lines = (
        (p.example.dataset, p.example.example_id, p.instruction, p.text, list(p.example.references), share)
        for p, share in zip(said[:SAMPLED], shares[:SAMPLED], strict=True)
    )
    return pd.DataFrame(lines, columns=COLUMNS)


def write_sample(folder: Path, answered: pd.DataFrame) -> None:
    """The first answers to each dataset, of a frame with COLUMNS."""
    some = answered.groupby("dataset", sort=False).head(SAMPLED)[list(COLUMNS)]
    with files.replacing(folder / SAMPLE) as temporary:
        some.to_csv(temporary, index=False)


def write_table(folder: Path, title: str, scores: Iterable[Mapping[str, Any]]) -> None:
    """Of lines as in scores.jsonl; one with `blind` stands beside the one that saw."""
    lines = list(scores)
    blind = {line["dataset"]: f"{line['value']:.1f}" for line in lines if line["blind"]}
    table = [f"# {title}", "", "| dataset | metric | score | blind |", "|---|---|---:|---:|"]
    table += [
        f"| {s['dataset']} | {s['metric']} | {s['value']:.1f} | {blind.get(s['dataset'], '')} |"
        for s in lines
        if not s["blind"]
    ]
    files.write_text(folder / TABLE, "\n".join(table) + "\n")


def validated(point: Mapping[str, Any], suite: Suite) -> list[dict[str, Any]]:
    """What a point of a curve says of each dataset's validation examples, as lines of scores.jsonl."""
    values = {key.removeprefix("val/"): value for key, value in point.items() if key.startswith("val/")}
    return [
        {"dataset": name, "metric": for_suite(name, suite).metric, "value": value, "blind": False}
        for name, value in values.items()
    ]

"""What the official suite reports beside the scores, computed from the answers on disk.

    details.parquet     dataset, metric, example_id, image_id, blind, score: one row for each example that a
                        metric is over; the mean is its value
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from workbench import files
from workbench.config import Config
from workbench.data.catalog import ASKED_AGAIN
from workbench.data.direct import direct
from workbench.data.prepare import load_examples
from workbench.evaluate.metrics.beside import BESIDE
from workbench.experiment import record
from workbench.records import Example, Prediction

DETAILS = "details.parquet"


def askings(config: Config) -> tuple[str, ...]:
    """The datasets to examine a model on, and the names of those that are asked a second time."""
    datasets = record.asked(config)
    return (*datasets, *(again for again, name in ASKED_AGAIN.items() if name in datasets))


def examples_of(name: str, config: Config, root: Path) -> Sequence[Example]:
    """The examples of an asking, as they were prepared."""
    examples = load_examples(root / "data/prepared", ASKED_AGAIN.get(name, name), config.evaluate.split)
    return direct(examples) if name in ASKED_AGAIN else examples


def detail(folder: Path, config: Config, root: Path) -> list[str]:
    """Writes details.parquet of an examination of the official suite.

    Returns:
        The file's name, if there is anything to say beside the scores.
    """
    frames: list[pd.DataFrame] = []
    for name in (name for name in BESIDE if (folder / "answers" / f"{name}.parquet").is_file()):
        examples = {example.example_id: example for example in examples_of(name, config, root)}
        for blind, part in pd.read_parquet(folder / "answers" / f"{name}.parquet").groupby("blind"):
            columns = ("example_id", "instruction", "prediction", "candidate_scores")
            lines = zip(*(part[column] for column in columns), strict=True)
            said = [Prediction(examples[name], asked, text, tuple(s)) for name, asked, text, s in lines]
            for metric, shares in BESIDE[name](said).items():
                chosen = part.iloc[list(shares)][["dataset", "example_id", "image_id"]]
                frames.append(chosen.assign(metric=metric, blind=bool(blind), score=list(shares.values())))
    if not frames:
        return []
    with files.replacing(folder / DETAILS) as temporary:
        pd.concat(frames, ignore_index=True).to_parquet(temporary)
    return [DETAILS]

"""The nouns of a study's page: arms, declared claims, finished cells, and every example's score."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from workbench.report.statistics.effects import Paired
from workbench.report.statistics.intervals import Bools, Floats, value_of


@dataclass(frozen=True, slots=True)
class Arm:
    """One configuration of the study, as study.py declares it."""

    name: str
    title: str
    row: str
    changes: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Declared:
    """A claim as study.py declares it: `better` is above `worse` on `measure`."""

    name: str
    better: str
    worse: str
    measure: str
    smallest_effect: float
    paper: float | None
    source: str
    primary: bool
    published: Mapping[str, float] | None = None


@dataclass(frozen=True, slots=True)
class Cell:
    """One finished arm with one seed, and where it comes from.

    Attributes:
        tune, evaluate, probe: signatures of its runs; no tuning for BLIP-2 as it is, and
            probes in few studies.
        mlflow: kind -> run id, as far as tracking was there.
        cost: kind -> seconds, flops, peak_memory_bytes.
        tuned: the record of its training, for the model card; empty for BLIP-2 as it is.
    """

    arm: str
    seed: int
    tune: str
    evaluate: str
    probe: str
    data: str
    code: str
    mlflow: Mapping[str, str]
    cost: Mapping[str, Mapping[str, float]]
    tuned: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Asked:
    """What all cells were asked of one dataset, in the order of their shares."""

    metric: str
    examples: Sequence[str]
    images: Sequence[str]
    positive: Bools


@dataclass(frozen=True, slots=True)
class Looked:
    """One picture asked about twice: where the Q-Former looks, and what is said.

    Attributes:
        image: reference of the picture.
        maps: for each instruction the shares (N,) of the vision tokens, the class token first.
    """

    image: str
    instructions: Sequence[str]
    answers: Sequence[str]
    maps: Sequence[Floats]

    @property
    def shift(self) -> float:
        """Percent of the attention that is elsewhere for the other instruction (total variation)."""
        return float(50 * np.abs(self.maps[0] - self.maps[1]).sum())


@dataclass(frozen=True, slots=True)
class Study:
    """A study as far as it has run.

    Attributes:
        measures: averages that a claim can be about -> their datasets.
        seeds: those asked for; `missing` names the cells that are not finished.
        asked: dataset -> its examples.
        shares: arm, seed, dataset -> each example's score.
        blind: the same places -> the dataset's value without the picture, where it was asked so.
        curves: arm, seed -> step, loss, val, val/<dataset> of the training.
        looked: arm, seed -> where its Q-Former looks.
        answers: what the arms said with the first seed of each, one line per arm and example.
        revision: of the code that collected the cells.
    """

    name: str
    question: str
    baseline: str
    suite: str
    arms: Sequence[Arm]
    claims: Sequence[Declared]
    measures: Mapping[str, Sequence[str]]
    seeds: Sequence[int]
    cells: Sequence[Cell]
    missing: Sequence[str]
    asked: Mapping[str, Asked]
    shares: Mapping[tuple[str, int, str], Floats]
    blind: Mapping[tuple[str, int, str], float]
    curves: Mapping[tuple[str, int], pd.DataFrame]
    looked: Mapping[tuple[str, int], Looked]
    answers: pd.DataFrame
    revision: Mapping[str, str]

    def arm(self, name: str) -> Arm:
        """The arm of that name."""
        return next(arm for arm in self.arms if arm.name == name)

    @property
    def probed(self) -> bool:
        """Whether its cells were asked probes."""
        return any(cell.probe for cell in self.cells)

    def paired(self, *arms: str) -> tuple[int, ...]:
        """The seeds that all these arms have."""
        have = [{cell.seed for cell in self.cells if cell.arm == arm} for arm in arms]
        return tuple(sorted(set.intersection(*have)))

    def datasets_of(self, measure: str) -> Sequence[str]:
        """What a claim's measure averages: several datasets, or one."""
        return self.measures.get(measure, (measure,))

    def stacked(self, arm: str, dataset: str, seeds: Iterable[int]) -> Floats:
        """(S, n) shares."""
        return np.stack([self.shares[arm, seed, dataset] for seed in seeds])

    def value(self, arm: str, seed: int, dataset: str) -> float:
        """The dataset's value, in percent or CIDEr x 100."""
        asked = self.asked[dataset]
        return value_of(asked.metric, self.shares[arm, seed, dataset], asked.positive)

    def pair(self, better: str, worse: str, dataset: str) -> Paired:
        """Two arms on one dataset with the seeds that both have."""
        seeds, asked = self.paired(better, worse), self.asked[dataset]
        first, second = (self.stacked(arm, dataset, seeds) for arm in (better, worse))
        return Paired(asked.metric, first, second, asked.images, asked.positive)

"""Model cards: what a trained arm was made of, what it can do, where it fails, and who should not use it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from workbench.report.compare import Dataset
from workbench.report.statistics.intervals import Interval
from workbench.report.study.cells import Arm, Cell, Study
from workbench.report.study.effects import Found
from workbench.report.words import metric, number

SIGHT = 2.0  # points that the picture has to add before answers are said to rest on it
SHIFT = 1.0  # percent of the attention that has to move with the instruction
WEAKEST = 3
GENERAL_FAILURES = (
    "Like every model of this kind it can name what is not in the picture, repeat what its language model "
    "took from text alone, and answer with confidence where it cannot see; its answers carry the biases of "
    "all data that its frozen parts were trained on."
)
CAUTION = (
    "InstructBLIP's authors advise against putting such a model to any use before its safety and fairness "
    "in that very use were assessed (arXiv 2305.06500, broader impact). Nobody has assessed this one; "
    "nothing here says that it may be deployed."
)


@dataclass(frozen=True, slots=True)
class Card:
    """One trained arm.

    Attributes:
        settings: dotted fields of params.yaml that made the weights -> values.
        drawn: dataset, examples drawn in training (mean over seeds), percent of all draws.
        averages: measure -> average with its interval.
        failures: measured ones, a sentence each.
    """

    arm: Arm
    cells: Sequence[Cell]
    settings: Mapping[str, Any]
    drawn: Sequence[tuple[str, float, float]]
    averages: Mapping[str, Interval]
    failures: Sequence[str]


def cards(study: Study, found: Found, datasets: Sequence[Dataset]) -> list[Card]:
    """Of every arm that has a finished training."""
    made = []
    for arm in study.arms:
        cells = [cell for cell in study.cells if cell.arm == arm.name and cell.tune]
        if cells:
            averages = {
                name: average.found
                for name in study.measures
                if (average := found.average(arm.name, name)) is not None
            }
            made.append(
                Card(
                    arm=arm,
                    cells=cells,
                    settings=settings(cells[0]),
                    drawn=drawn(cells, datasets),
                    averages=averages,
                    failures=failures(study, arm.name, datasets),
                )
            )
    return made


def settings(cell: Cell) -> dict[str, Any]:
    """The data, model and train sections that it was tuned with; the seed is each cell's own."""
    found: dict[str, Any] = {}
    for section in ("data", "model", "train"):
        for field, value in dict(cell.tuned["config"].get(section, {})).items():
            if (section, field) != ("train", "seed"):
                found[f"{section}.{field}"] = value
    return found


def drawn(cells: Sequence[Cell], datasets: Sequence[Dataset]) -> list[tuple[str, float, float]]:
    """Title, mean examples and their share, in the catalogue's order."""
    lines, seen = [], [cell.tuned["examples"] for cell in cells]
    total = sum(sum(examples.values()) for examples in seen) or 1
    for dataset in datasets:
        count = sum(examples.get(dataset.name, 0) for examples in seen)
        if count:
            lines.append((dataset.title, count / len(cells), 100 * count / total))
    return lines


def failures(study: Study, arm: str, datasets: Sequence[Dataset]) -> list[str]:
    """What the arm was measured to get wrong, means over its seeds; the rules are the same for all arms."""
    seeds = study.paired(arm)
    values = {
        d: float(np.mean([study.value(arm, seed, d.name) for seed in seeds]))
        for d in datasets
        if d.name in study.asked
    }
    said = []
    lowest = sorted((d for d in values if d.metric != "cider"), key=lambda d: values[d])[:WEAKEST]
    listed = ", ".join(f"{d.title} {number(values[d])} ({metric(d.metric)})" for d in lowest)
    if listed:
        said.append(f"Lowest scores: {listed}.")
    unseen = []
    for d in values:
        both = [seed for seed in seeds if (arm, seed, d.name) in study.blind]  # not every seed
        if both:
            sight = float(np.mean([study.value(arm, seed, d.name) for seed in both]))
            blind = float(np.mean([study.blind[arm, seed, d.name] for seed in both]))
            if sight - blind < SIGHT:
                unseen.append(f"{d.title} ({number(sight)} with, {number(blind)} without)")
    if unseen:
        said.append(f"The picture adds less than {SIGHT:g} points on {', '.join(unseen)}.")
    shift = float(np.mean([study.looked[arm, seed].shift for seed in seeds]))
    if shift < SHIFT:
        said.append(
            "Its Q-Former looks at the same places whatever is asked: between two instructions "
            f"{number(shift)} % of its attention moves."
        )
    return said

"""What a training would take, before it is run."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from statistics import fmean

from workbench import files
from workbench.batch import Batch
from workbench.config import Config
from workbench.experiment.fit import _Run, signed
from workbench.experiment.operations import step_flops
from workbench.records import Recipe
from workbench.surroundings import home

MIXED = 8  # batches that are counted when datasets are mixed within a batch


def training_flops(config: Config, recipe: Recipe, root: Path) -> float:
    """Floating-point operations of a whole tuning, counted on its first batch as `fit` does.

    Raises:
        ValueError: for missing or damaged inputs, naming file and remedy.
    """
    run = _run(config, recipe, root)
    return step_flops(run.model, run.batches) * config.train.steps


def mean_step_flops(config: Config, recipe: Recipe, root: Path) -> float:
    """Floating-point operations of one update, forward and backward, on the average over the mixture.

    Counted on a batch of each dataset, the first that the run draws, and weighted by how often the
    dataset is drawn; with data.mixing=example on the first MIXED batches, which are all alike.

    Raises:
        ValueError: for missing or damaged inputs, naming file and remedy.
    """
    run = _run(config, recipe, root)
    if config.data.mixing == "example":
        return fmean(step_flops(run.model, partial(_at, run.batches, step)) for step in range(MIXED))
    total, step, left = 0.0, 0, {name: p for name, p in run.mixture.probabilities.items() if p > 0}
    while left:
        dataset = run.mixture.draw(config.train.seed, step, 1)[0].dataset
        if dataset in left:
            total += left.pop(dataset) * step_flops(run.model, partial(_at, run.batches, step))
        step += 1
    return total


def _run(config: Config, recipe: Recipe, root: Path) -> _Run:
    hashes = signed(config, recipe, root)
    return _Run(config, recipe, root, home(root) / "runs" / files.digest(hashes), hashes)


def _at(batches: Callable[[int], Iterator[Batch]], step: int, first: int) -> Iterator[Batch]:
    return batches(step + first)

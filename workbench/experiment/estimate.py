"""What a training would take, before it is run."""

from __future__ import annotations

from pathlib import Path

from workbench import files
from workbench.config import Config
from workbench.experiment.fit import _Run, signed, step_flops
from workbench.records import Recipe
from workbench.surroundings import home


def training_flops(config: Config, recipe: Recipe, root: Path) -> float:
    """Floating-point operations of a whole tuning, counted on its first batch as `fit` does.

    Raises:
        ValueError: for missing or damaged inputs, naming file and remedy.
    """
    hashes = signed(config, recipe, root)
    run = _Run(config, recipe, root, home(root) / "runs" / files.digest(hashes), hashes)
    return step_flops(run.model, run.batches) * config.train.steps

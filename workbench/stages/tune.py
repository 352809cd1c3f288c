"""Stage tune: one recipe's model in outputs/tune/<recipe>, its curve and key figures in reports/."""

from __future__ import annotations

import argparse
from pathlib import Path

from workbench.config import Config
from workbench.experiment.fit import fit
from workbench.records import RECIPES, Recipe
from workbench.stages import publish
from workbench.stages.guard import stage


def work(config: Config, root: Path, recipe: Recipe) -> None:
    """Tunes, unless this very run is finished already, and shows the result to DVC."""
    publish.tuned(fit(config, recipe, root), root, recipe)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--recipe", choices=RECIPES, required=True)
    chosen = parser.parse_args().recipe
    stage(lambda config, root: work(config, root, chosen))

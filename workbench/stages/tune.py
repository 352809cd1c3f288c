"""Stage tune: every recipe's model in outputs/tune/<recipe>, curves and key figures in reports/."""

from __future__ import annotations

import argparse
from pathlib import Path

from workbench.config import Config
from workbench.records import RECIPES, Recipe
from workbench.stages import side_by_side
from workbench.stages.guard import stage


def work(config: Config, root: Path, recipe: Recipe | None) -> None:
    """Tunes with one recipe or with all, unless that is done already, and shows the result to DVC."""
    if recipe is None:
        side_by_side.ready(config, root)
        # the tagged texts take longest, so they go first
        side_by_side.run("workbench.stages.tune", "--recipe", RECIPES[::-1], config.workers)
        return
    # here, so that the process that only waits for the others does without torch's half a gigabyte
    from accelerate import PartialState

    from workbench.experiment.fit import fit
    from workbench.stages import publish

    folder = fit(config, recipe, root)
    if PartialState().is_main_process:  # of those that `accelerate launch` started
        publish.tuned(folder, root, recipe)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--recipe", choices=RECIPES, help="this one alone; all without")
    chosen = parser.parse_args().recipe
    stage(lambda config, root: work(config, root, chosen))

"""`workbench flops STUDY`: counts what a training step of each arm takes, for studies of matched compute."""

from __future__ import annotations

import argparse
from pathlib import Path

from workbench.config import Config, changed
from workbench.experiment.estimate import mean_step_flops
from workbench.records import ROWS
from workbench.search import compute
from workbench.search.seeds import DEVELOPMENT
from workbench.search.study import StudyError, load
from workbench.stages.guard import stage


def work(config: Config, root: Path, study: str) -> None:
    """Writes experiments/<study>/flops.json; nothing is trained."""
    folder, flops = root / "experiments" / study, {}
    arms = load(folder, config, counted=False).arms
    for arm in arms:
        recipe = ROWS[arm.row]
        if recipe is None:
            raise StudyError(f"arm {arm.name!r} of {study} is not tuned, so its compute cannot be matched")
        setting = changed(config, {**arm.changes, "train.seed": DEVELOPMENT})
        flops[arm.name] = mean_step_flops(setting, recipe, root)
        print(f"{arm.name}: {flops[arm.name]:.4g} FLOPs a step")
    print(compute.write(folder, config, arms, flops))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--study", required=True)
    given = parser.parse_args()
    stage(lambda config, root: work(config, root, given.study))

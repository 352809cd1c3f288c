"""Stage explore: a study's SPACE searched; what was found in outputs/explorations/<study>."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from workbench.config import Config
from workbench.search.explore import explore
from workbench.search.worker import STORAGE
from workbench.stages.guard import stage


def work(config: Config, root: Path, study: str, trials: int, workers: int | None, reclaim: str) -> None:
    """Runs the trials that are missing and writes what they found."""
    storage = os.environ.get(STORAGE, "")
    workers = config.workers if workers is None else workers
    folder = explore(config, root, study, trials, workers, storage, reclaim)
    print(f"{study}: {folder / 'exploration.json'}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--study", required=True)
    parser.add_argument("--trials", type=int, default=40, help="how many in all, those of earlier calls too")
    parser.add_argument("-j", dest="workers", type=int, help="trials at once; params.yaml's workers without")
    parser.add_argument("--reclaim", default="", help="a machine that is gone for good: take its trials up")
    given = parser.parse_args()
    stage(lambda config, root: work(config, root, **vars(given)))

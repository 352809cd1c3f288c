"""Stage ablate: every cell of a study in outputs/studies/<study>, and its page in reports/studies."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from workbench.config import Config
from workbench.search.ablate import ablate
from workbench.search.worker import STORAGE
from workbench.stages.guard import stage
from workbench.stages.page import page


def work(
    config: Config,
    root: Path,
    study: str,
    seeds: str,
    workers: int | None,
    development: bool,
    arms: str,
    reclaim: str,
) -> None:
    """Runs the cells that are missing, collects all, and writes the page unless it is development."""
    storage = os.environ.get(STORAGE, "")
    workers = config.workers if workers is None else workers
    folder = ablate(config, root, study, seeds, workers, storage, development, arms, reclaim)
    print(f"{study}: {folder / 'cells.json'}")
    if not development:
        print(f"{study}: {page(root, study)}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--study", required=True)
    parser.add_argument("--seeds", default="5", help="how many, or which: 101,102")
    parser.add_argument("-j", dest="workers", type=int, help="cells at once; params.yaml's workers without")
    parser.add_argument("--development", action="store_true", help="with development seeds, for no report")
    parser.add_argument("--arms", default="", help="some of them, with commas between; all without")
    parser.add_argument("--reclaim", default="", help="a machine that is gone for good: take its cells back")
    given = parser.parse_args()
    stage(lambda config, root: work(config, root, **vars(given)))

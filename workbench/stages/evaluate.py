"""Stage evaluate: every row's answers and scores in outputs/evaluate/<row>, key figures in reports/."""

from __future__ import annotations

import argparse
from pathlib import Path

from workbench.config import Config
from workbench.records import ROWS, Row
from workbench.stages import side_by_side
from workbench.stages.guard import stage

SCORE = "workbench.experiment.score"


def work(config: Config, root: Path, row: Row | None) -> None:
    """Examines what the stage tune left, one row or all, unless that is done already."""
    if row is None:
        side_by_side.run("workbench.stages.evaluate", "--row", tuple(ROWS), config.workers, SCORE)
        return
    # here, so that the process that only waits for the others does without torch's half a gigabyte
    from workbench.experiment.score import score
    from workbench.stages import publish

    recipe = ROWS[row]
    tuned = root / "outputs/tune" / recipe if recipe else None
    publish.evaluated(score(config, row, root, tuned), root, row)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--row", choices=tuple(ROWS), help="this one alone; all without")
    chosen = parser.parse_args().row
    stage(lambda config, root: work(config, root, chosen))

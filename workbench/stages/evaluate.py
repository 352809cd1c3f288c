"""Stage evaluate: one row's predictions and scores in outputs/evaluate/<row>, key figures in reports/."""

from __future__ import annotations

import argparse
from pathlib import Path

from workbench.config import Config
from workbench.experiment.score import score
from workbench.records import ROWS, Row
from workbench.stages import publish
from workbench.stages.guard import stage


def work(config: Config, root: Path, row: Row) -> None:
    """Examines the model that the stage tune left, unless this was done already."""
    recipe = ROWS[row]
    tuned = root / "outputs/tune" / recipe if recipe else None
    publish.evaluated(score(config, row, root, tuned), root, row)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--row", choices=tuple(ROWS), required=True)
    chosen = parser.parse_args().row
    stage(lambda config, root: work(config, root, chosen))

"""`workbench submit`: answers that a server scores, of the start or of what the stage tune left."""

from __future__ import annotations

import argparse
from pathlib import Path

from workbench.config import Config
from workbench.data.official.hidden import HIDDEN
from workbench.records import ROWS, Row
from workbench.stages.evaluate import tuned
from workbench.stages.guard import stage


def work(config: Config, root: Path, dataset: str, row: Row) -> Path:
    """Writes the answers and says where they are and who wants them."""
    from workbench.experiment.submission import check, submit

    check(config, dataset)
    path = submit(config, root, dataset, row, tuned(config, root, ROWS[row]))
    print(f"{path}: for {HIDDEN[dataset].server}")
    return path


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--dataset", required=True)
    parser.add_argument("--row", choices=tuple(ROWS), default="instruct")
    given = parser.parse_args()
    stage(lambda config, root: work(config, root, given.dataset, given.row))

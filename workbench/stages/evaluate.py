"""Stage evaluate: every row's answers and scores in outputs/evaluate/<row>, key figures in reports/."""

from __future__ import annotations

import argparse
from pathlib import Path

from workbench.config import Config
from workbench.records import ROWS, Recipe, Row
from workbench.stages import side_by_side
from workbench.stages.guard import stage


def work(config: Config, root: Path, row: Row | None) -> None:
    """Examines what the stage tune left, one row or all, unless that is done already."""
    if row is None:
        side_by_side.run("workbench.stages.evaluate", "--row", tuple(ROWS), config.workers, helping="assist")
        return
    # here, so that the process that only waits for the others does without torch's half a gigabyte
    from workbench.experiment.score import score
    from workbench.stages import publish

    publish.evaluated(score(config, row, root, tuned(config, root, ROWS[row])), root, row)


def assist(config: Config, root: Path, row: Row) -> None:
    """Gives some of the answers of a row that another process is examining."""
    from workbench.experiment.score import assist

    assist(config, row, root, tuned(config, root, ROWS[row]))


def tuned(config: Config, root: Path, recipe: Recipe | None) -> Path | None:
    """outputs/tune/<recipe>, once it is sure that it was made with these parameters and of this start.

    Its code and data may be older: who edits how answers are made need not tune again to examine.

    Raises:
        RunError: naming the folder and the remedy.
    """
    if recipe is None:
        return None
    from workbench.experiment import record
    from workbench.experiment.answers import tuned_record
    from workbench.experiment.fit import settings_hash

    folder, remedy = root / "outputs/tune" / recipe, f"run `workbench tune {recipe}` first"
    if not (folder / record.RECORD).is_file():
        raise record.RunError(f"{folder} holds no tuned model; {remedy}")
    hashes = tuned_record(folder, remedy).hashes
    start = record.folder_hash(record.start_folder(config, root))
    if (hashes.get("config"), hashes.get("start")) != (settings_hash(config, root), start):
        raise record.RunError(f"{folder} was tuned with other parameters or of another start; {remedy}")
    return folder


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--row", choices=tuple(ROWS), help="this one alone; all without")
    chosen = parser.parse_args().row
    stage(lambda config, root: work(config, root, chosen))

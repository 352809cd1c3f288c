"""`workbench figure STUDY`: what experiments/<study>/figure.py draws, in reports/studies.

Its ``draw(outputs)`` gets the folder outputs/ and gives name -> a matplotlib Figure, which becomes an SVG,
or a data frame, which becomes a CSV; ``CAPTIONS`` says what they show. It draws from collected files alone,
without torch. The study's page has them too; this command is for a study that was explored and not run.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import pandas as pd

from workbench.config import Config
from workbench.report.front import FOLDER
from workbench.report.study.own import NothingToDraw, Own, write
from workbench.search.study import StudyError, explained, module
from workbench.stages.guard import stage


def drawn(root: Path, study: str) -> Own:
    """What the study's figure.py draws.

    Raises:
        StudyError: when there is none, it cannot be loaded, a name is one that the page has taken, or what
            it draws from was edited.
        NothingToDraw: when what it draws from is not there.
    """
    path = root / "experiments" / study / "figure.py"
    try:
        with explained(path):
            found = module(path)
            made = found.draw(root / "outputs")
    except StudyError as error:
        if isinstance(error.__cause__, NothingToDraw):
            raise error.__cause__ from None
        raise
    tables = {name: one for name, one in made.items() if isinstance(one, pd.DataFrame)}
    try:
        return Own(
            figures={name: one for name, one in made.items() if name not in tables},
            tables=tables,
            captions=getattr(found, "CAPTIONS", {}),
        )
    except ValueError as error:
        raise StudyError(f"{path}: {error}") from error


def work(config: Config, root: Path, study: str) -> None:
    """Writes reports/studies/<study>_<name>.{svg,csv}."""
    for path in write(root / "reports" / FOLDER, study, drawn(root, study)):
        print(path)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--study", required=True)
    given = parser.parse_args()
    stage(lambda config, root: work(config, root, given.study))

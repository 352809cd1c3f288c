"""`workbench figure STUDY`: what experiments/<study>/figure.py draws, in reports/studies.

Its ``draw(outputs)`` gets the folder outputs/ and gives name -> a matplotlib Figure, which becomes an SVG,
or a data frame, which becomes a CSV; it draws from collected files alone, without torch.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import pandas as pd

from workbench import files
from workbench.config import Config
from workbench.report.figures import svg
from workbench.report.front import FOLDER
from workbench.report.study_page import TAKEN
from workbench.search.study import StudyError, explained, module
from workbench.stages.guard import stage


def work(config: Config, root: Path, study: str) -> None:
    """Writes reports/studies/<study>_<name>.{svg,csv}.

    Raises:
        StudyError: for a name that the study's page has taken.
    """
    path, target = root / "experiments" / study / "figure.py", root / "reports" / FOLDER
    with explained(path):
        draw = module(path).draw
    for name, made in draw(root / "outputs").items():
        if isinstance(made, pd.DataFrame):
            text, kind = made.to_csv(index=False, float_format="%.6g", lineterminator="\n"), "csv"
        else:
            text, kind = svg(made), "svg"
        if f"{name}.{kind}" in TAKEN:
            raise StudyError(f"{path}: the study's page has a {name}.{kind} of its own; rename this one")
        files.write_text(target / f"{study}_{name}.{kind}", text)
        print(target / f"{study}_{name}.{kind}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--study", required=True)
    given = parser.parse_args()
    stage(lambda config, root: work(config, root, given.study))

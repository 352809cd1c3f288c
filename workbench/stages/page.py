"""`workbench report STUDY`: the page of one study, from outputs/studies/<study>.

What the stage ablate does at its end, without looking for runs.
"""

from __future__ import annotations

import argparse
from functools import partial
from pathlib import Path

from workbench.config import Config
from workbench.data.catalog import SCORED
from workbench.data.images import open_image
from workbench.report.study.own import NothingToDraw, Own
from workbench.report.study.page import build_study
from workbench.stages.figure import drawn
from workbench.stages.guard import stage


def work(config: Config, root: Path, study: str) -> None:
    """Builds the page and says where it is."""
    print(f"{study}: {page(root, study)}")


def page(root: Path, study: str, reports: Path | None = None) -> Path:
    """<reports>/studies/<study>.html with what belongs to it; reports/ of the root by default."""
    pictures = partial(open_image, root / "data/prepared")
    folder = root / "outputs/studies" / study
    own = own_of(root, study)
    return build_study(folder, reports or root / "reports", SCORED, pictures, own)


def own_of(root: Path, study: str) -> Own | None:
    """What the study's figure.py draws, or why it cannot yet; None without one.

    Raises:
        StudyError: see `drawn`.
    """
    if not (root / "experiments" / study / "figure.py").is_file():
        return None
    try:
        return drawn(root, study)
    except NothingToDraw as error:  # the rest of the page does not hang on it, and the page says so
        return Own(note=str(error).replace(f"{root}/", ""))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--study", required=True)
    given = parser.parse_args()
    stage(lambda config, root: work(config, root, given.study))

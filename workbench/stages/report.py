"""Stage report: reports/index.html and reports/main.md from what tuning and evaluation left.

With --study the page of one study instead, from outputs/studies/<study>: what the stage ablate does at
its end, without looking for runs.
"""

from __future__ import annotations

import argparse
from functools import partial
from pathlib import Path
from typing import Literal

from workbench.config import Config
from workbench.data.catalog import CATALOG, EXTERNAL, FIGURE4_HELD_OUT, HELD_IN, HELD_OUT
from workbench.data.images import open_image
from workbench.data.mixture import Mixture
from workbench.data.prepare import read_manifest
from workbench.report.compare import Suite
from workbench.report.render import build
from workbench.report.study_own import Own
from workbench.report.study_page import build_study
from workbench.report.table import ReportError
from workbench.stages.figure import drawn
from workbench.stages.guard import stage

RULES: tuple[Literal["sqrt", "uniform", "proportional"], ...] = ("sqrt", "uniform", "proportional")


def work(config: Config, root: Path, study: str = "") -> None:
    """Builds the report, or one study's page."""
    if study:
        print(f"{study}: {page(root, study)}")
    else:
        whole(config, root, root / "reports")


def whole(config: Config, root: Path, reports: Path) -> Path:
    """<reports>/index.html and what stands beside it; <reports>/studies holds the studies' pages."""
    prepared = root / "data/prepared"
    datasets = read_manifest(prepared)["datasets"]
    chosen = config.data.held_in or HELD_IN
    sizes = {name: datasets[name]["train"] for name in chosen}
    factors = {name: value for name, value in config.data.factors.items() if name in sizes}
    suite = Suite(
        datasets=CATALOG + EXTERNAL,
        held_in=HELD_IN,
        held_out=HELD_OUT,
        figure4=FIGURE4_HELD_OUT,
        sampling={rule: Mixture(sizes, rule, factors).probabilities for rule in RULES},
    )
    studies = sorted(path.parent.name for path in root.glob("experiments/*/study.py"))
    return build(root / "outputs", reports, partial(open_image, prepared), suite, studies)


def page(root: Path, study: str, reports: Path | None = None) -> Path:
    """<reports>/studies/<study>.html, from outputs/studies/<study>; reports/ of the root by default."""
    prepared = root / "data/prepared"
    folder = root / "outputs/studies" / study
    return build_study(
        folder,
        reports or root / "reports",
        CATALOG + EXTERNAL,
        partial(open_image, prepared),
        _own(root, study),
    )


def _own(root: Path, study: str) -> Own | None:
    """What the study's figure.py draws, or why it cannot yet; None without one."""
    if not (root / "experiments" / study / "figure.py").is_file():
        return None
    try:
        return drawn(root, study)
    except ReportError as error:  # the rest of the page does not hang on it, and the page says so
        return Own(note=str(error).replace(f"{root}/", ""))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--study", default="", help="only this study's page")
    given = parser.parse_args()
    stage(lambda config, root: work(config, root, given.study))

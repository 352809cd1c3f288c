"""Stage report: reports/index.html and reports/main.md from what tuning and evaluation left."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Literal

from workbench.config import Config
from workbench.data.catalog import FIGURE4_HELD_OUT, HELD_IN, HELD_OUT, SCORED
from workbench.data.images import open_image
from workbench.data.mixture import Mixture
from workbench.data.prepare import read_manifest
from workbench.report.compare import Suite
from workbench.report.outputs import ReportError
from workbench.report.render import build
from workbench.stages.guard import stage

RULES: tuple[Literal["sqrt", "uniform", "proportional"], ...] = ("sqrt", "uniform", "proportional")


def work(config: Config, root: Path) -> None:
    """Builds the report."""
    whole(config, root, root / "reports")


def whole(config: Config, root: Path, reports: Path) -> Path:
    """<reports>/index.html and what stands beside it; <reports>/studies holds the studies' pages.

    Raises:
        ReportError: when a held-in dataset was not prepared, and as `render.build`.
    """
    prepared = root / "data/prepared"
    datasets = read_manifest(prepared)["datasets"]
    chosen = config.data.held_in or HELD_IN
    if absent := [name for name in chosen if "train" not in datasets.get(name, {})]:
        raise ReportError(
            f"{absent[0]} is held in but has no training examples in {prepared}, and the report is about all "
            "datasets; run `dvc repro` with an empty data.datasets (and every set's files in data.root), or "
            "look at what there is with `workbench reproduce`"
        )
    sizes = {name: datasets[name]["train"] for name in chosen}
    factors = {name: value for name, value in config.data.factors.items() if name in sizes}
    suite = Suite(
        datasets=SCORED,
        held_in=HELD_IN,
        held_out=HELD_OUT,
        figure4=FIGURE4_HELD_OUT,
        sampling={rule: Mixture(sizes, rule, factors).probabilities for rule in RULES},
    )
    studies = sorted(path.parent.name for path in root.glob("experiments/*/study.py"))
    return build(root / "outputs", reports, partial(open_image, prepared), suite, studies)


if __name__ == "__main__":
    stage(work)

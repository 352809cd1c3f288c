"""Stage features: the frozen encoder's view of every picture in data/features."""

from __future__ import annotations

from pathlib import Path

from workbench.config import Config
from workbench.progress import counting
from workbench.stages.guard import importing, stage


def work(config: Config, root: Path) -> None:
    """Brings data/features up to date."""
    with importing():
        import torch

        from workbench.data.features import build
    with counting("features") as progress:
        build(
            root / "data/prepared",
            root / config.model.start / "vision",
            root / "data/features",
            device="cuda" if torch.cuda.is_available() else "cpu",
            progress=progress,
        )


if __name__ == "__main__":
    stage(work)

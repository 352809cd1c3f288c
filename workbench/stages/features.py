"""Stage features: the frozen encoder's view of every picture in data/features."""

from __future__ import annotations

import sys
from pathlib import Path

from workbench.config import Config
from workbench.progress import counting
from workbench.stages import side_by_side
from workbench.stages.fork_server import ended
from workbench.stages.guard import stage


def work(config: Config, root: Path) -> None:
    """Brings data/features up to date."""
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


def apart(config: Config, root: Path) -> None:
    """Has the work done by the fork server, which tune and evaluate find at hand then."""
    status = side_by_side.ready(config, root).fork("workbench.stages.features:work").wait()
    if status < 0:
        raise side_by_side.StageFailed(f"the process that encodes pictures {ended(status)}")
    sys.exit(status)


if __name__ == "__main__":
    stage(apart)

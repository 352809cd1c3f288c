"""Stage prepare: the suite's datasets as examples and pictures in data/prepared."""

from __future__ import annotations

from pathlib import Path

from workbench.config import Config
from workbench.data.prepare import prepare
from workbench.stages.guard import stage


def work(config: Config, root: Path) -> None:
    """Writes data/prepared; where that is a link, to a large disk perhaps, what it points to."""
    prepare(config, (root / "data/prepared").resolve(), config.workers, root)


if __name__ == "__main__":
    stage(work)

"""The extra questions that a study asks all its cells: `probes` in experiments/<study>/probes.py."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from workbench.config import Config
from workbench.experiment.probe import Probe
from workbench.search.study import StudyError, explained, module

FILE = "probes.py"


def of(study: str, config: Config, root: Path) -> tuple[Probe, ...]:
    """The study's probes, none for most studies.

    Its ``probes(world_seed, count, prepared)`` gets the seed of the world, data.eval_examples as the
    number of questions to a group, at most, and the folder of prepared data; it is a pure function of them.

    Raises:
        StudyError: naming the file.
    """
    path = root / "experiments" / study / FILE
    if not path.is_file():
        return ()
    return _made(path, config.data.world_seed, config.data.eval_examples, root / "data/prepared")


@cache
def _made(path: Path, world_seed: int, count: int, prepared: Path) -> tuple[Probe, ...]:
    with explained(path):
        made = tuple(module(path).probes(world_seed, count, prepared))
        if not made or not all(isinstance(one, Probe) for one in made):
            raise StudyError("probes() has to give Probes, one at least; see experiments/diagnostics")
    return made

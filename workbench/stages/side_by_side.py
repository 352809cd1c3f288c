"""One stage in several processes at once: the runs of a comparison do not depend on each other.

On a CPU the micro suite's operations are too small to fill a second thread; several processes do.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

from workbench import tracking
from workbench.config import Config
from workbench.stages import fork_server
from workbench.surroundings import home

POLL_SECONDS = 0.1


class StageFailed(RuntimeError):
    """A process of the stage ended with an error, which it has printed."""


def ready(config: Config, root: Path) -> None:
    """Starts the fork server and, while it imports, makes MLflow's database if there is none.

    A tracking server has its own.
    """
    fork_server.ensure()
    place = home(root)
    if not config.tracking.uri and not (place / "mlflow.db").is_file():
        (place / "spool").mkdir(parents=True, exist_ok=True)
        tracking.tidy(place, config.tracking)


def run(
    module: str,
    option: str,
    values: Sequence[str],
    workers: int,
    helping: str = "",
    imports: Sequence[str] = fork_server.IMPORTS,
) -> None:
    """Does the work of ``python -m <module> <option> <value>`` for every value, `workers` at a time.

    The first failure ends the others, which go on from their checkpoints when the stage is run again.

    Args:
        helping: the module's function that takes a share of a value's work; called beside `work` for as many
            values as there are workers without one of their own.
        imports: what the processes share.

    Raises:
        StageFailed: naming the command and its exit status.
    """
    left, running = [("work", value) for value in values], dict[tuple[str, str], fork_server.Fork]()
    alone = list(values) if helping else []  # who has had no helper yet
    try:
        while left or running:
            spare = workers - len(running)
            jobs = left or [(helping, value) for value in alone if ("work", value) in running]
            for name, value in jobs[:spare]:
                line = values.index(value) + len(values) * (name == helping)  # its progress bar's own
                running[name, value] = fork_server.Fork(f"{module}:{name}", [value], line, imports)
                if name == helping:
                    alone.remove(value)
            del left[:spare]
            for (name, value), process in list(running.items()):
                if status := process.exitcode():
                    command = f"python -m {module} {option} {value}"
                    raise StageFailed(f"`{command}` ended with exit status {status}")
                if status == 0:
                    del running[name, value]
            time.sleep(POLL_SECONDS)
    finally:
        for process in running.values():
            process.terminate()
        for process in running.values():
            process.wait()

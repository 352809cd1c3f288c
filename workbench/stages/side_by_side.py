"""One stage in several processes at once: the runs of a comparison do not depend on each other.

On a CPU the micro suite's operations are too small to fill a second thread; several processes do.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from pathlib import Path

from workbench import tracking
from workbench.config import Config
from workbench.stages.fork_server import IMPORTS, Fork, Server, ended
from workbench.surroundings import home

POLL_SECONDS = 0.1


class StageFailed(RuntimeError):
    """A process of the stage ended with an error, which it has printed."""


def ready(config: Config, root: Path) -> Server:
    """The fork server; while it imports, MLflow's database is made if there is none.

    A tracking server has its own.
    """
    server = Server()
    place = home(root)
    if not config.tracking.uri and not (place / "mlflow.db").is_file():
        (place / "spool").mkdir(parents=True, exist_ok=True)
        tracking.tidy(place, config.tracking)
    return server


def run(
    module: str,
    option: str,
    values: Sequence[str],
    workers: int,
    helping: str = "",
    imports: Sequence[str] = IMPORTS,
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
    server = Server(imports)  # one for all values: code that is edited meanwhile is for the next stage
    left, running = [("work", value) for value in values], dict[tuple[str, str], Fork]()
    alone = list(values) if helping else []  # who has had no helper yet
    try:
        while left or running:
            spare = workers - len(running)
            jobs = left or [(helping, value) for value in alone if ("work", value) in running]
            for name, value in jobs[:spare]:
                line = values.index(value) + len(values) * (name == helping)  # its progress bar's own
                running[name, value] = server.fork(f"{module}:{name}", [value], line)
                if name == helping:
                    alone.remove(value)
            del left[:spare]
            for (name, value), process in list(running.items()):
                status = process.exitcode() if (name, value) in running else None
                if status is None:
                    continue
                del running[name, value]
                command = f"python -m {module} {option} {value}"
                if status and name == helping:
                    print(f"`{command}` goes on alone: what helped it {ended(status)}", file=sys.stderr)
                elif status:
                    raise StageFailed(f"`{command}` {ended(status)}")
                elif helper := running.pop((helping, value), None):  # there is nothing left to help with
                    helper.interrupt()
                    helper.wait()
            time.sleep(POLL_SECONDS)
    finally:
        for process in running.values():
            process.interrupt()
        for process in running.values():
            process.wait()

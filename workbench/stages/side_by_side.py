"""One stage in several processes at once: the runs of a comparison do not depend on each other.

On a CPU the micro suite's operations are too small to fill a second thread; several processes do.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Sequence

POLL_SECONDS = 0.1


class StageFailed(RuntimeError):
    """A process of the stage ended with an error, which it has printed."""


def run(module: str, option: str, values: Sequence[str], workers: int) -> None:
    """Runs ``python -m <module> <option> <value>`` for every value, `workers` at a time.

    The first failure ends the others, which go on from their checkpoints when the stage is run again.

    Raises:
        StageFailed: naming the command and its exit status.
    """
    waiting, running = list(values), dict[str, subprocess.Popen[bytes]]()
    try:
        while waiting or running:
            while waiting and len(running) < workers:
                value = waiting.pop(0)
                line = {"TQDM_POSITION": str(values.index(value))}  # each progress bar has one of its own
                running[value] = subprocess.Popen(
                    [sys.executable, "-m", module, option, value], env={**os.environ, **line}
                )
            for value, process in list(running.items()):
                status = process.poll()
                if status:
                    command = f"python -m {module} {option} {value}"
                    raise StageFailed(f"`{command}` ended with exit status {status}")
                if status == 0:
                    del running[value]
            time.sleep(POLL_SECONDS)
    finally:
        for process in running.values():
            process.terminate()
        for process in running.values():
            process.wait()

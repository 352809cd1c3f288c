"""One stage in several processes at once: the runs of a comparison do not depend on each other.

On a CPU the micro suite's operations are too small to fill a second thread; several processes do. They
are forked from one that has imported torch, transformers and MLflow, so that this is paid for once.
"""

from __future__ import annotations

import gc
import importlib
import multiprocessing
import os
import time
from collections.abc import Callable, Sequence
from multiprocessing import forkserver
from multiprocessing.process import BaseProcess
from pathlib import Path

from workbench import tracking
from workbench.config import Config
from workbench.progress import LINE
from workbench.stages.guard import stage
from workbench.surroundings import home

POLL_SECONDS = 0.1
# what tracking imports when a run begins: MLflow, and its store in a database file, where runs go by default
TRACKING = ("mlflow", "mlflow.store.tracking.sqlalchemy_store")


class StageFailed(RuntimeError):
    """A process of the stage ended with an error, which it has printed."""


def ready(config: Config, root: Path) -> None:
    """Makes MLflow's database, two seconds once, and sends what earlier runs left; a server has its own."""
    if not config.tracking.uri:
        place = home(root)
        (place / "spool").mkdir(parents=True, exist_ok=True)
        tracking.tidy(place, config.tracking)


def run(
    module: str,
    option: str,
    values: Sequence[str],
    workers: int,
    imports: str,
    meanwhile: Callable[[], object] = lambda: None,
) -> None:
    """Does the work of ``python -m <module> <option> <value>`` for every value, `workers` at a time.

    The first failure ends the others, which go on from their checkpoints when the stage is run again.

    Args:
        imports: the module whose imports the processes share beside MLflow's; it must not start threads.
        meanwhile: done here while these imports are made, before the first process begins.

    Raises:
        StageFailed: naming the command and its exit status.
    """
    forks = multiprocessing.get_context("forkserver")
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")  # it would start a thread
    forks.set_forkserver_preload(["workbench.stages.uncollected", imports, *TRACKING])
    forkserver.ensure_running()
    meanwhile()
    waiting, running = list(values), dict[str, BaseProcess]()
    try:
        while waiting or running:
            while waiting and len(running) < workers:
                value = waiting.pop(0)
                # each progress bar has a line of its own
                running[value] = forks.Process(target=_one, args=(module, value, values.index(value)))
                running[value].start()
            for value, process in list(running.items()):
                if process.exitcode:
                    command = f"python -m {module} {option} {value}"
                    raise StageFailed(f"`{command}` ended with exit status {process.exitcode}")
                if process.exitcode == 0:
                    del running[value]
            time.sleep(POLL_SECONDS)
    finally:
        for process in running.values():
            process.terminate()
        for process in running.values():
            process.join()


def _one(module: str, value: str, line: int) -> None:
    gc.freeze()  # what was imported is there to stay, and shared between the processes
    gc.enable()
    os.environ[LINE] = str(line)
    stage(lambda config, root: importlib.import_module(module).work(config, root, value))

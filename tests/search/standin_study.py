"""A stand-in study through the real queue, driver and worker: `standin_study.py driver|worker FOLDER [...]`.

A cell sleeps and appends its name to FOLDER/done.log in one write, which is its record. It appends to
FOLDER/begun.log as well when it begins.
"""

import os
import random
import sys
import time
from pathlib import Path

from workbench.search.grid import Grid, alone
from workbench.search.queue import Queue, Ticket
from workbench.search.worker import STORAGE, serve

CELLS, WORKERS, LONGEST_SECONDS = 24, 3, 1.2
NAMES = [f"arm{i % 6}@{101 + i // 6}" for i in range(CELLS)]


def append(path: Path, line: str) -> None:
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.write(handle, f"{line}\n".encode())
    os.close(handle)


def lines(path: Path) -> list[str]:
    return path.read_text().splitlines() if path.exists() else []


def work(folder: Path) -> None:
    def run(ticket: Ticket) -> float:
        if ticket.cell in lines(folder / "done.log"):
            return 1.0
        append(folder / "begun.log", f"{ticket.cell} {os.getpid()}")
        time.sleep(random.uniform(0.1, 1.0) * LONGEST_SECONDS)
        if ticket.cell in os.environ.get("FAILS", "").split():
            raise ValueError("the loss is NaN")
        if ticket.cell in os.environ.get("DIES", "").split():
            os.kill(os.getpid(), 9)
        append(folder / "done.log", ticket.cell)
        return 1.0

    serve(Queue(folder, "standin", os.environ.get(STORAGE, "")), run)


def drive(
    folder: Path, names: list[str] = NAMES, workers: int = WORKERS, key: str = "k", gone: str = ""
) -> list[str]:
    """What the driver reports as finished, in its order."""
    finished: list[str] = []
    with alone(folder):
        Grid(
            Queue(folder, "standin", os.environ.get(STORAGE, "")),
            dict.fromkeys(names, key),
            lambda cell: cell in lines(folder / "done.log"),
            [sys.executable, __file__, "worker", str(folder)],
            workers,
            finished.append,
            gone=gone,
        ).run()
    return finished


if __name__ == "__main__":
    if sys.argv[1] == "driver":
        drive(Path(sys.argv[2]))
    else:
        work(Path(sys.argv[2]))

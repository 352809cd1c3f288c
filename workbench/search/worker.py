"""A process that takes cells from a study's queue, one after the other.

It stops when none waits, and after its cell when the driver that started it is gone: what it has in
hand is finished and recorded, and a new driver finds it done or waits for it.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable
from pathlib import Path

from workbench.config import load
from workbench.search import study as studies
from workbench.search.queue import Queue, Ticket
from workbench.surroundings import alive, own_identity

DRIVER, STORAGE = "WORKBENCH_DRIVER", "WORKBENCH_STORAGE"  # a URL may hold a password: not in arguments


def serve(queue: Queue, run: Callable[[Ticket], float]) -> None:
    """Takes and runs cells until none waits or the driver is gone; a cell's error ends the worker.

    Args:
        run: makes and records the cell, or returns at once if it is recorded; returns a figure for the
            queue. It may have been started before, by a worker that was killed.
    """
    driver = os.environ[DRIVER]
    while alive(driver):
        ticket = queue.take(own_identity())
        if ticket is None:
            return
        try:
            value = run(ticket)
        except BaseException as error:  # whatever it is, the queue has to know that nobody runs the cell
            queue.fail(ticket, f"{type(error).__name__}: {error}")
            raise
        queue.finish(ticket, value)


def run_cell(ticket: Ticket, name: str, root: Path) -> float:
    """Trains and examines one cell with the checkout's code and parameters.

    Raises:
        StudyError: when code, data or parameters are no longer those the driver saw.
    """
    from workbench.search.cells import finish, inspect

    base = load(root / "params.yaml")
    arm, _, seed = ticket.cell.partition("@")
    cell = studies.cell(studies.load(root / "experiments" / name, base), base, arm, int(seed))
    if inspect(cell, root).key != ticket.key:
        raise studies.StudyError(
            f"code, data or params.yaml changed after the study was started, so {ticket.cell} would not "
            "belong to its other cells; run `workbench ablate` again"
        )
    return finish(cell, root)


def main(name: str) -> None:
    """Works on one study of the checkout in the working directory."""
    from workbench.search.grid import place_of

    root = Path.cwd()
    queue = Queue(place_of(root, name), name, os.environ.get(STORAGE, ""))
    serve(queue, lambda ticket: run_cell(ticket, name, root))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("study")
    main(parser.parse_args().study)

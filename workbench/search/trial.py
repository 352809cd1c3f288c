"""A process that takes trials of an exploration, one after the other; it stops as `worker` does."""

from __future__ import annotations

import argparse
import json
import os
import statistics
from collections.abc import Iterator
from pathlib import Path

import optuna

from workbench import files
from workbench.config import Config, load
from workbench.experiment import fit, record
from workbench.experiment.curve import CURVE
from workbench.search import explore, space
from workbench.search.exploration import Exploration
from workbench.search.queue import Queue, Ticket
from workbench.search.space import Space
from workbench.search.study import StudyError
from workbench.search.worker import STORAGE, serve
from workbench.surroundings import home
from workbench.tracking import Stopped


def run_trial(ticket: Ticket, name: str, root: Path) -> float:
    """Asks for values, tunes with them and tells what the held-in validation says.

    Raises:
        StudyError: when code, data, parameters or the space are no longer those the driver saw.
    """
    base = load(root / "params.yaml")
    given = space.load(root / "experiments" / name, base)
    if explore.key_of(given, base, root) != ticket.key:
        raise StudyError(
            "code, data, params.yaml or the space changed after the exploration was started, so "
            f"{ticket.cell} would not belong to its other trials; run `workbench explore` again"
        )
    found = Exploration(
        explore.place_of(root, name), f"{name} {ticket.key}", given, os.environ.get(STORAGE, "")
    )
    if found.ended(ticket.cell):
        return 0.0  # a worker was killed between the trial's end and the slot's
    os.environ |= {"WORKBENCH_STUDY": name, "WORKBENCH_ARM": ticket.cell}
    trial = found.begin(ticket.cell)
    try:
        return tune(found, trial, given, given.setting(base, trial.params), root)
    except Exception:  # not KeyboardInterrupt: what a person interrupts is taken up again
        found.fail(trial)
        raise


def tune(found: Exploration, trial: optuna.Trial, given: Space, config: Config, root: Path) -> float:
    """Trains until the end or the pruner's; the trial's value, in points."""
    run = home(root) / "runs" / files.digest(fit.signed(config, given.recipe, root))
    watch = found.watch(trial, config.train.steps)
    trained = (run / record.RECORD).is_file()  # before this exploration, or by a worker that was killed
    try:
        if not trained:
            for step, point in _points(run):  # what a killed worker saw and may not have told
                watch(step, point)
        folder = fit.fit(config, given.recipe, root, watch=watch)
    except Stopped:
        return found.prune(trial)
    made = record.verified(folder)
    for step, point in _points(folder):
        found.report(trial, step, point)
    scores = {key: float(value) for key, value in made.result.items() if key.startswith("val/")}
    notes = {"signature": made.signature, "seconds": made.cost.seconds, "flops": made.cost.flops, **scores}
    return found.complete(trial, statistics.fmean(scores.values()), notes)


def _points(run: Path) -> Iterator[tuple[int, dict[str, float]]]:
    """The curve so far; a kill can have torn its last line."""
    if (run / CURVE).is_file():
        for line in (run / CURVE).read_text(encoding="utf-8").split("\n")[:-1]:
            point = json.loads(line)
            yield int(point["step"]), point


def main(name: str) -> None:
    """Works on one exploration of the checkout in the working directory."""
    root = Path.cwd()
    queue = Queue(explore.place_of(root, name), f"{name} slots", os.environ.get(STORAGE, ""))
    serve(queue, lambda ticket: run_trial(ticket, name, root))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("study")
    main(parser.parse_args().study)

"""`workbench explore STUDY --trials N`: a study's SPACE searched, and what was found in plain files.

    outputs/explorations/<study>/trials.csv         every trial: values, held-in validation, cost
    outputs/explorations/<study>/exploration.json   the space, importances, response curves, contrasts

The held-in validation mean is all that decides; no held-out dataset and no test split is looked at.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from workbench import files
from workbench.config import Config
from workbench.experiment import fit
from workbench.progress import counting
from workbench.report.study.exploration import EXPLORATION, TRIALS, surface
from workbench.search import grid, space
from workbench.search.exploration import Exploration
from workbench.search.queue import Queue
from workbench.search.space import Space
from workbench.search.study import StudyError
from workbench.search.study import load as load_study
from workbench.search.worker import STORAGE


def folder_of(root: Path, study: str) -> Path:
    """Where an exploration's results go; outputs/studies/<study> is emptied by `workbench ablate`."""
    return root / "outputs" / "explorations" / study


def place_of(root: Path, study: str) -> Path:
    """Where the queue of an exploration lies."""
    return grid.place_of(root, study) / "exploration"


def key_of(given: Space, base: Config, root: Path) -> str:
    """What the trials follow from besides their own values: space, parameters, data and code.

    Raises:
        ValueError: for missing inputs, naming file and remedy.
    """
    signed = fit.signed(given.setting(base, given.corner()), given.recipe, root)
    described = {**given.to_dict(), "contrasts": None, "first": None, "smallest_effect": None}
    return files.digest({"space": described, "signed": signed})


def explore(
    base: Config, root: Path, name: str, trials: int, workers: int, storage: str = "", reclaim: str = ""
) -> Path:
    """Runs what is missing of `trials` trials; the folder with trials.csv and exploration.json.

    Args:
        trials: how many there are to be in all, those of earlier calls included.
        workers: trials side by side, each in a process of its own.
        storage: an SQLAlchemy URL for Optuna; empty: sqlite below studies/.
        reclaim: a host that is gone for good, whose trials are taken up here.

    Raises:
        StudyError: for bad input, before anything runs; at the end, for trials that ended with an error.
        ValueError: for missing data, before anything runs.
    """
    grid.check(workers, reclaim)
    given = space.load(root / "experiments" / name, base)
    if trials < max(1, len(given.first)):
        raise StudyError(
            f"--trials {trials}: {max(1, len(given.first))} at least are needed, for the settings that "
            f"experiments/{name}/study.py wants first"
        )
    key, place = key_of(given, base, root), place_of(root, name)
    with grid.alone(place):
        found = Exploration(place, f"{name} {key}", given, storage)
        found.prepare()
        slots = [f"trial{number:03d}" for number in range(trials)]
        with counting(name) as count:
            ended: list[str] = []

            def finished(slot: str) -> None:
                ended.append(slot)
                count(len(ended), trials)

            try:
                grid.Grid(
                    Queue(place, f"{name} slots", storage),
                    dict.fromkeys(slots, key),
                    found.ended,
                    [sys.executable, "-m", "workbench.search.trial", name],
                    workers,
                    finished,
                    {STORAGE: storage},
                    reclaim,
                ).run()
            finally:
                folder = write(root, name, found, given, base, key)
    return folder


def write(root: Path, name: str, found: Exploration, given: Space, base: Config, key: str) -> Path:
    """The results so far, as plain files for the report; without any, those of before stay."""
    folder, frame = folder_of(root, name), found.frame()
    if not len(frame):
        return folder
    folder.mkdir(parents=True, exist_ok=True)
    with files.replacing(folder / TRIALS) as temporary:
        frame.to_csv(temporary, index=False, lineterminator="\n")
    body: dict[str, Any] = {
        "study": name,
        "question": load_study(root / "experiments" / name, base).question,
        "objective": "mean of the held-in validation scores at the best checkpoint, points",
        "space": given.to_dict(),
        "sampler": "TPE, multivariate",
        "key": key,
        "trials": {state: int(n) for state, n in frame["state"].value_counts().items()},
        "importance": found.importance(),
        "surface": surface(frame, given.to_dict()),
    }
    files.write_json(folder / EXPLORATION, body)
    return folder

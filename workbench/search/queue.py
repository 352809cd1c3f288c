"""The cells that wait, run and are done, in an Optuna study; every cell is handed out once.

Optuna's GridSampler loses and doubles cells when workers run side by side. Here all cells are enqueued
as trials and workers take only those. Reading and changing the queue happens under one file lock, so a
process that is killed at any point leaves at most a trial that runs for nobody, which `reclaim` finds
by its owner: host, process id and start time. Records on disk say what is done, the queue only who does
what, so it can be deleted between two calls of the driver.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import optuna
from filelock import FileLock
from optuna.storages import RDBStorage
from optuna.trial import FrozenTrial, TrialState
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, SQLAlchemyError

from workbench import files
from workbench.search.study import StudyError

CONNECT_SECONDS = 10
BUSY_SECONDS = 60  # how long sqlite waits for another process's write
MARK = "storage.txt"
TIMEOUT_OPTION = {"sqlite": "timeout", "postgresql": "connect_timeout", "mysql": "connect_timeout"}


@dataclass(frozen=True, slots=True)
class Ticket:
    """A cell in a worker's hands.

    Attributes:
        number: the trial's in Optuna.
        key: what the cell's result follows from; a cell whose key has changed is another one.
    """

    number: int
    cell: str
    key: str


@dataclass(frozen=True, slots=True)
class Standing:
    """The queue at one moment.

    Attributes:
        waiting: how many cells nobody has taken.
        running: cell -> the identity of its worker, "" while it is being taken.
        done: trial number -> (cell, key) that a worker has finished.
        failed: trial number -> (cell, key, the error that ended it).
    """

    waiting: int
    running: Mapping[str, str]
    done: Mapping[int, tuple[str, str]]
    failed: Mapping[int, tuple[str, str, str]]


class Queue:
    """One study's cells.

    Args:
        place: a folder that all workers share; the lock lies there, and the database by default.
        url: an SQLAlchemy URL of another database, ``postgresql://...`` or ``mysql://...``, which other
            checkouts may use as well.

    Raises:
        StudyError: when the database does not answer or holds something else.
    """

    def __init__(self, place: Path, name: str, url: str = "") -> None:
        place.mkdir(parents=True, exist_ok=True)
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self._lock, self._wanted = FileLock(place / "queue.lock"), place / "wanted.json"
        with self._lock:
            self._study = opened(url or default_url(place), own_name(place, name, url))

    def fill(self, wanted: Mapping[str, str], done: Callable[[str], bool]) -> None:
        """Enqueues what is wanted, neither waiting nor running, and not done; repeating it adds nothing.

        Args:
            wanted: cell -> key; others that wait are dropped when their turn comes.
            done: whether a cell is recorded. A worker records before it tells the queue, and the queue
                is read first, so no cell that is being finished meanwhile is enqueued again.
        """
        with self._lock:
            files.write_json(self._wanted, dict(wanted))
            busy = {_identity(trial) for trial in self._trials(TrialState.WAITING, TrialState.RUNNING)}
            for cell, key in wanted.items():
                if (cell, key) not in busy and not done(cell):
                    self._study.enqueue_trial({}, user_attrs={"cell": cell, "key": key})

    def take(self, owner: str) -> Ticket | None:
        """The next cell, which is the caller's from now on; None when none waits."""
        with self._lock:
            wanted = files.read_json(self._wanted)
            while self._trials(TrialState.WAITING):  # else ask() would make up a trial
                trial = self._study.ask()
                cell, key = trial.user_attrs.get("cell"), trial.user_attrs.get("key")
                if cell in wanted and wanted[cell] == key:
                    trial.set_user_attr("owner", owner)
                    return Ticket(trial.number, str(cell), str(key))
                self._study.tell(trial.number, state=TrialState.FAIL)
            return None

    def finish(self, ticket: Ticket, value: float) -> None:
        """Tells that the cell is done and recorded; the value is for Optuna's own pages."""
        with self._lock:
            self._study.tell(ticket.number, value, skip_if_finished=True)  # it may have been reclaimed

    def fail(self, ticket: Ticket, error: str) -> None:
        """Tells that the cell ended with an error; it is taken again only when it is enqueued again."""
        with self._lock:
            for trial in self._trials(TrialState.RUNNING):  # unless it was reclaimed meanwhile
                if trial.number == ticket.number:
                    optuna.Trial(self._study, trial._trial_id).set_user_attr("error", error)
                    self._study.tell(ticket.number, state=TrialState.FAIL)

    def reclaim(self, alive: Callable[[str], bool]) -> list[str]:
        """Takes back the cells of workers that are gone and names them; `fill` enqueues them again."""
        with self._lock:  # nobody is taking: a running trial without an owner lost it while it was
            owned = [(t, t.user_attrs.get("owner")) for t in self._trials(TrialState.RUNNING)]
            gone = [trial for trial, owner in owned if not (owner and alive(owner))]
            for trial in gone:
                self._study.tell(trial.number, state=TrialState.FAIL)
            return [str(trial.user_attrs.get("cell")) for trial in gone]

    def standing(self) -> Standing:
        """What waits, runs, is done and has failed, since the queue was first made."""
        trials = [t for t in self._study.get_trials(deepcopy=False) if "cell" in t.user_attrs]
        by_state = {state: [t for t in trials if t.state == state] for state in TrialState}
        return Standing(
            waiting=len(by_state[TrialState.WAITING]),
            running={
                t.user_attrs["cell"]: t.user_attrs.get("owner", "") for t in by_state[TrialState.RUNNING]
            },
            done={t.number: _identity(t) for t in by_state[TrialState.COMPLETE]},
            failed={
                t.number: (*_identity(t), t.user_attrs["error"])
                for t in by_state[TrialState.FAIL]
                if "error" in t.user_attrs
            },
        )

    def _trials(self, *states: TrialState) -> list[FrozenTrial]:
        return self._study.get_trials(deepcopy=False, states=states)


def _identity(trial: FrozenTrial) -> tuple[Any, Any]:
    return trial.user_attrs.get("cell"), trial.user_attrs.get("key")


def own_name(place: Path, name: str, url: str) -> str:
    """What a study is called in its database: in one that others may use as well, no other place's does so.

    The mark of a place is drawn once and lies in it, so machines that share the folder share the study.
    """
    if not url:
        return name  # the database lies in the place itself
    path = place / MARK
    with FileLock(path.with_suffix(".lock")):
        if not path.is_file():
            files.write_text(path, secrets.token_hex(8))
        return f"{name} {path.read_text(encoding='utf-8')}"


def default_url(place: Path) -> str:
    """The sqlite database of a study's folder."""
    return f"sqlite:///{place.resolve() / 'optuna.db'}"


def opened(url: str, name: str) -> optuna.Study:
    """The study of that name in a database, made if it has to be; not safe without a lock.

    Raises:
        StudyError: when the database does not answer or holds something else.
    """
    try:
        parsed = make_url(url)
        shown = parsed.render_as_string(hide_password=True)
    except ArgumentError:
        raise StudyError(
            "the storage URL cannot be read; write it as postgresql://user:password@host/database, "
            "or leave --storage out for sqlite"
        ) from None  # the error quotes the URL, which may hold a password
    backend = parsed.get_backend_name()
    seconds = BUSY_SECONDS if backend == "sqlite" else CONNECT_SECONDS
    connect = {TIMEOUT_OPTION[backend]: seconds} if backend in TIMEOUT_OPTION else {}
    try:
        storage = RDBStorage(url, engine_kwargs={"connect_args": connect})
        return optuna.create_study(
            storage=storage, study_name=name, direction="maximize", load_if_exists=True,
            sampler=optuna.samplers.RandomSampler(),
        )  # fmt: skip
    except ImportError as error:
        raise StudyError(f"storage {shown} needs a driver: {error}; install it beside optuna") from error
    except (SQLAlchemyError, RuntimeError, optuna.exceptions.OptunaError) as error:
        raise StudyError(
            f"storage {shown} does not answer or is no Optuna database ({_short(error)}); start it, "
            "correct --storage, or leave it out for sqlite"
        ) from error


def _short(error: BaseException) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0][:200]

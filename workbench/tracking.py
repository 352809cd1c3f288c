"""One MLflow run per training and per scoring; without a tracking server training goes on.

Everything goes through a spool: each event is a line appended to ``spool/<signature>.jsonl``, and
what has not been sent is sent in batches every few seconds. When the server or the database is away
the lines stay, and the next run to start sends them; a killed process loses at most a torn last line.
A server that does not answer holds training up for two tries of ten seconds, ever more rarely.
MLflow is for people: the records on disk are the truth (experiment/record.py).
"""

from __future__ import annotations

import functools
import logging
import os
import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from filelock import FileLock, Timeout

from workbench import config, database, files
from workbench.surroundings import alive, flatten, own_identity, surroundings, watching

if TYPE_CHECKING:
    from mlflow import MlflowClient

log = logging.getLogger(__name__)

SEND_EVERY_SECONDS = 10.0
RETRY_AFTER_SECONDS = 60.0  # twice as long after each further failure
LONGEST_RETRY_SECONDS = 600.0
LARGEST_BATCH = 1000  # MLflow's limit of metrics in one call
SIGNATURE, OWNER, PARENT = "workbench.signature", "workbench.owner", "mlflow.parentRunId"
Event = dict[str, Any]
Point = tuple[int, Mapping[str, float]]


class Stopped(Exception):
    """Whoever follows a run's stream wants no more of it; MLflow gets to know it as killed, not failed."""


class Track:
    """The open run of this process: appends to its spool file and sends from time to time."""

    def __init__(self, home: Path, options: config.Tracking, signature: str) -> None:
        self._home, self._options = home, options
        self.path = home / "spool" / f"{signature}.jsonl"
        self._lock = threading.Lock()
        self._next_send = time.monotonic() + SEND_EVERY_SECONDS
        self._pause = RETRY_AFTER_SECONDS
        self._last_step = max((e["step"] for e in _read(self.path) if e["event"] == "metrics"), default=-1)

    def follow(self, stream: Iterable[Point]) -> Iterator[Point]:
        """Passes on what a loop yields, (step, metrics), and records it on the way."""
        for step, values in stream:
            self.metrics(step, values)
            yield step, values

    def metrics(self, step: int, values: Mapping[str, float]) -> None:
        """Records one point of the curves; steps that an earlier, stopped process recorded are left alone."""
        if step > self._last_step:
            self._last_step = step
            self.event("metrics", step=step, values=dict(values))
        if time.monotonic() >= self._next_send:
            self.send()

    def system(self, second: int, values: Mapping[str, float]) -> None:
        """Records the machine's load."""
        self.event("system", step=second, values=dict(values))

    def artifact(self, path: Path) -> None:
        """Attaches a file; it is read when it is sent, so it has to stay where it is."""
        self.event("artifact", path=str(path.resolve()))

    def event(self, kind: str, **content: Any) -> None:
        """Appends one line to the spool; the only way into it. A full disk costs the line, not the run."""
        try:
            with self._lock:
                files.append_json(self.path, {"event": kind, "time": int(time.time() * 1000), **content})
        except OSError as error:
            log.warning("%s could not be written (%s); MLflow will lack this %s", self.path, error, kind)

    def send(self) -> bool:
        """Sends what is unsent; says whether MLflow took it. A failure is logged and tried again later."""
        try:
            deliver(self.path, self._home, self._options)
        except unavailable() as error:
            log.warning("tracking is away (%s); %s is sent later", _short(error), self.path)
            self._next_send = time.monotonic() + self._pause
            self._pause = min(2 * self._pause, LONGEST_RETRY_SECONDS)
            return False
        self._pause, self._next_send = RETRY_AFTER_SECONDS, time.monotonic() + SEND_EVERY_SECONDS
        return True


@contextmanager
def run(
    home: Path, settings: config.Config, *, name: str, signature: str, tags: Mapping[str, str]
) -> Iterator[Track]:
    """Records the block as one MLflow run, found again by its signature when an earlier try was killed.

    Args:
        home: the repository root: spool/, mlflow.db and mlruns/ live there.
        settings: logged as the run's parameters.
        signature: what the run's result follows from; also the name of its spool file.
        tags: stage, recipe, seed, suite, hashes.
    """
    options = settings.tracking
    (home / "spool").mkdir(parents=True, exist_ok=True)
    tidy(home, options)
    everything = {**tags, **surroundings(), SIGNATURE: signature, OWNER: own_identity()}
    with FileLock(home / "spool" / ".lock"):  # another process may be sending and removing what this run left
        track = Track(home, options, signature)
        track.event("run", name=name, tags=everything, params=flatten(settings.to_dict()))
    track.send()
    status = "FAILED"
    try:
        with watching(options.system_metrics_seconds, track.system):
            yield track
        status = "FINISHED"
    except (KeyboardInterrupt, Stopped):
        status = "KILLED"
        raise
    finally:
        track.event("end", status=status)
        track.send()


def deliver(path: Path, home: Path, options: config.Tracking) -> None:
    """Sends the unsent lines of a spool file and removes the file once its run has ended.

    Repeating a delivery changes nothing: a point is the same point by key, step, time and value.

    Raises:
        whatever `unavailable` lists: the server or the database is away.
    """
    from mlflow.entities import Metric

    state, sent, events = path.with_suffix(".sent"), _sent(path), _read(path)
    if not (fresh := events[sent["lines"] :]):
        return
    client, experiment = connect(home, options)
    points: list[Metric] = []
    for event in fresh:
        kind = event["event"]
        if kind == "run":
            if study := event["tags"].get("study"):
                event["tags"][PARENT] = study_run(client, experiment, home, study)
            _find_or_create(client, experiment, event, sent)
            files.write_json(state, sent)  # before any point, whose step a second try would take for known
        elif kind == "system" or (kind == "metrics" and event["step"] > sent["step"]):
            points += [Metric(k, v, event["time"], event["step"]) for k, v in event["values"].items()]
        elif kind == "artifact" and Path(event["path"]).is_file():
            client.log_artifact(sent["run_id"], event["path"])
    for start in range(0, len(points), LARGEST_BATCH):
        client.log_batch(sent["run_id"], metrics=points[start : start + LARGEST_BATCH])
    if (last := events[-1])["event"] == "end":
        client.set_terminated(sent["run_id"], last["status"], last["time"])
        path.unlink()
        state.unlink(missing_ok=True)
    else:
        files.write_json(state, {**sent, "lines": len(events)})


def tidy(home: Path, options: config.Tracking) -> None:
    """Sends what earlier processes left in the spool and marks runs whose process is gone as KILLED."""
    try:
        with FileLock(home / "spool" / ".lock", timeout=0):
            for path in sorted((home / "spool").glob("*.jsonl")):
                if not alive(_owner(path)):
                    _deliver_left(path, home, options)
            for run_id in stale(home, options):
                connect(home, options)[0].set_terminated(run_id, "KILLED")
    except Timeout:
        return  # another process is doing just this
    except unavailable() as error:
        log.warning("tracking is away (%s); what waits in spool/ is sent by a later run", _short(error))


def _deliver_left(path: Path, home: Path, options: config.Tracking) -> None:
    """`deliver`, but for what MLflow will never take: it would stand before everybody else's for ever."""
    from mlflow.exceptions import MlflowException

    state = path.with_suffix(".sent")
    try:
        deliver(path, home, options)
    except MlflowException as error:
        if error.error_code == "RESOURCE_DOES_NOT_EXIST" and state.exists():
            state.unlink()  # the database is another one: from the first line on
            deliver(path, home, options)
        elif error.error_code == "INVALID_PARAMETER_VALUE":
            log.warning("MLflow refuses what is in %s (%s); it is kept as .refused", path, _short(error))
            path.replace(path.with_suffix(".refused"))
            state.unlink(missing_ok=True)
        else:
            raise


def stale(home: Path, options: config.Tracking) -> list[str]:
    """Ids of runs that MLflow holds for running although their process on this machine is gone."""
    client, experiment = connect(home, options)
    running = client.search_runs([experiment], "attributes.status = 'RUNNING'", max_results=1000)
    return [r.info.run_id for r in running if OWNER in r.data.tags and not alive(r.data.tags[OWNER])]


def connect(home: Path, options: config.Tracking) -> tuple[MlflowClient, str]:
    """A client and the experiment's id; the database is made and brought up to date under a lock first.

    MLflow's own first use is not safe: two processes that migrate a fresh sqlite file at once ruin it.
    """
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")  # the default waits four minutes
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "10")
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    logging.getLogger("alembic").setLevel(logging.WARNING)
    logging.getLogger("mlflow.store.db.utils").setLevel(logging.WARNING)
    from mlflow import MlflowClient

    with FileLock(home / "mlflow.db.lock"):
        if not options.uri:
            database.prepare(home)
        client = MlflowClient(options.uri or database.uri(home))
        if found := client.get_experiment_by_name(options.experiment):
            return client, found.experiment_id
        place = None if options.uri else (home / "mlruns").resolve().as_uri()
        return client, client.create_experiment(options.experiment, artifact_location=place)


def study_run(client: MlflowClient, experiment: str, home: Path, study: str) -> str:
    """The id of the run that stands for a study, whose cells' runs are its children."""
    mark = f"study {study}"
    with FileLock(home / "spool" / ".study.lock"):  # whoever needs it first makes it
        if found := client.search_runs([experiment], f"tags.`{SIGNATURE}` = '{mark}'", max_results=1):
            return str(found[0].info.run_id)
        tags = {SIGNATURE: mark, "stage": "ablate", "study": study}
        run_id = str(client.create_run(experiment, run_name=study, tags=tags).info.run_id)
        client.set_terminated(run_id)  # it runs for nobody: its children have the states
        return run_id


def unavailable() -> tuple[type[Exception], ...]:
    """What MLflow raises when its server or database cannot be reached or is not what it should be."""
    from mlflow.exceptions import MlflowException
    from sqlalchemy.exc import SQLAlchemyError

    return (MlflowException, SQLAlchemyError, OSError)  # requests' errors are OSErrors


def _find_or_create(client: MlflowClient, experiment: str, event: Event, sent: dict[str, Any]) -> None:
    """Sets the run's id, and the last step that it has of an earlier process, whose spool is gone."""
    from mlflow.entities import Param, RunTag

    if not sent["run_id"]:
        mark = event["tags"][SIGNATURE]
        found = client.search_runs([experiment], f"tags.`{SIGNATURE}` = '{mark}'", max_results=1)
        if found and found[0].info.status != "FINISHED":
            steps = [m.step for m in found[0].data.to_proto().metrics if not m.key.startswith("system/")]
            sent |= {"run_id": found[0].info.run_id, "step": max(steps, default=-1)}
    params: list[Param] = []  # cannot be logged twice
    if sent["run_id"]:
        client.update_run(sent["run_id"], "RUNNING")
    else:
        sent["run_id"] = client.create_run(experiment, event["time"], run_name=event["name"]).info.run_id
        params = [Param(key, value[:6000]) for key, value in event["params"].items()]
    tags = [RunTag(key, value) for key, value in event["tags"].items()]
    client.log_batch(sent["run_id"], params=params, tags=tags)


def waiting(home: Path) -> int:
    """How many runs MLflow does not have whole; a killed one's file stays for whoever goes on with it."""
    return sum(len(_read(path)) > _sent(path)["lines"] for path in (home / "spool").glob("*.jsonl"))


def _sent(path: Path) -> dict[str, Any]:
    state = path.with_suffix(".sent")
    return {"lines": 0, "run_id": "", "step": -1} | (files.read_json(state) if state.exists() else {})


def _read(path: Path) -> list[Event]:
    """Those that arrived whole; the others are left out each time, so that `deliver` counts alike."""
    found = dict(files.json_lines(path)) if path.exists() else {}
    for number in (number for number, event in found.items() if event is None):
        _torn(path, number)
    return [event for event in found.values() if event is not None]


@functools.cache  # the file is read every few seconds
def _torn(path: Path, number: int) -> None:
    log.warning("%s: line %d was torn by a kill or a full disk; MLflow does not get it", path, number)


def _owner(path: Path) -> str:
    owners = [event["tags"][OWNER] for event in _read(path) if event["event"] == "run"]
    return owners[-1] if owners else own_identity()


def _short(error: BaseException) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0][:200]

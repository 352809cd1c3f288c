"""The driver: workers side by side until every cell of a grid is recorded, whoever is killed meanwhile."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType

from filelock import FileLock, Timeout

from workbench.progress import LINE
from workbench.search.queue import Queue, Standing
from workbench.search.study import StudyError
from workbench.search.worker import DRIVER
from workbench.surroundings import alive, home, host_of, own_identity

POLL_SECONDS = 0.5
GPUS, NVIDIA = "CUDA_VISIBLE_DEVICES", Path("/proc/driver/nvidia/gpus")
MOST_DEATHS = 3  # of a cell's workers within one call: more is no accident


def place_of(root: Path, study: str) -> Path:
    """Where a study's queue lies: beside runs/, so that temporary experiments share it."""
    return home(root) / "studies" / study


@contextmanager
def alone(place: Path) -> Iterator[None]:
    """Holds the place for one driver.

    Raises:
        StudyError: when another one holds it.
    """
    place.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(place / "driver.lock", timeout=0):
            yield
    except Timeout:
        raise StudyError(f"another process is running the study of {place}; wait for it, or end it") from None


def one_gpu(worker: int, environment: Mapping[str, str], driver: Path = NVIDIA) -> dict[str, str]:
    """What a worker's environment says of GPUs: where there are several, each worker sees one, in turn.

    Without that all would take the first. CUDA_VISIBLE_DEVICES says which of them the driver may use.
    """
    named = environment.get(GPUS)
    gpus = named.split(",") if named is not None else list(map(str, range(len(list(driver.glob("*"))))))
    return {GPUS: gpus[worker % len(gpus)]} if len(gpus) > 1 else {}


def check(workers: int, gone: str) -> None:
    """What a driver is asked for, before anything is touched.

    Raises:
        StudyError: for no worker, or if the host that is said to be gone is this one.
    """
    if workers < 1:
        raise StudyError(f"-j {workers}: one worker at least is needed")
    if gone and gone == host_of(own_identity()):
        raise StudyError(f"--reclaim {gone} is this machine, whose dead workers are seen; leave it out")


class Grid:
    """One call of the driver.

    Args:
        wanted: cell -> key, see Queue.fill.
        recorded: whether a cell is recorded; slow, so it is asked once for each cell.
        command: starts one worker, which calls `serve`.
        workers: how many at once.
        finished: called with each cell that is recorded, those of earlier calls first.
        environment: what a worker gets besides the driver's own.
        gone: a host whose workers are dead for good, which cannot be seen from here; their cells are taken
            back.

    Raises:
        StudyError: as `check`.
    """

    def __init__(
        self,
        queue: Queue,
        wanted: Mapping[str, str],
        recorded: Callable[[str], bool],
        command: Sequence[str],
        workers: int,
        finished: Callable[[str], None] = lambda cell: None,
        environment: Mapping[str, str] = MappingProxyType({}),
        gone: str = "",
    ) -> None:
        check(workers, gone)
        self._queue, self._wanted, self._recorded = queue, dict(wanted), recorded
        self._command, self._workers, self._finished = command, workers, finished
        self._environment, self._gone = environment, gone
        self._processes: dict[int, subprocess.Popen[bytes]] = {}  # by the line of their progress bar
        self._known: set[str] = set()
        self._awaited: set[str] = set()  # workers of other machines, as far as they were named
        self._deaths: Counter[str] = Counter()
        self._errors: dict[str, str] = {}
        self._ended = 0  # workers that ended with an error or a signal

    def run(self) -> None:
        """Runs every cell that is not recorded, each once; what has failed does not keep the rest.

        Raises:
            StudyError: at the end, for the cells that ended with an error or whose workers died again
                and again; at once, when workers do not come as far as taking a cell.
        """
        before = self._queue.standing()
        hosts = {host_of(owner) for owner in before.running.values() if owner}
        if self._gone and self._gone not in hosts:
            others = f", but of {', '.join(sorted(hosts))}" if hosts else ""
            print(f"--reclaim {self._gone}: no worker of it has a cell in hand{others}", file=sys.stderr)
        self._queue.reclaim(lambda owner: host_of(owner) != self._gone and alive(owner))
        self._queue.fill(self._wanted, self._done)
        try:
            while True:
                standing = self._queue.standing()
                self._tell(standing)
                failures = {n: end for n, end in standing.failed.items() if n not in before.failed}
                # a worker that an earlier driver left may end a cell of other code or parameters
                ours = [end for end in failures.values() if self._wanted.get(end[0]) == end[1]]
                self._errors |= {cell: error for cell, _, error in ours}
                for number, (cell, key) in standing.done.items():
                    if number not in before.done and self._wanted.get(cell) == key:
                        self._note(cell)
                if not all(owner and alive(owner) for owner in standing.running.values()):
                    self._bury()
                    continue
                if self._ended - len(failures) - self._deaths.total() >= MOST_DEATHS:
                    command = " ".join(self._command)
                    raise StudyError(f"`{command}` ends before it takes a cell; what it printed says why")
                if not standing.waiting and not standing.running and not self._processes:
                    break
                self._staff(standing)
                time.sleep(POLL_SECONDS)
        finally:
            for process in self._processes.values():
                process.terminate()
            for process in self._processes.values():
                process.wait()
        for cell in self._wanted.keys() - self._known - self._errors.keys():
            self._errors[cell] = "it left the queue without a record"
        if self._errors:
            lines = "\n".join(f"  {cell}: {error}" for cell, error in sorted(self._errors.items()))
            raise StudyError(f"{len(self._errors)} cells are missing, the others are recorded:\n{lines}")

    def _tell(self, standing: Standing) -> None:
        """Names each worker on another machine once: whether it is alive cannot be seen from here."""
        for cell, owner in standing.running.items():
            if owner and owner not in self._awaited and host_of(owner) != host_of(own_identity()):
                self._awaited.add(owner)
                host, pid, _ = owner.rsplit(":", 2)
                print(
                    f"{cell} is in the hands of process {pid} on {host}, which this call waits for; if that "
                    f"process is gone for good, stop this call and repeat it with --reclaim {host}",
                    file=sys.stderr,
                )

    def _done(self, cell: str) -> bool:
        if cell not in self._known and self._recorded(cell):
            self._note(cell)
        return cell in self._known

    def _note(self, cell: str) -> None:
        if cell not in self._known:
            self._known.add(cell)
            self._finished(cell)

    def _bury(self) -> None:
        """Puts the cells of dead workers back into the queue, unless they die of them."""
        gone = self._queue.reclaim(alive)
        if not gone:
            return  # it was being taken a moment ago
        self._deaths.update(gone)
        for cell in gone:
            if self._deaths[cell] >= MOST_DEATHS and not self._done(cell):
                self._errors[cell] = f"its worker was killed {MOST_DEATHS} times; is there enough memory?"
        left = {cell: key for cell, key in self._wanted.items() if cell not in self._errors}
        self._queue.fill(left, self._done)

    def _staff(self, standing: Standing) -> None:
        """Sees off the workers that have ended and starts new ones while cells wait.

        Workers that an earlier driver left behind here count: they are still busy with a cell.
        """
        for line, process in list(self._processes.items()):
            status = process.poll()
            if status is not None:
                del self._processes[line]
                self._ended += status != 0
        own = {process.pid for process in self._processes.values()}
        here = [owner for owner in standing.running.values() if host_of(owner) == host_of(own_identity())]
        busy = {int(owner.rsplit(":", 2)[1]) for owner in here}
        while standing.waiting > len(own - busy) and len(own | busy) < self._workers:
            line = min(set(range(self._workers)) - set(self._processes))
            given = {**os.environ, **self._environment, DRIVER: own_identity()}
            given[LINE] = str(line + 1)  # below the driver's own bar
            given |= one_gpu(line, os.environ)
            self._processes[line] = subprocess.Popen(self._command, env=given)
            own.add(self._processes[line].pid)

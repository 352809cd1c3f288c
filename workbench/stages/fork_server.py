"""A process that has imported torch, transformers and MLflow, and forks others to do the work of stages.

The imports take several seconds, and three stages of `make repro` want them. So a server is started by
the first of them, outlives it by some seconds, and serves the next. It is found by what a forked process
has of it: working directory, the package's code, installed packages, environment, limits, imports. Who
has others gets a server of his own.
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import resource
import select
import signal
import socket
import socketserver
import subprocess
import sys
import sysconfig
import tempfile
import threading
import time
import traceback
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from types import FrameType
from typing import Any, TextIO

from filelock import FileLock, Timeout

from workbench import files
from workbench.progress import LINE
from workbench.stages.guard import stage

# MLflow and its store in a database file are what tracking imports when a run begins
IMPORTS = ("workbench.experiment.score", "mlflow", "mlflow.store.tracking.sqlalchemy_store")
IDLE_SECONDS = 15.0
START_SECONDS = 60.0  # Python alone; imports come later
POLL_SECONDS = 0.02
# what differs from stage to stage without any bearing on what is imported
PASSING = ("DVC_", "WORKBENCH_", "PYTEST_", "PWD", "OLDPWD", "SHLVL", "_")
# as this process found it: libraries add to it
ENVIRONMENT = {name: value for name, value in os.environ.items() if not name.startswith(PASSING)}


class NoFork(RuntimeError):
    """The server does not start, or has ended."""


class Server:
    """The server of this process's state, which is started unless it is there already; imports come later.

    Raises:
        NoFork: when it does not start, or its place belongs to somebody else.
    """

    def __init__(self, imports: Sequence[str] = IMPORTS) -> None:
        self._imports = imports
        self._address = _address(imports)
        with _alone(self._address):
            self._reached().close()

    def fork(self, work: str, arguments: Sequence[str] = (), line: int = 0) -> Fork:
        """A process that does one job, and ends with this one.

        Args:
            work: ``module:function``, called with the configuration, the repository root and `arguments`.
            line: of the terminal, for its progress bars.

        Raises:
            NoFork: when the server cannot import what it should; it has printed why.
        """
        environment = {**os.environ, LINE: str(line)}
        job = {"work": work, "arguments": [*arguments], "environment": environment, "group": os.getpgrp()}
        with suppress(ConnectionError):
            with _alone(self._address):
                connection = self._reached()
                socket.send_fds(connection, [b" "], [1, 2])  # its output is ours
                connection.sendall(json.dumps(job).encode() + b"\n")
            answers = connection.makefile("r")
            if pid := answers.readline():
                return Fork(int(pid), connection, answers)
        raise NoFork(f"the process that was to import {', '.join(self._imports)} for all stages has ended")

    def _reached(self) -> socket.socket:
        """A connection to the server, which is started if nobody answers; the caller is `_alone`."""
        server: subprocess.Popen[bytes] | None = None
        began = time.monotonic()
        while True:
            connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            try:
                connection.connect(str(self._address))
                return connection
            except (FileNotFoundError, ConnectionRefusedError) as error:
                connection.close()
                if server is None:
                    self._address.unlink(missing_ok=True)
                    server = self._started()
                elif server.poll() is not None or time.monotonic() - began > START_SECONDS:
                    raise NoFork(f"`python -m {__spec__.name}` does not start") from error
                time.sleep(POLL_SECONDS)

    def _started(self) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", __spec__.name, str(self._address), *self._imports]
        environment = os.environ | {"MLFLOW_DISABLE_TELEMETRY": "true"}  # it would start a thread
        # a group of its own: what a terminal sends to one stage is not meant for the next
        return subprocess.Popen(command, stdin=subprocess.DEVNULL, env=environment, process_group=0)


class Fork:
    """A process of the server.

    Attributes:
        pid: its process id.
    """

    def __init__(self, pid: int, connection: socket.socket, answers: TextIO) -> None:
        self.pid, self._connection, self._answers = pid, connection, answers

    def exitcode(self) -> int | None:
        """Its exit status, which for a killed process is -1, or None while it works."""
        return self.wait() if select.select([self._connection], [], [], 0)[0] else None

    def wait(self) -> int:
        """Its exit status, once it has ended."""
        with suppress(ConnectionError):
            return int(self._answers.readline() or -1)
        return -1

    def interrupt(self) -> None:
        """Asks it to end, as Ctrl-C does, so that its run is marked as killed; `wait` says when it has."""
        with suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGINT)


def ended(status: int) -> str:
    """How a process ended, in words."""
    return f"ended with exit status {status}" if status >= 0 else "was killed; did memory run out?"


def _address(imports: Sequence[str]) -> Path:
    """A socket in the system's temporary folder: not every disk can hold one, nor every path be one's."""
    place = Path(tempfile.gettempdir()) / f"workbench-{os.getuid()}"
    place.mkdir(mode=0o700, exist_ok=True)
    if place.stat().st_uid != os.getuid() or place.stat().st_mode & 0o077:
        raise NoFork(f"{place} is not yours alone, so that others could run code as you; remove or rename it")
    modules = (path for path in sorted(Path("workbench").rglob("*.py")) if path.is_file())
    os.umask(mask := os.umask(0o077))
    limits = [resource.getrlimit(kind) for kind in (resource.RLIMIT_AS, resource.RLIMIT_NOFILE)]
    affinity = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []
    inherited = [mask, limits, affinity, os.getpriority(os.PRIO_PROCESS, 0), ENVIRONMENT]
    installed = Path(sysconfig.get_path("purelib")).stat().st_mtime_ns
    code = [sys.executable, installed, {str(path): files.file_sha256(path) for path in modules}]
    return place / files.digest([str(Path.cwd()), [*imports], inherited, code])


def _alone(address: Path, timeout: float = -1) -> FileLock:
    """Held by whoever connects, and by a server that makes sure that nobody does."""
    return FileLock(address.with_name("lock"), timeout=timeout)


class _Job(socketserver.BaseRequestHandler):
    """What the forked process does."""

    request: socket.socket
    server: Any

    def handle(self) -> None:
        self.server.socket.close()  # it is the server's, and with it alone it ends
        gc.freeze()  # what was imported is there to stay, and shared between the processes
        gc.enable()
        streams = socket.recv_fds(self.request, 1, 2)[1]
        with self.request.makefile("r") as lines:
            if not (told := lines.readline()):
                return  # a server was asked for, and no job
        job: dict[str, Any] = json.loads(told)
        with suppress(OSError):  # of another session
            os.setpgid(0, job["group"])
        os.environ.clear()
        os.environ.update(job["environment"])
        for number, stream in enumerate(streams, 1):
            os.dup2(stream, number)
            os.close(stream)
        sys.stdout.reconfigure(line_buffering=os.isatty(1))  # type: ignore[union-attr]
        signal.signal(signal.SIGINT, _interrupted)
        threading.Thread(target=self.end_with_the_other, daemon=True).start()
        self.request.sendall(f"{os.getpid()}\n".encode())
        status = _done(job["work"], job["arguments"])
        self.request.sendall(f"{status}\n".encode())

    def end_with_the_other(self) -> None:
        """Ends this process when the one that wants its work is gone, which has nothing to send."""
        with suppress(OSError):
            self.request.recv(1)
        os.kill(os.getpid(), signal.SIGTERM)


def _interrupted(number: int, frame: FrameType | None) -> None:
    """Once: from the terminal and from who wants the work come two, and the second would end tidying up."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    raise KeyboardInterrupt


def _done(work: str, arguments: Sequence[str]) -> int:
    """Does the work; the exit status, as if Python had been called for it."""
    module, _, name = work.partition(":")
    try:
        stage(lambda config, root: getattr(importlib.import_module(module), name)(config, root, *arguments))
        return 0
    except SystemExit as ending:
        if isinstance(ending.code, str):
            print(ending.code, file=sys.stderr)
        return ending.code if isinstance(ending.code, int) else int(ending.code is not None)
    except KeyboardInterrupt:
        return 128 + signal.SIGINT  # as a shell has it
    except BaseException:
        traceback.print_exc()
        return 1
    finally:
        sys.stdout.flush()
        sys.stderr.flush()


class _Listener(socketserver.ForkingMixIn, socketserver.UnixStreamServer):
    timeout = IDLE_SECONDS
    request_queue_size = 64
    max_children = 1000  # as many as the stages want; at once they are few
    ended = False

    def handle_timeout(self) -> None:
        """Ends the server when nobody has wanted anything for a while and nothing is being done."""
        super().handle_timeout()
        address = Path(str(self.server_address))
        if not self.active_children:
            with suppress(Timeout), _alone(address, timeout=0):
                if not select.select([self], [], [], 0)[0]:
                    address.unlink(missing_ok=True)
                    self.server_close()
                    self.ended = True


def main(address: str, imports: Sequence[str]) -> None:
    """Listens, imports, and forks a process for each connection."""
    with _Listener(address, _Job) as server:
        gc.disable()  # all that is imported stays: to look for garbage in it takes a seventh of the time
        try:
            for name in imports:
                importlib.import_module(name)
        except BaseException:
            traceback.print_exc()  # before whoever waits for an answer has something to say
            Path(address).unlink(missing_ok=True)
            sys.exit(1)
        with open(os.devnull, "w") as nowhere:  # whoever reads our starter's output waits for its end
            os.dup2(nowhere.fileno(), 1)
            os.dup2(nowhere.fileno(), 2)
        while not server.ended:
            server.handle_request()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])

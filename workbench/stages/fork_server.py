"""A process that has imported torch, transformers and MLflow, and forks others to do the work of stages.

The imports take several seconds, and three stages of `make repro` want them. So a server is started by
the first of them, outlives it by some seconds, and serves the next. It is found by what it has in memory:
the package's code, the environment, the imports. Who has others gets a server of his own.
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import select
import signal
import socket
import socketserver
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from workbench import files
from workbench.progress import LINE
from workbench.stages.guard import stage

# MLflow and its store in a database file are what tracking imports when a run begins
IMPORTS = ("workbench.experiment.score", "mlflow", "mlflow.store.tracking.sqlalchemy_store")
IDLE_SECONDS = 15.0
START_SECONDS = 60.0  # Python alone; imports come later
POLL_SECONDS = 0.02
PLACE = Path(".dvc/tmp")  # from the working directory, because a socket's path may have 107 bytes and no more
# what differs from stage to stage without any bearing on what is imported
PASSING = ("DVC_", "WORKBENCH_", "PYTEST_", "PWD", "OLDPWD", "SHLVL", "_")
# as this process found it: libraries add to it
ENVIRONMENT = {name: value for name, value in os.environ.items() if not name.startswith(PASSING)}


class NoFork(RuntimeError):
    """The server does not start, or has ended."""


class Fork:
    """A process of the server that does one job, and ends with the process that wants it.

    Args:
        work: ``module:function``, called with the configuration, the repository root and `arguments`.
        line: of the terminal, for its progress bars.

    Attributes:
        pid: its process id.

    Raises:
        NoFork: when the server cannot import what it should; it has printed why.
    """

    def __init__(
        self, work: str, arguments: Sequence[str] = (), line: int = 0, imports: Sequence[str] = IMPORTS
    ) -> None:
        address = address_of(imports)
        job = {"work": work, "arguments": list(arguments), "environment": {**os.environ, LINE: str(line)}}
        with _alone():
            self._connection = _reached(address, imports)
            socket.send_fds(self._connection, [b" "], [1, 2])  # its output is ours
            self._connection.sendall(json.dumps(job).encode() + b"\n")
        self._answers = self._connection.makefile("r")
        said = self._answers.readline()
        if not said:
            raise NoFork(f"the process that was to import {', '.join(imports)} for all stages has ended")
        self.pid = int(said)

    def exitcode(self) -> int | None:
        """Its exit status, which for a killed process is -1, or None while it works."""
        return self.wait() if select.select([self._connection], [], [], 0)[0] else None

    def wait(self) -> int:
        """Its exit status, once it has ended."""
        return int(self._answers.readline() or -1)

    def terminate(self) -> None:
        """Asks it to end; `wait` says when it has."""
        with suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGTERM)


def ensure(imports: Sequence[str] = IMPORTS) -> None:
    """Starts the server unless it is there; does not wait until it has imported everything."""
    address = address_of(imports)
    with _alone():
        _reached(address, imports).close()


def address_of(imports: Sequence[str]) -> Path:
    """The socket of the server that has this environment, the working directory's code and these imports."""
    code = {str(path): files.file_sha256(path) for path in sorted(Path("workbench").rglob("*.py"))}
    return PLACE / f"fork-{files.digest([sys.executable, list(imports), ENVIRONMENT, code])}"


def _alone(timeout: float = -1) -> FileLock:
    """Held by whoever connects, and by a server that makes sure that nobody does."""
    PLACE.mkdir(parents=True, exist_ok=True)
    return FileLock(PLACE / "fork.lock", timeout=timeout)


def _reached(address: Path, imports: Sequence[str]) -> socket.socket:
    """A connection to the server, which is started if nobody answers; the caller holds the lock."""
    server: subprocess.Popen[bytes] | None = None
    began = time.monotonic()
    while True:
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            connection.connect(str(address))
            return connection
        except (FileNotFoundError, ConnectionRefusedError) as error:
            connection.close()
            if server is None:
                address.unlink(missing_ok=True)
                command = [sys.executable, "-m", __spec__.name, str(address), *imports]
                environment = os.environ | {"MLFLOW_DISABLE_TELEMETRY": "true"}  # it would start a thread
                server = subprocess.Popen(command, stdin=subprocess.DEVNULL, env=environment)
            elif server.poll() is not None or time.monotonic() - began > START_SECONDS:
                raise NoFork(f"`{' '.join(command)}` does not start") from error
            time.sleep(POLL_SECONDS)


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
                return  # `ensure`
        job: dict[str, Any] = json.loads(told)
        os.environ.clear()
        os.environ.update(job["environment"])
        for number, stream in enumerate(streams, 1):
            os.dup2(stream, number)
        threading.Thread(target=self.end_with_the_other, daemon=True).start()
        self.request.sendall(f"{os.getpid()}\n".encode())
        status = _done(job["work"], job["arguments"])
        self.request.sendall(f"{status}\n".encode())

    def end_with_the_other(self) -> None:
        """Ends this process when the one that wants its work is gone, which has nothing to send."""
        with suppress(OSError):
            self.request.recv(1)
        os.kill(os.getpid(), signal.SIGTERM)


def _done(work: str, arguments: Sequence[str]) -> int:
    """Does the work; the exit status, as if Python had been called for it."""
    module, _, name = work.partition(":")
    try:
        stage(lambda config, root: getattr(importlib.import_module(module), name)(config, root, *arguments))
        return 0
    except SystemExit as ended:
        if isinstance(ended.code, str):
            print(ended.code, file=sys.stderr)
        return ended.code if isinstance(ended.code, int) else int(ended.code is not None)
    except BaseException:
        traceback.print_exc()
        return 1
    finally:
        sys.stdout.flush()
        sys.stderr.flush()


class _Server(socketserver.ForkingMixIn, socketserver.UnixStreamServer):
    timeout = IDLE_SECONDS
    request_queue_size = 64
    max_children = 1000  # as many as the stages want; at once they are few
    ended = False

    def handle_timeout(self) -> None:
        """Ends the server when nobody has wanted anything for a while and nothing is being done."""
        super().handle_timeout()
        address = Path(str(self.server_address))
        if not self.active_children:
            with suppress(Timeout), _alone(timeout=0):
                if not select.select([self], [], [], 0)[0]:
                    address.unlink(missing_ok=True)
                    self.server_close()
                    self.ended = True


def main(address: str, imports: Sequence[str]) -> None:
    """Listens, imports, and forks a process for each connection."""
    mask = os.umask(0o077)  # nobody else may connect
    with _Server(address, _Job) as server, suppress(KeyboardInterrupt):
        os.umask(mask)
        gc.disable()  # all that is imported stays: to look for garbage in it takes a seventh of the time
        for name in imports:
            importlib.import_module(name)
        with open(os.devnull, "w") as nowhere:  # whoever reads our starter's output waits for its end
            os.dup2(nowhere.fileno(), 1)
            os.dup2(nowhere.fileno(), 2)
        while not server.ended:
            server.handle_request()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])

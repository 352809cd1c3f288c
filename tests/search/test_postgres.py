"""The queue on a real PostgreSQL, started here on a free port of this machine."""

from __future__ import annotations

import multiprocessing
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path

import pytest
import standin_study
from kill_rounds import round_of

from workbench.search.queue import Queue
from workbench.search.study import StudyError
from workbench.search.worker import STORAGE
from workbench.surroundings import own_identity

psycopg = pytest.importorskip("psycopg", reason="psycopg, the driver for PostgreSQL, is not installed")


def programs() -> Path | None:
    """The folder with initdb and postgres; Debian keeps them off the PATH."""
    places = [Path(found).resolve().parent for found in [shutil.which("initdb")] if found]
    places += sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    needed = ("initdb", "postgres", "pg_isready")
    return next((place for place in places if all((place / name).exists() for name in needed)), None)


def somebody() -> dict[str, object]:
    """PostgreSQL refuses to run as root: then as its own user, or nobody."""
    if os.geteuid() != 0:
        return {}
    names = {entry.pw_name for entry in pwd.getpwall()}
    entry = pwd.getpwnam("postgres" if "postgres" in names else "nobody")
    return {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}


class Server:
    """A cluster of its own below the temporary folder; nothing listens beyond 127.0.0.1."""

    def __init__(self, folder: Path, bin_folder: Path) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.url = f"postgresql://me:secret@127.0.0.1:{self.port}/postgres"
        self.folder, self.bin, self.owner = folder, bin_folder, somebody()
        (folder / "password").write_text("secret")
        if self.owner:
            for path in (folder, folder / "password"):
                os.chown(path, self.owner["user"], self.owner["group"])
        made = self.command(
            "initdb", "-U", "me", "-A", "scram-sha-256", "--pwfile", folder / "password", "-N"
        )
        subprocess.run(made, check=True, capture_output=True, **self.owner)

    def command(self, program: str, *arguments: object) -> list[str]:
        return [str(part) for part in (self.bin / program, "-D", self.folder / "data", *arguments)]

    def start(self) -> None:
        options = ("-h", "127.0.0.1", "-p", self.port, "-k", self.folder, "-F")
        command = self.command("postgres", *options)
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log, **self.owner)
        asked = [self.bin / "pg_isready", "-h", "127.0.0.1", "-p", str(self.port)]
        limit = time.monotonic() + 120
        while subprocess.run(asked, capture_output=True, check=False).returncode != 0:
            assert self.process.poll() is None, (self.folder / "log").read_text()
            assert time.monotonic() < limit, "it does not begin to answer"
            time.sleep(0.1)

    def stop(self) -> None:
        self.process.send_signal(signal.SIGINT)  # fast: open connections are closed
        self.process.wait(timeout=60)


@pytest.fixture(scope="module")
def server():
    found = programs()
    if found is None:
        pytest.skip("PostgreSQL is not installed (apt-get install postgresql)")
    folder = Path(tempfile.mkdtemp(prefix="workbench-postgres-"))
    made = Server(folder, found)
    made.start()
    yield made
    made.stop()
    shutil.rmtree(folder)


def take_all(place: str, url: str, found: multiprocessing.Queue) -> None:
    queue = Queue(Path(place), "shared", url)
    while ticket := queue.take(own_identity()):
        found.put(ticket.cell)
        queue.finish(ticket, 0.0)


def test_processes_side_by_side_share_the_cells(server, tmp_path):
    cells = {f"c{i}@101": "k" for i in range(12)}
    Queue(tmp_path, "shared", server.url).fill(cells, lambda cell: False)
    context = multiprocessing.get_context("spawn")
    found = context.Queue()
    workers = [context.Process(target=take_all, args=(str(tmp_path), server.url, found)) for _ in range(3)]
    for worker in workers:
        worker.start()
    taken = [found.get(timeout=120) for _ in cells]
    for worker in workers:
        worker.join()
    assert sorted(taken) == sorted(cells)
    standing = Queue(tmp_path, "shared", server.url).standing()
    assert (standing.waiting, sorted(cell for cell, _ in standing.done.values())) == (0, sorted(cells))
    assert not (tmp_path / "optuna.db").exists()


def test_every_cell_is_done_once_whoever_is_killed(server, tmp_path, monkeypatch):
    monkeypatch.setenv(STORAGE, server.url)
    counts = round_of(tmp_path / "study", seed=2023)
    assert (counts["done"], counts["twice"]) == (standin_study.CELLS, 0)
    assert counts["left"] > 0
    assert not (tmp_path / "study/optuna.db").exists()


def test_a_wrong_password_is_a_sentence_without_it(server, tmp_path):
    wrong = server.url.replace("secret", "guessed")
    with pytest.raises(StudyError, match=r"storage postgresql://me:\*\*\*@127.*does not answer") as error:
        Queue(tmp_path, "x", wrong)
    assert "guessed" not in str(error.value)


def test_a_server_that_is_gone_is_a_sentence_and_comes_back_with_its_cells(server, tmp_path):
    Queue(tmp_path, "again", server.url).fill({"a@101": "k"}, lambda cell: False)
    server.stop()
    try:
        with pytest.raises(StudyError, match=r"does not answer.*start it, correct --storage"):
            Queue(tmp_path, "again", server.url)
    finally:
        server.start()
    assert Queue(tmp_path, "again", server.url).take("me").cell == "a@101"

"""Several processes of a stage: all are run, no more than allowed at once, and a failure ends the rest.

They are forked from a server that outlives the stage.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from workbench.config import Config, changed
from workbench.stages import fork_server, side_by_side

START = """
import sys
from workbench.stages.side_by_side import run
run("standin_stage", "--recipe", sys.argv[1].split(","), 2, sys.argv[2], sys.argv[3:])
"""


@pytest.fixture
def command(tmp_path, monkeypatch):
    """The command line that runs values of the stand-in stage, two at a time; with a server of its own."""
    monkeypatch.setenv("STANDIN_PLACE", str(tmp_path))
    monkeypatch.setenv("PYTHONPATH", f"{Path(__file__).parent}{os.pathsep}{tmp_path}")
    (tmp_path / "start.py").write_text(START)

    def line(*values, helping="", imports=("json",)):
        return [sys.executable, str(tmp_path / "start.py"), ",".join(values), helping, *imports]

    return line


@pytest.fixture
def run(command):
    """Runs them to the end."""

    def start(*values, **options):
        line = command(*values, **options)
        return subprocess.run(line, capture_output=True, text=True, timeout=50)

    return start


def until(true):
    end = time.monotonic() + 20
    while not true():
        assert time.monotonic() < end
        time.sleep(0.05)


def test_every_value_is_run_and_no_more_than_allowed_at_once(run, tmp_path):
    values = ("a", "b", "c", "d", "e")
    ended = run(*values)
    assert ended.returncode == 0
    spans = [
        (float((tmp_path / f"{v}.began").read_text()), float((tmp_path / f"{v}.ended").read_text()))
        for v in values
    ]
    at_once = [sum(begin <= moment < end for begin, end in spans) for moment, _ in spans]
    assert max(at_once) == 2


def test_the_database_is_made_while_the_server_imports(tmp_path, monkeypatch):
    monkeypatch.setenv("DVC_ROOT", str(tmp_path))
    monkeypatch.setattr(side_by_side, "Server", lambda: None)
    side_by_side.ready(changed(Config(), {"tracking.uri": "http://127.0.0.1:9"}), tmp_path)
    assert not (tmp_path / "mlflow.db").exists(), "a server's is its own"
    side_by_side.ready(Config(), tmp_path)
    assert (tmp_path / "mlflow.db").is_file()


def test_a_failure_is_named_and_ends_the_others(run, tmp_path):
    began = time.monotonic()
    ended = run("slow", "bad", "never")
    assert "`python -m standin_stage --recipe bad` ended with exit status 3" in ended.stderr
    assert ended.returncode != 0
    assert time.monotonic() - began < 45
    assert (tmp_path / "slow.began").exists()
    assert (tmp_path / "slow.interrupted").exists()
    assert not (tmp_path / "never.began").exists()


def test_an_explained_error_is_one_sentence(run):
    ended = run("wrong")
    assert "error: what the user got wrong" in ended.stderr
    assert "exit status 1" in ended.stderr


def test_a_killed_process_is_a_failure(run):
    assert "`python -m standin_stage --recipe killed` was killed" in run("killed").stderr


def test_who_has_no_value_left_helps_once_where_work_goes_on(run, tmp_path):
    assert run("a", "helped", helping="assist").returncode == 0
    assert (tmp_path / "helped").read_text() == "helped\n"


def test_work_goes_on_without_a_helper_that_fails(run, tmp_path):
    ended = run("alone", helping="assist")
    assert ended.returncode == 0
    assert "goes on alone: what helped it ended with exit status 4" in ended.stderr
    assert (tmp_path / "alone.ended").exists()


def test_a_server_is_found_again_by_the_same_environment_and_imports_alone(run, tmp_path, monkeypatch):
    def server(value, **options):
        assert run(value, **options).returncode == 0
        return (tmp_path / f"{value}.server").read_text()

    first = server("a")
    monkeypatch.setenv("DVC_STAGE", "another")
    assert server("b") == first
    assert server("c", imports=("json", "csv")) != first
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    assert server("d") != first


def test_one_interruption_reaches_all_processes_and_leaves_them_time(command, tmp_path):
    client = subprocess.Popen(
        command("slow", "other"),
        start_new_session=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    until(lambda: (tmp_path / "slow.pid").exists() and (tmp_path / "slow.pid").read_text())
    os.killpg(client.pid, signal.SIGINT)
    assert client.wait(20) != 0
    assert (tmp_path / "slow.interrupted").exists()


def test_a_process_ends_with_the_one_that_wants_its_work(command, tmp_path):
    client = subprocess.Popen(command("slow"))
    until(lambda: (tmp_path / "slow.pid").exists() and (tmp_path / "slow.pid").read_text())
    client.kill()
    client.wait()
    pid = int((tmp_path / "slow.pid").read_text())
    until(lambda: not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE)
    assert not (tmp_path / "slow.ended").exists()


@pytest.mark.parametrize("seconds", [0, 1])
def test_nobody_waits_for_a_server_that_cannot_import(run, tmp_path, seconds):
    (tmp_path / "broken.py").write_text(f"import time; time.sleep({seconds}); import there_is_no_such_module")
    ended = run("a", imports=("broken",))
    assert ended.returncode != 0
    assert "No module named 'there_is_no_such_module'" in ended.stderr
    assert "fork_server.NoFork: " in ended.stderr


def test_a_server_does_not_hold_its_starters_output(run, tmp_path):
    assert run("a").returncode == 0  # captured to the end, which a process that had it open would delay
    pid = int((tmp_path / "a.server").read_text())
    assert psutil.Process(pid).is_running()


QUICK = """
from workbench.stages import fork_server
fork_server._Listener.timeout = 0.1
fork_server.main("quiet", [])
"""


def test_a_server_ends_when_nobody_wants_anything(tmp_path):
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[1])}
    subprocess.run([sys.executable, "-c", QUICK], cwd=tmp_path, env=environment, check=True, timeout=50)
    assert not (tmp_path / "quiet").exists()


@pytest.mark.usefixtures("command")
def test_a_server_stays_while_something_is_done(tmp_path, monkeypatch):
    place = tmp_path / "quiet"
    code = QUICK.replace('"quiet"', repr(str(place))).replace("0.1", "1.0")
    server = subprocess.Popen([sys.executable, "-c", code])
    until(place.exists)
    monkeypatch.setattr(fork_server, "_address", lambda imports: place)
    fork = fork_server.Server([]).fork("standin_stage:work", ["helped"])
    assert psutil.Process(fork.pid).ppid() == server.pid
    time.sleep(2.5)  # longer than it waits for another job
    assert server.poll() is None
    (tmp_path / "helped").touch()
    assert fork.wait() == 0
    assert server.wait(20) == 0


def test_a_place_where_a_server_was_killed_is_taken_over(run, tmp_path):
    assert run("a").returncode == 0
    os.kill(int((tmp_path / "a.server").read_text()), signal.SIGKILL)
    assert run("b").returncode == 0
    assert (tmp_path / "b.server").read_text() != (tmp_path / "a.server").read_text()


def test_what_is_imported_before_the_fork_starts_no_thread_of_python():
    shared = ", ".join(fork_server.IMPORTS)
    count = f"import threading, {shared}; print(threading.active_count())"
    found = subprocess.run([sys.executable, "-c", count], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "1"

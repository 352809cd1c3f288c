"""Several processes of a stage: all are run, no more than allowed at once, and a failure ends the rest."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest

from workbench.config import Config, changed
from workbench.stages import side_by_side

START = """
import sys, time
from workbench.stages.side_by_side import run
if __name__ == "__main__":
    said = lambda: print(time.time())
    run("standin_stage", "--recipe", sys.argv[1].split(","), 2, imports="json", meanwhile=said)
"""


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Runs values of the stand-in stage from a process of its own, two at a time."""
    monkeypatch.setenv("STANDIN_PLACE", str(tmp_path))
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent))
    (tmp_path / "start.py").write_text(START)

    def start(*values):
        line = [sys.executable, str(tmp_path / "start.py"), ",".join(values)]
        return subprocess.run(line, capture_output=True, text=True, timeout=50)

    return start


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
    assert float(ended.stdout.split()[-1]) < min(began for began, _ in spans)


def test_the_database_is_made_before_the_first_run(tmp_path, monkeypatch):
    monkeypatch.setenv("DVC_ROOT", str(tmp_path))
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
    assert not (tmp_path / "slow.ended").exists()
    assert not (tmp_path / "never.began").exists()


def test_an_explained_error_is_one_sentence(run):
    ended = run("wrong")
    assert "error: what the user got wrong" in ended.stderr
    assert "exit status 1" in ended.stderr


@pytest.mark.parametrize("module", ["workbench.experiment.fit", "workbench.experiment.score"])
def test_what_is_imported_before_the_fork_starts_no_thread_of_python(module):
    shared = ", ".join((module, *side_by_side.TRACKING))
    count = f"import threading, {shared}; print(threading.active_count())"
    found = subprocess.run([sys.executable, "-c", count], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "1"

"""The driver: what is recorded is skipped, what fails is named, and the rest is done all the same."""

from __future__ import annotations

import sys
from types import SimpleNamespace

import pytest
import standin_study
from standin_study import drive, lines

from workbench import code, progress
from workbench.search import grid
from workbench.search.grid import GPUS, Grid, alone, one_gpu
from workbench.search.queue import Queue, Standing
from workbench.search.study import StudyError
from workbench.surroundings import host_of, own_identity

NAMES = ["a@101", "b@101", "c@101", "d@101"]


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(grid, "POLL_SECONDS", 0.05)
    monkeypatch.setenv("PYTHONPATH", str(code.PACKAGE.parent))


def test_what_is_recorded_is_skipped_and_reported_first(tmp_path):
    standin_study.append(tmp_path / "done.log", "c@101")
    finished = drive(tmp_path, NAMES, workers=2)
    assert finished[0] == "c@101"
    assert sorted(finished) == NAMES
    assert sorted(lines(tmp_path / "done.log")) == NAMES
    begun = len(lines(tmp_path / "begun.log"))
    assert sorted(drive(tmp_path, NAMES, workers=2)) == NAMES
    assert len(lines(tmp_path / "begun.log")) == begun == 3


def test_records_decide_not_the_queue(tmp_path):
    """A lost record is made again although Optuna holds its cell for done; so is a cell of another key."""
    drive(tmp_path, NAMES[:2])
    (tmp_path / "done.log").write_text("b@101\n")
    assert sorted(drive(tmp_path, NAMES[:2])) == NAMES[:2]
    assert sorted(lines(tmp_path / "done.log")) == NAMES[:2]
    (tmp_path / "done.log").unlink()
    assert sorted(drive(tmp_path, NAMES[:2], key="other")) == NAMES[:2]


def test_a_failing_cell_is_named_and_the_rest_is_done(tmp_path, monkeypatch, capfd):
    monkeypatch.setenv("FAILS", "b@101")
    with pytest.raises(StudyError, match=r"1 cells are missing(.|\n)*b@101: ValueError: the loss is NaN"):
        drive(tmp_path, NAMES, workers=2)
    assert "Traceback" in capfd.readouterr().err
    assert sorted(lines(tmp_path / "done.log")) == ["a@101", "c@101", "d@101"]
    monkeypatch.delenv("FAILS")
    assert sorted(drive(tmp_path, NAMES)) == NAMES


def test_a_cell_that_kills_its_workers_is_given_up(tmp_path, monkeypatch):
    monkeypatch.setenv("DIES", "b@101")
    with pytest.raises(StudyError, match="b@101: its worker was killed 3 times"):
        drive(tmp_path, NAMES[:2], workers=1)
    assert lines(tmp_path / "done.log") == ["a@101"]
    assert sum(line.startswith("b@101") for line in lines(tmp_path / "begun.log")) == 3


def test_each_worker_sees_a_gpu_of_its_own(tmp_path):
    """In turn, of those that the driver may use; where there is one or none, nothing is said."""
    assert one_gpu(3, {}, tmp_path / "none") == {}
    (tmp_path / "0000:01:00.0").mkdir()
    assert one_gpu(3, {}, tmp_path) == {}
    (tmp_path / "0000:02:00.0").mkdir()
    assert [one_gpu(worker, {}, tmp_path)[GPUS] for worker in range(3)] == ["0", "1", "0"]
    assert [one_gpu(worker, {GPUS: "5,7"}, tmp_path)[GPUS] for worker in range(3)] == ["5", "7", "5"]
    assert one_gpu(1, {GPUS: "5"}, tmp_path) == {}
    assert one_gpu(1, {GPUS: ""}, tmp_path) == {}, "hidden on purpose"


def test_bars_of_workers_have_lines_of_their_own_below_the_drivers(tmp_path, monkeypatch):
    given = []

    def popen(command, env):
        given.append(env[progress.LINE])
        return SimpleNamespace(pid=-len(given), poll=lambda: None)

    monkeypatch.setattr(grid.subprocess, "Popen", popen)
    driver = Grid(Queue(tmp_path, "x"), {}, lambda cell: False, ["worker"], 2)
    driver._staff(Standing(waiting=5, running={}, done={}, failed={}))
    assert given == ["1", "2"]


def test_a_worker_elsewhere_is_named_once_takes_no_slot_and_can_be_given_up(tmp_path, monkeypatch, capsys):
    queue, wanted = Queue(tmp_path, "standin"), dict.fromkeys(NAMES[:2], "k")
    queue.fill(wanted, lambda cell: False)
    ticket = queue.take("far:17:1.00")
    driver = Grid(queue, wanted, lambda cell: False, ["worker"], 1)
    with monkeypatch.context() as still:
        started = []
        worker = SimpleNamespace(pid=-1, poll=lambda: None)
        still.setattr(grid.subprocess, "Popen", lambda *_, **__: started.append(worker) or worker)
        for _ in range(2):
            driver._tell(queue.standing())
            driver._staff(queue.standing())
    assert len(started) == 1
    said = capsys.readouterr().err
    assert said.count("a@101 is in the hands of process 17 on far, which this call waits for") == 1
    assert "--reclaim far" in said
    assert sorted(drive(tmp_path, NAMES[:2], workers=1, gone="far")) == NAMES[:2]
    drive(tmp_path, NAMES[:2], workers=1, gone="fra")
    assert "--reclaim fra: no worker of it has a cell in hand" in capsys.readouterr().err
    queue.finish(ticket, 1.0)  # it was alive after all
    with pytest.raises(StudyError, match="is this machine, whose dead workers are seen"):
        drive(tmp_path, NAMES[:2], gone=host_of(own_identity()))


def test_workers_that_cannot_start_end_the_call(tmp_path):
    command = [sys.executable, "-c", "raise SystemExit(7)"]
    with pytest.raises(StudyError, match="ends before it takes a cell"):
        Grid(Queue(tmp_path, "x"), {"a@101": "k"}, lambda cell: False, command, 1).run()


def test_two_drivers_of_a_study_do_not_meet(tmp_path):
    with alone(tmp_path), pytest.raises(StudyError, match="another process is running the study"):
        drive(tmp_path, NAMES)

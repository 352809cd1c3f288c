"""Cells are handed out once, taken back from the dead, and bad storage is a sentence."""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import time
from pathlib import Path

import pytest

from workbench.search.queue import Queue, Ticket
from workbench.search.study import StudyError
from workbench.surroundings import alive, own_identity

WANTED = {"a@101": "k", "b@101": "k", "a@102": "k"}
DEAD = "elsewhere"


@pytest.fixture
def queue(tmp_path):
    made = Queue(tmp_path, "x")
    made.fill(WANTED, lambda cell: False)
    return made


def living(owner: str) -> bool:
    return owner != DEAD


def test_every_cell_is_handed_out_once(queue, tmp_path):
    queue.fill(WANTED, lambda cell: False)
    Queue(tmp_path, "x").fill(WANTED, lambda cell: False)
    tickets = [queue.take("me") for _ in range(4)]
    assert [ticket.cell for ticket in tickets[:3]] == list(WANTED)
    assert tickets[3] is None
    assert len(queue._study.trials) == 3, "nothing is made up when none waits"


def test_what_is_done_or_in_hand_is_not_enqueued(tmp_path):
    queue = Queue(tmp_path, "x")
    queue.fill(WANTED, lambda cell: cell.startswith("b"))
    assert queue.take("me").cell == "a@101"
    queue.fill(WANTED, lambda cell: cell.startswith("b"))
    assert queue.take("me").cell == "a@102"
    assert queue.take("me") is None


def test_cells_of_another_key_or_call_are_dropped(queue):
    queue.fill({"a@101": "new", "c@101": "k"}, lambda cell: False)
    assert [queue.take("me"), queue.take("me")] == [Ticket(3, "a@101", "new"), Ticket(4, "c@101", "k")]
    assert queue.take("me") is None


def test_a_trial_that_somebody_else_enqueued_is_dropped(queue):
    queue._study.enqueue_trial({"learning_rate": 1.0})
    assert [queue.take("me").cell for _ in WANTED] == list(WANTED)
    assert queue.take("me") is None


def test_the_dead_lose_their_cells_and_the_living_keep_them(queue):
    queue.take(DEAD)
    queue.take("me")
    assert queue.reclaim(living) == ["a@101"]
    assert queue.reclaim(living) == []
    queue.fill(WANTED, lambda cell: False)
    assert [queue.take("me").cell for _ in range(2)] == ["a@102", "a@101"]
    assert queue.take("me") is None


def test_a_worker_that_died_while_it_took_a_cell_loses_it(queue):
    queue._study.ask()
    assert queue.standing().running == {"a@101": ""}
    assert queue.reclaim(living) == ["a@101"]


def test_standing_tells_states_apart(queue):
    queue.finish(queue.take("me"), 1.0)
    queue.fail(queue.take("me"), "ValueError: NaN")
    standing = queue.standing()
    assert (standing.waiting, standing.running) == (1, {})
    assert [cell for cell, _ in standing.done.values()] == ["a@101"]
    assert [(cell, error) for cell, _, error in standing.failed.values()] == [("b@101", "ValueError: NaN")]


def test_a_cell_that_was_reclaimed_can_still_fail(queue):
    ticket = queue.take(DEAD)
    queue.reclaim(living)
    queue.fail(ticket, "ValueError: NaN")
    assert queue.standing().failed == {}, "it is somebody else's now"


def take_all(place: str, found: multiprocessing.Queue) -> None:
    queue = Queue(Path(place), "x")
    while ticket := queue.take(own_identity()):
        found.put(ticket.cell)
        queue.finish(ticket, 0.0)


def test_processes_side_by_side_share_the_cells(tmp_path):
    cells = {f"c{i}@101": "k" for i in range(12)}
    Queue(tmp_path, "x").fill(cells, lambda cell: False)
    context = multiprocessing.get_context("spawn")
    found = context.Queue()
    workers = [context.Process(target=take_all, args=(str(tmp_path), found)) for _ in range(3)]
    for worker in workers:
        worker.start()
    taken = [found.get(timeout=60) for _ in cells]
    for worker in workers:
        worker.join()
    assert sorted(taken) == sorted(cells)


def hold(place: str) -> None:
    Queue(Path(place), "x").take(own_identity())
    time.sleep(60)


def test_a_killed_process_is_seen_to_be_gone(queue, tmp_path):
    child = multiprocessing.get_context("spawn").Process(target=hold, args=(str(tmp_path),))
    child.start()
    limit = time.monotonic() + 60
    while not any(queue.standing().running.values()) and time.monotonic() < limit:
        time.sleep(0.05)
    assert queue.reclaim(alive) == []
    os.kill(child.pid, signal.SIGKILL)
    child.join()
    assert queue.reclaim(alive) == ["a@101"]


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("not a url", "cannot be read; write it as postgresql://"),
        ("mysql+pymysql://me:secret@127.0.0.1:9/x", "needs a driver|does not answer"),
        ("postgresql://me:secret@127.0.0.1:9/x", "needs a driver|does not answer"),
        ("sqlite:////nowhere/at/all.db", "does not answer"),
        ("nosql://x", "does not answer|cannot be read|needs a driver"),
    ],
)
def test_storage_that_does_not_answer_is_named_without_its_password(tmp_path, url, says):
    with pytest.raises(StudyError, match=says) as error:
        Queue(tmp_path, "x", url)
    assert "secret" not in str(error.value)


def test_checkouts_that_share_a_database_do_not_take_each_others_cells(tmp_path):
    url = f"sqlite:///{tmp_path / 'shared.db'}"
    one, other = Queue(tmp_path / "one", "x", url), Queue(tmp_path / "other", "x", url)
    one.fill({"a@101": "k"}, lambda cell: False)
    other.fill({"b@101": "k"}, lambda cell: False)
    again = Queue(tmp_path / "one", "x", url)  # another machine that shares the folder
    assert [again.take("me").cell, again.take("me"), other.take("me").cell] == ["a@101", None, "b@101"]


def test_a_file_that_is_no_database_is_refused_and_kept(tmp_path):
    (tmp_path / "optuna.db").write_text(json.dumps({"a": 1}) * 100)
    with pytest.raises(StudyError, match="is no Optuna database"):
        Queue(tmp_path, "x")
    assert (tmp_path / "optuna.db").read_text().startswith("{")

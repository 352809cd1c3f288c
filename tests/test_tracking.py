"""What reaches MLflow, and what happens when it does not."""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import threading
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
from filelock import FileLock
from mlflow import MlflowClient

from workbench import config, tracking
from workbench.surroundings import alive, flatten, own_identity, surroundings

TAGS = {"stage": "tune", "recipe": "instruct", "seed": "1"}
AWAY = config.changed(config.Config(), {"tracking.uri": "http://127.0.0.1:9"})


def record(home: Path, settings: config.Config, signature: str, steps: range) -> None:
    with tracking.run(home, settings, name="r", signature=signature, tags=TAGS) as track:
        for _ in track.follow((step, {"loss": 1.0 / step}) for step in steps):
            pass


def found(home: Path) -> list:
    client, experiment = tracking.connect(home, config.Tracking())
    return client.search_runs([experiment])


def steps_of(home: Path, run_id: str) -> list[int]:
    client, _ = tracking.connect(home, config.Tracking())
    return [point.step for point in client.get_metric_history(run_id, "loss")]


@pytest.fixture(scope="module")
def template(tmp_path_factory):
    """A home whose database is made once: its migrations take seconds."""
    home = tmp_path_factory.mktemp("home")
    tracking.connect(home, config.Tracking())
    return home


@pytest.fixture
def home(template, tmp_path):
    (tmp_path / "mlflow.db").write_bytes((template / "mlflow.db").read_bytes())
    return tmp_path


def test_a_run_arrives_whole(home):
    sample = home / "sample.txt"
    sample.write_text("a red car")
    with tracking.run(home, config.Config(), name="r", signature="s1", tags=TAGS) as track:
        track.metrics(1, {"loss": 2.0})
        track.artifact(sample)
    (run,) = found(home)
    assert run.info.status == "FINISHED"
    assert run.data.params["train.steps"] == "1000"
    assert run.data.tags["recipe"] == "instruct"
    assert run.data.metrics["loss"] == 2.0
    client, _ = tracking.connect(home, config.Tracking())
    assert [file.path for file in client.list_artifacts(run.info.run_id)] == ["sample.txt"]
    assert not list((home / "spool").glob("*.jsonl"))


def test_an_error_marks_the_run_failed_and_passes_through(home):
    with (
        pytest.raises(RuntimeError, match="NaN"),
        tracking.run(home, config.Config(), name="r", signature="s1", tags=TAGS),
    ):
        raise RuntimeError("NaN")
    assert found(home)[0].info.status == "FAILED"


def test_without_a_server_the_run_goes_on_and_is_sent_later(home):
    record(home, AWAY, "s1", range(1, 4))
    assert (home / "spool" / "s1.jsonl").exists()
    # the process is this very one and lives: pretend that it is gone, as for a real later run
    spooled = home / "spool" / "s1.jsonl"
    spooled.write_text(spooled.read_text().replace(own_identity(), own_identity().rsplit(":", 2)[0] + ":1:0"))
    record(home, config.Config(), "s2", range(1, 2))
    runs = {run.data.tags[tracking.SIGNATURE]: run for run in found(home)}
    assert set(runs) == {"s1", "s2"}
    assert steps_of(home, runs["s1"].info.run_id) == [1, 2, 3]
    assert not list((home / "spool").glob("*.jsonl"))


def die_in_the_middle(home: Path) -> None:
    with tracking.run(home, config.Config(), name="r", signature="s1", tags=TAGS) as track:
        for step in (1, 2, 3):
            track.metrics(step, {"loss": 1.0})
        with track.path.open("a") as torn:
            torn.write('{"event": "metr')
        os.kill(os.getpid(), signal.SIGKILL)


def test_a_killed_run_is_marked_and_resumed_without_doubled_steps(home):
    process = multiprocessing.get_context("spawn").Process(target=die_in_the_middle, args=(home,))
    process.start()
    process.join()
    tracking.tidy(home, config.Tracking())
    (run,) = found(home)
    assert run.info.status == "KILLED"
    record(home, config.Config(), "s1", range(2, 6))  # its checkpoint was at step 1
    (run,) = found(home)
    assert run.info.status == "FINISHED"
    assert steps_of(home, run.info.run_id) == [1, 2, 3, 4, 5]


def be_stopped(home: Path) -> None:
    with tracking.run(home, config.Config(), name="r", signature="s1", tags=TAGS) as track:
        for step in (1, 2, 3):
            track.metrics(step, {"loss": 1.0})
        track.system(60, {"system/cpu": 1.0})
        raise KeyboardInterrupt


@pytest.mark.parametrize("away", [False, True])
def test_a_run_that_was_stopped_is_resumed_without_doubled_steps(home, away, monkeypatch):
    """Its end took the spool away; MLflow alone knows how far it came, even if it cannot be asked at once."""
    with pytest.raises(KeyboardInterrupt):
        be_stopped(home)
    assert not list((home / "spool").glob("s1.*"))
    record(home, AWAY if away else config.Config(), "s1", range(2, 6))  # its checkpoint was at step 1
    if away:
        send = MlflowClient.log_batch

        def fail(self, run_id, metrics=(), **others):  # in the middle of the points
            send(self, run_id, metrics=metrics[-1:], **others)
            if metrics:
                raise OSError("no route to host")

        with monkeypatch.context() as patch:
            patch.setattr(MlflowClient, "log_batch", fail)
            with pytest.raises(OSError, match="no route"):
                tracking.deliver(home / "spool/s1.jsonl", home, config.Tracking())
        tracking.deliver(home / "spool/s1.jsonl", home, config.Tracking())
    (run,) = found(home)
    assert run.info.status == "FINISHED"
    assert steps_of(home, run.info.run_id) == [1, 2, 3, 4, 5]


def test_only_what_is_unsent_waits(home):
    with tracking.run(home, config.Config(), name="r", signature="s1", tags=TAGS) as track:
        track.metrics(1, {"loss": 2.0})
        track.send()
        assert track.path.exists()
        assert tracking.waiting(home) == 0, "as of a run that is killed now"
        track.metrics(2, {"loss": 1.0})
        assert tracking.waiting(home) == 1
    record(home, AWAY, "s2", range(1, 3))
    assert tracking.waiting(home) == 1


def test_a_run_that_comes_back_waits_until_its_former_end_is_sent(home):
    """Else its first line would be removed with the file, and MLflow get points of no run."""
    record(home, AWAY, "s1", range(1, 4))
    with FileLock(home / "spool" / ".lock"):  # another process, in `tidy`
        again = threading.Thread(target=record, args=(home, config.Config(), "s1", range(4, 6)))
        again.start()
        time.sleep(0.3)
        tracking.deliver(home / "spool" / "s1.jsonl", home, config.Tracking())
    again.join()
    (first, second) = sorted(found(home), key=lambda run: run.info.start_time)
    assert steps_of(home, first.info.run_id) == [1, 2, 3]
    assert steps_of(home, second.info.run_id) == [4, 5]


def test_a_torn_line_costs_itself_alone_and_is_named_once(home, caplog):
    with tracking.run(home, config.Config(), name="r", signature="s1", tags=TAGS) as track:
        for step in (1, 2, 3):
            track.metrics(step, {"loss": 1.0})
            track.send()
            with track.path.open("ab") as full:
                full.write(b'{"event": "me\xff' * (step == 2))
    (run,) = found(home)
    assert (run.info.status, steps_of(home, run.info.run_id)) == ("FINISHED", [1, 2, 3])
    assert caplog.text.count("s1.jsonl: line 4 was torn") == caplog.text.count("was torn") == 1


def test_a_full_disk_costs_points_of_the_curve_and_no_training(home, caplog, monkeypatch):
    append, full = tracking.files.append_json, [False]

    def appending(path, value):
        if full[0]:
            raise OSError(28, "No space left on device", str(path))
        append(path, value)

    monkeypatch.setattr(tracking.files, "append_json", appending)
    with tracking.run(home, config.Config(), name="r", signature="s1", tags=TAGS) as track:
        for step in (1, 2, 3):
            full[0] = step == 2
            track.metrics(step, {"loss": 1.0})
    (run,) = found(home)
    assert (run.info.status, steps_of(home, run.info.run_id)) == ("FINISHED", [1, 3])
    assert "s1.jsonl could not be written" in caplog.text


def test_what_mlflow_refuses_is_set_aside_and_stops_nobody(home, caplog, monkeypatch):
    for signature, metric in (("s1", "recall@1"), ("s2", "loss")):
        with tracking.run(home, AWAY, name="r", signature=signature, tags=TAGS) as track:
            track.metrics(1, {metric: 1.0})
    headless = home / "spool/s0.jsonl"  # a full disk took the line that says which run it is
    point = {"event": "metrics", "step": 1, "values": {"loss": 1.0}}
    for event in (point, {"event": "end", "status": "FAILED"}):
        tracking.files.append_json(headless, event | {"time": 1})
    monkeypatch.setattr(tracking, "alive", lambda owner: False)
    tracking.tidy(home, config.Tracking())
    assert [run.data.metrics for run in found(home) if run.data.metrics] == [{"loss": 1.0}]
    left = sorted(path.name for path in (home / "spool").iterdir() if path.name != ".lock")
    assert left == ["s0.refused", "s1.refused"]
    assert "MLflow refuses what is in" in caplog.text


def test_a_run_whose_database_is_gone_is_made_again_in_the_new_one(home, template, monkeypatch):
    with tracking.run(home, config.Config(), name="r", signature="s1", tags=TAGS) as track:
        track.metrics(1, {"loss": 2.0})
        track.send()
        assert track.path.with_suffix(".sent").exists()
        (home / "mlflow.db").write_bytes((template / "mlflow.db").read_bytes())
        track.metrics(2, {"loss": 1.0})
        monkeypatch.setattr(tracking, "alive", lambda owner: False)
        tracking.tidy(home, config.Tracking())
        (run,) = found(home)
        assert steps_of(home, run.info.run_id) == [1, 2]


def test_a_difference_in_any_encoding_is_told_from_none(tmp_path, monkeypatch):
    def git(*arguments):
        who = ("-c", "user.name=a", "-c", "user.email=a@b")
        subprocess.run(["git", *who, *arguments], check=True)

    monkeypatch.chdir(tmp_path)
    (tmp_path / "notes.txt").write_bytes(b"plain\n")
    for command in (("init", "-q"), ("add", "."), ("commit", "-qm", "x")):
        git(*command)
    assert "git.dirty" not in surroundings()
    (tmp_path / "notes.txt").write_bytes("Öl\n".encode("latin-1"))
    assert len(surroundings()["git.dirty"]) == 16


def test_a_server_that_is_away_is_asked_ever_more_rarely(tmp_path, monkeypatch):
    clock, asked, away = [0], [], [True]
    monkeypatch.setattr(tracking, "time", SimpleNamespace(monotonic=lambda: clock[0], time=time.time))

    def deliver(*_):
        asked.append(clock[0])
        if away[0]:
            raise OSError("no route to host")

    monkeypatch.setattr(tracking, "deliver", deliver)
    (tmp_path / "spool").mkdir()
    track = tracking.Track(tmp_path, AWAY.tracking, "s1")
    for clock[0] in range(0, 2160, 10):
        away[0] = clock[0] < 2110
        track.metrics(clock[0], {"loss": 1.0})
    assert asked == [10, 70, 190, 430, 910, 1510, 2110, 2120, 2130, 2140, 2150]
    away[0], clock[0] = True, 2160
    assert not track.send()
    assert track._next_send == 2160 + 60


def connect(home: Path) -> None:
    tracking.connect(home, config.Tracking())


def test_processes_that_start_together_on_no_database_do_not_break_it(tmp_path):
    context = multiprocessing.get_context("spawn")
    together = [context.Process(target=connect, args=(tmp_path,)) for _ in range(3)]
    for process in together:
        process.start()
    for process in together:
        process.join()
    assert [process.exitcode for process in together] == [0, 0, 0]
    assert found(tmp_path) == []


def test_processes_are_told_apart():
    assert alive(own_identity())
    host, pid, _ = own_identity().rsplit(":", 2)
    assert not alive(f"{host}:{pid}:12.0")
    assert alive("elsewhere:1:12.0")


def test_parameters_become_flat_text():
    assert flatten({"a": {"b": 1, "c": []}, "d": "x"}) == {"a.b": "1", "a.c": "[]", "d": "x"}


def test_the_runs_of_a_study_are_children_of_one_run(home, monkeypatch):
    """Also those that were recorded while tracking was away."""
    monkeypatch.setenv("WORKBENCH_STUDY", "awareness")
    for arm, settings in (("full", config.Config()), ("drop", AWAY)):
        monkeypatch.setenv("WORKBENCH_ARM", arm)
        record(home, settings, f"s-{arm}", range(1, 3))
    monkeypatch.delenv("WORKBENCH_STUDY")
    monkeypatch.delenv("WORKBENCH_ARM")
    with tracking.run(home, config.Config(), name="r", signature="alone", tags=TAGS) as track:
        tracking.deliver(home / "spool/s-drop.jsonl", home, config.Tracking())
        track.metrics(1, {"loss": 1.0})
    by_arm = {run.data.tags.get("arm", run.info.run_name): run for run in found(home)}
    assert set(by_arm) == {"full", "drop", "awareness", "r"}
    parent = by_arm["awareness"]
    assert (parent.info.status, parent.data.tags["study"]) == ("FINISHED", "awareness")
    for arm in ("full", "drop"):
        assert by_arm[arm].data.tags[tracking.PARENT] == parent.info.run_id
        assert by_arm[arm].data.tags["seed"] == "1"
    assert tracking.PARENT not in by_arm["r"].data.tags

"""Prepared data: complete, equal byte for byte, replaced as a whole, and read back as it was."""

from __future__ import annotations

import importlib
import multiprocessing
import os
import shutil
import signal
import time
from pathlib import Path

import psutil
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from workbench.config import Config, changed
from workbench.data import prepare as room
from workbench.data.catalog import CATALOG, EXTERNAL
from workbench.data.images import open_image
from workbench.data.micro.render import render
from workbench.data.prepare import PreparedError, load_examples, prepare, read_manifest
from workbench.files import file_sha256

CONFIG = changed(Config(), {"data.size_scale": 0.01, "data.eval_examples": 6, "train.validation_examples": 3})


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("data") / "prepared"
    prepare(CONFIG, root, workers=1)
    return root


def contents(root: Path) -> dict[str, bytes]:
    return {
        path.relative_to(root).as_posix(): path.read_bytes() for path in root.rglob("*") if path.is_file()
    }


def test_every_dataset_has_its_sizes(prepared: Path) -> None:
    counts = read_manifest(prepared)["datasets"]
    assert set(counts) == {entry.name for entry in CATALOG + EXTERNAL}
    assert counts["web_capfilt"] == {"train": 160, "val": 3, "test": 6}
    assert counts["gqa"] == {"val": 6, "test": 6}
    assert counts["scienceqa"] == {"train": 10, "val": 6, "test": 6}  # to fine-tune on
    for name, splits in counts.items():
        for split, count in splits.items():
            assert len(load_examples(prepared, name, split)) == count


def test_examples_come_back_as_they_were(prepared: Path) -> None:
    for name in ("ocrvqa", "nocaps", "ivqa", "easy_vqa"):
        source = importlib.import_module(f"workbench.data.sources.{name}")
        made = [example for example, _ in source.micro("test", 6, CONFIG.data.world_seed)]
        assert load_examples(prepared, name, "test") == made


def test_every_picture_is_there_and_shows_its_scene(prepared: Path) -> None:
    for name in read_manifest(prepared)["datasets"]:
        for example in load_examples(prepared, name, "test"):
            for reference in example.images:
                assert open_image(prepared, reference).size == (64, 64)
    source = importlib.import_module("workbench.data.sources.ivqa")
    for example, frames in source.micro("test", 3, CONFIG.data.world_seed):
        for reference, frame in zip(example.images, frames, strict=True):
            assert open_image(prepared, reference).tobytes() == render(frame).tobytes()


def test_the_manifest_knows_every_file(prepared: Path) -> None:
    files = read_manifest(prepared)["files"]
    assert set(files) | {"manifest.json"} == set(contents(prepared))
    for name in ("gqa/test.parquet", "scenes/coco_train.zip"):
        assert files[name] == file_sha256(prepared / name)


def test_two_runs_are_equal_byte_for_byte(prepared: Path, tmp_path: Path) -> None:
    prepare(CONFIG, tmp_path / "again", workers=2)
    assert contents(tmp_path / "again") == contents(prepared)


def test_some_datasets_only_are_the_same_as_among_all(prepared: Path, tmp_path: Path) -> None:
    prepare(changed(CONFIG, {"data.datasets": ["gqa"]}), tmp_path / "some", workers=1)
    assert set(read_manifest(tmp_path / "some")["datasets"]) == {"gqa"}
    assert contents(tmp_path / "some")["gqa/test.parquet"] == contents(prepared)["gqa/test.parquet"]


def test_rows_written_piece_by_piece_come_back_and_share_candidates(tmp_path: Path) -> None:
    source = importlib.import_module("workbench.data.sources.msvd_qa")
    made = [example for example, _ in source.micro("test", 25, CONFIG.data.world_seed)]
    assert room.write_examples(tmp_path / "msvd_qa/test.parquet", iter(made), at_once=10) == 25
    found = load_examples(tmp_path, "msvd_qa", "test")
    assert found == made
    assert len({id(example.candidates) for example in found}) == 1


def test_another_world_seed_is_another_world(prepared: Path, tmp_path: Path) -> None:
    prepare(changed(CONFIG, {"data.world_seed": 2024}), tmp_path / "other", workers=1)
    assert set(contents(tmp_path / "other")) == set(contents(prepared))
    same = [name for name, data in contents(tmp_path / "other").items() if contents(prepared)[name] == data]
    assert not same


def test_an_interrupted_run_leaves_what_was_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "prepared").mkdir()
    (tmp_path / "prepared" / "old").write_text("old")

    def full(job: object) -> None:
        raise OSError("no space left on device")

    monkeypatch.setattr(room, "write_archive", full)
    with pytest.raises(OSError, match="no space left"):
        prepare(CONFIG, tmp_path / "prepared", workers=1)
    assert contents(tmp_path) == {"prepared/old": b"old"}


def test_what_was_prepared_before_is_replaced_and_never_half_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """DVC leaves the folder to the stage."""
    out, some = tmp_path / "prepared", changed(CONFIG, {"data.datasets": ["gqa"]})
    prepare(changed(CONFIG, {"data.datasets": ["easy_vqa"]}), out, workers=1)
    (out / "stale").write_text("stale")
    before, removed = contents(out), []

    class Killed(BaseException):
        pass

    def kill(folder: Path, **_: object) -> None:
        removed.append(folder.name)
        if folder.name.endswith(".gone") and folder.exists():
            raise Killed

    monkeypatch.setattr(shutil, "rmtree", kill)
    with pytest.raises(Killed):
        prepare(some, out, workers=1)
    assert "prepared" not in removed
    made = contents(out)
    assert set(read_manifest(out)["files"]) | {"manifest.json"} == set(made)
    assert made.keys().isdisjoint(before.keys() - {"manifest.json"})
    monkeypatch.undo()
    prepare(some, out, workers=1)
    assert contents(tmp_path) == {f"prepared/{name}": data for name, data in made.items()}


def killed(number: int) -> int:
    if number == 1:
        os.kill(os.getpid(), signal.SIGKILL)
    return number


def test_a_killed_process_is_one_sentence() -> None:
    with pytest.raises(PreparedError, match="was killed, as happens when memory runs out"):
        list(room.in_parallel(killed, [0, 1, 2], 2))


def test_mistakes_are_named(prepared: Path, tmp_path: Path) -> None:
    with pytest.raises(PreparedError, match=r"size_scale 0\.001 leaves okvqa nothing to train on"):
        prepare(changed(CONFIG, {"data.size_scale": 0.001}), tmp_path / "x")
    with pytest.raises(PreparedError, match="is not a folder: put the official files below it"):
        prepare(changed(CONFIG, {"suite": "official"}), tmp_path / "x", root=tmp_path)
    with pytest.raises(ValueError, match="did you mean 'gqa'"):
        prepare(changed(CONFIG, {"data.datasets": ["gpa"]}), tmp_path / "x")
    with pytest.raises(PreparedError, match="run the stage prepare"):
        load_examples(prepared, "gqa", "train")
    with pytest.raises(PreparedError, match="gpa"):
        load_examples(prepared, "gpa", "test")
    with pytest.raises(PreparedError, match="run the stage prepare"):
        read_manifest(tmp_path)
    assert not list(tmp_path.iterdir())


def test_damaged_and_empty_files_are_named(tmp_path: Path) -> None:
    folder = tmp_path / "gqa"
    folder.mkdir()
    (folder / "test.parquet").write_bytes(b"PAR1 not really")
    with pytest.raises(PreparedError, match=r"test\.parquet cannot be read"):
        load_examples(tmp_path, "gqa", "test")
    pq.write_table(pa.Table.from_pylist([], room.SCHEMA), folder / "test.parquet")
    with pytest.raises(PreparedError, match="holds no examples"):
        load_examples(tmp_path, "gqa", "test")
    with pytest.raises(PreparedError, match="gqa has no val examples"):
        room.write_examples(folder / "val.parquet", [])
    (tmp_path / "manifest.json").write_text("{")
    with pytest.raises(ValueError, match=r"manifest\.json is not readable"):
        read_manifest(tmp_path)


def wait_for_ever(place: Path) -> None:
    (place / str(os.getpid())).touch()
    time.sleep(600)


def prepares(place: Path) -> None:
    list(room.in_parallel(wait_for_ever, [place, place], 2))


def test_no_process_outlives_a_killed_preparation(tmp_path):
    parent = multiprocessing.get_context("spawn").Process(target=prepares, args=(tmp_path,))
    parent.start()
    while len(list(tmp_path.iterdir())) < 2:
        assert parent.is_alive()
        time.sleep(0.1)
    parent.kill()
    parent.join()
    children = [int(path.name) for path in tmp_path.iterdir()]
    until = time.monotonic() + 60
    while (left := list(filter(works, children))) and time.monotonic() < until:
        time.sleep(0.2)
    assert not left


def works(process: int) -> bool:
    try:
        return psutil.Process(process).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False

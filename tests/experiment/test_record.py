"""A record that was edited by hand is refused."""

from __future__ import annotations

import json

import pytest

from workbench import files
from workbench.experiment.record import RECORD, Cost, Record, RunError, verified

HASHES = {"row": "blip2", "config": "c", "code": "d"}


@pytest.fixture
def folder(tmp_path):
    """A finished examination in the small, and what it scored."""
    place = tmp_path / files.digest(HASHES)
    place.mkdir()
    (place / "scores.jsonl").write_text('{"dataset": "gqa", "value": 50.0}\n')
    Record(
        kind="evaluate",
        name="blip2",
        signature=place.name,
        suite="micro",
        seed=101,
        config={"train": {"seed": 101}},
        hashes={**HASHES, "metrics": "m"},
        cost=Cost(1.5, 2e12, 3),
        examples={"gqa": 2},
        result={"sha256": {"scores.jsonl": files.file_sha256(place / "scores.jsonl")}},
    ).write(place)
    return place


def rewrite(path, **changes):
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def test_what_was_written_is_read(folder):
    assert verified(folder) == Record.read(folder)
    assert Record.read(folder).cost == Cost(1.5, 2e12, 3)


@pytest.mark.parametrize(
    "changes", [{"seed": 102}, {"hashes": HASHES}, {"examples": {"gqa": 3}}, {"seal": "0"}]
)
def test_an_edited_record_is_refused(folder, changes):
    rewrite(folder / RECORD, **changes)
    with pytest.raises(RunError, match=r"record\.json was edited after it was written.*; delete it and"):
        Record.read(folder)


def test_a_record_without_a_seal_is_refused(folder):
    content = json.loads((folder / RECORD).read_text())
    del content["seal"]
    (folder / RECORD).write_text(json.dumps(content))
    with pytest.raises(RunError, match="has no seal"):
        Record.read(folder)


def test_edited_results_are_refused(folder):
    (folder / "scores.jsonl").write_text('{"dataset": "gqa", "value": 60.0}\n')
    with pytest.raises(RunError, match=r"scores\.jsonl was edited or removed"):
        verified(folder)


def test_the_record_of_another_run_is_refused(folder):
    moved = folder.rename(folder.with_name("0123456789abcdef"))
    with pytest.raises(RunError, match="is the record of another run"):
        verified(moved)
    path = moved / RECORD
    files.write_sealed(path, {"kind": "tune"})
    with pytest.raises(RunError, match="is not a record of this version"):
        Record.read(moved)

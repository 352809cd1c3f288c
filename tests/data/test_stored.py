"""Large sets stay on disk and behave as the list they stand for."""

from __future__ import annotations

import tempfile

import pytest

from workbench.data import prepare as room
from workbench.data.prepare import load_examples, write_examples
from workbench.data.stored import Stored
from workbench.records import Example

MADE = [
    Example("gqa", f"gqa_{n}", f"gqa/{n // 2}", ("a.png",) * (n % 3 + 1), (f"„{n}“",), {"question": "?"})
    for n in range(10_000)
]


@pytest.fixture
def stored(tmp_path, monkeypatch):
    monkeypatch.setattr(room, "IN_MEMORY", 9_999)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    write_examples(tmp_path / "gqa/test.parquet", iter(MADE), at_once=3000)
    return load_examples(tmp_path, "gqa", "test")


def test_it_is_the_list_it_stands_for(stored, tmp_path):
    assert isinstance(stored, Stored)
    assert len(stored) == len(MADE)
    assert list(stored) == MADE
    places = [0, 1, 2999, 3000, 4095, 4096, 9999, -1, -10_000]
    assert [stored[place] for place in places] == [MADE[place] for place in places]
    assert stored[2990:3010] == MADE[2990:3010]
    assert stored[:2] == MADE[:2]
    assert stored[9_998:] == MADE[9_998:]
    assert stored.index(MADE[5]) == 5
    for place in (10_000, -10_001):
        with pytest.raises(IndexError):
            stored[place]
    assert [path.name for path in tmp_path.iterdir()] == ["gqa"], "its file has no name"


def test_a_small_set_is_a_list(stored, tmp_path, monkeypatch):
    monkeypatch.setattr(room, "IN_MEMORY", 10_000)
    assert load_examples(tmp_path, "gqa", "test") == MADE


def test_a_folder_of_temporary_files_without_room_is_one_sentence(stored, tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "nowhere"))
    with pytest.raises(ValueError, match=r"nowhere does not take examples.*set TMPDIR"):
        load_examples(tmp_path, "gqa", "test")

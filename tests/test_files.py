"""Files that are whole or absent."""

from __future__ import annotations

import errno

import pytest

from workbench.files import FullDisk, replacing, write_text


def interrupted(path, error):
    with replacing(path) as temporary:
        temporary.write_text("half")
        raise error


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_is_one_sentence_and_loses_nothing(number, tmp_path):
    path = tmp_path / "sample.csv"
    write_text(path, "before")
    with pytest.raises(FullDisk) as caught:
        interrupted(path, OSError(number, "No space left on device"))
    assert str(caught.value).startswith(f"{path} could not be written, because the disk is full; make room")
    assert path.read_text() == "before"
    assert list(tmp_path.iterdir()) == [path]


def test_other_errors_stay_what_they_are(tmp_path):
    path = tmp_path / "sample.csv"
    with pytest.raises(PermissionError):
        interrupted(path, PermissionError(errno.EACCES, "not yours"))
    assert list(tmp_path.iterdir()) == []

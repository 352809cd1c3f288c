"""Files that are whole or absent: atomic writes, canonical JSON, content hashes."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any


class FullDisk(OSError):
    """There is no room for a file."""

    def __str__(self) -> str:
        return str(self.args[1])


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A temporary path beside `path` that takes its place when the block ends without an error.

    What is written is flushed to disk first; on an error the temporary file is removed and whatever stood
    at `path` stays as it was.

    Raises:
        FullDisk: naming the file.
    """
    with full_disk_told(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
        os.close(handle)
        temporary = Path(name)
        try:
            yield temporary
            with temporary.open("rb") as written:
                os.fsync(written.fileno())
            temporary.chmod(0o644)
            temporary.replace(path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise


@contextmanager
def full_disk_told(path: Path) -> Iterator[None]:
    """Raises FullDisk, naming the file that is written in the block, where there is no room for it."""
    try:
        yield
    except FullDisk:
        raise
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        what = f"{path} could not be written, because the disk is full; make room and run it again"
        raise FullDisk(error.errno, what) from error


def replace_folder(old: Path, new: Path) -> None:
    """Puts a finished folder where another may stand, which a kill leaves whole or takes away whole."""
    gone = old.with_name(f".{old.name}.gone")
    shutil.rmtree(gone, ignore_errors=True)
    if old.exists():
        old.rename(gone)
    new.rename(old)
    shutil.rmtree(gone, ignore_errors=True)


def write_text(path: Path, text: str) -> None:
    """Replaces the file's content at once."""
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json(path: Path, value: Any) -> None:
    """Writes readable JSON with sorted keys; NaN and infinity are refused."""
    write_text(path, json.dumps(value, indent=2, sort_keys=True, allow_nan=False, ensure_ascii=False) + "\n")


def read_json(path: Path) -> Any:
    """The JSON in a file.

    Raises:
        ValueError: naming the file, when it is not JSON.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"{path} is not readable JSON ({error}); delete it and rerun its stage") from error


class Edited(ValueError):
    """A sealed file is not what was written."""


def write_sealed(path: Path, content: Mapping[str, Any]) -> None:
    """Writes a JSON object with a seal over its contents, so that an edit shows."""
    write_json(path, {**content, "seal": digest(content)})


def read_sealed(path: Path) -> dict[str, Any]:
    """What `write_sealed` wrote.

    Raises:
        Edited: naming the file, when its seal is missing or not that of the rest.
        ValueError: when it is not JSON.
    """
    content = read_json(path)
    if not isinstance(content, dict) or content.pop("seal", None) != digest(content):
        raise Edited(f"{path} was edited after it was written, or has no seal")
    return content


def append_json(path: Path, value: Any) -> None:
    """Adds a line to a file of JSON lines: one of its own, even if a kill or a full disk tore the last."""
    with path.open("a+b") as opened:
        opened.seek(max(opened.tell() - 1, 0))
        start = b"" if opened.read(1) in (b"", b"\n") else b"\n"
        opened.write(start + json.dumps(value).encode() + b"\n")


def json_lines(path: Path) -> Iterator[tuple[int, Any]]:
    """The number, from 1, and the value of each line that has an end; None for one that is not JSON."""
    for number, line in enumerate(path.read_bytes().split(b"\n")[:-1], 1):
        try:
            yield number, json.loads(line.decode())
        except ValueError:  # of JSON or of UTF-8
            yield number, None


def canonical(value: Any) -> bytes:
    """One byte string per JSON value, whatever the order of its keys."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False).encode()


def digest(value: Any) -> str:
    """The first 16 hexadecimal digits of the SHA-256 of a JSON value."""
    return hashlib.sha256(canonical(value)).hexdigest()[:16]


def file_sha256(path: Path) -> str:
    """SHA-256 of a file's bytes, in hexadecimal."""
    with path.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()

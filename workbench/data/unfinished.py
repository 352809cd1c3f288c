"""Rows of a feature store while it is built, in a hidden folder beside it, where an ended build goes on.

    features.f16  the rows so far
    keys.json     the encoder, and the content key of every row there will be
    saved.json    how many rows are surely on disk, their shape and SHA-256

What encoding millions of pictures took is not lost to a kill, a full disk or a damaged picture.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Self

import numpy as np
import numpy.typing as npt

from workbench.files import full_disk_told, read_json, write_json

SAVE_EVERY_SECONDS = 60.0
Rows = npt.NDArray[np.float16]
_ROWS, _KEYS, _SAVED = "features.f16", "keys.json", "saved.json"


class Unfinished:
    """The rows of a build, appended to in its `with` block.

    Args:
        store: the folder that they are for.
        encoder: what identifies the encoder.
        keys: content keys of all rows, in their order.
        batch_size: rows that are made at once. Those of a batch that is not whole are made again, so that
            every picture is encoded in the same company as in one go.

    Attributes:
        done: how many rows are there; shape: of one, () of none.
    """

    def __init__(
        self, store: Path, encoder: Mapping[str, str], keys: Sequence[str], batch_size: int
    ) -> None:
        self._store, self._place = store, store.with_name(f".{store.name}.unfinished")
        self._hash, self._next_save = hashlib.sha256(), 0.0
        self.done, self.shape = self._begun(encoder, keys, batch_size)
        if not self.done:
            shutil.rmtree(self._place, ignore_errors=True)
            self._place.mkdir(parents=True)
        with full_disk_told(self._place):
            write_json(self._place / _KEYS, {"encoder": dict(encoder), "keys": list(keys)})

    def __enter__(self) -> Self:
        self._file = (self._place / _ROWS).open("ab")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with suppress(*[OSError] * (kind is not None)):  # after a full disk what was saved before stays
            self._save()
        self._file.close()

    def append(self, rows: Rows) -> None:
        """Adds (m, N, V) rows.

        Raises:
            FullDisk: naming the folder.
        """
        with full_disk_told(self._place):
            self._file.write(rows.data)
            self._hash.update(rows.data)
            self.done, self.shape = self.done + len(rows), rows.shape[1:]
            if time.monotonic() >= self._next_save:
                self._save()

    def finish(self, name: str) -> dict[str, Any]:
        """Moves the rows into the store under this name; returns their shape and SHA-256."""
        (self._place / _ROWS).chmod(0o644)
        self._store.mkdir(parents=True, exist_ok=True)
        (self._place / _ROWS).replace(self._store / name)
        shutil.rmtree(self._place)
        return {"shape": [self.done, *self.shape], "sha256": self._hash.hexdigest()}

    def _save(self) -> None:
        self._file.flush()
        os.fsync(self._file.fileno())
        saved = {"rows": self.done, "shape": self.shape, "sha256": self._hash.hexdigest()}
        write_json(self._place / _SAVED, saved)
        self._next_save = time.monotonic() + SAVE_EVERY_SECONDS

    def _begun(
        self, encoder: Mapping[str, str], keys: Sequence[str], batch_size: int
    ) -> tuple[int, tuple[int, ...]]:
        """What an earlier build left that is still wanted, cut to whole batches; (0, ()) for nothing."""
        path = self._place / _ROWS
        try:
            of, saved = read_json(self._place / _KEYS), read_json(self._place / _SAVED)
            rows, shape = int(saved["rows"]), tuple(map(int, saved["shape"]))
            size = int(np.prod(shape, dtype=np.int64)) * np.dtype(np.float16).itemsize
            pairs = enumerate(zip(of["keys"][:rows], keys, strict=False))
            same = next((row for row, (had, wanted) in pairs if had != wanted), min(rows, len(keys)))
            done = same if same == len(keys) else same // batch_size * batch_size
            with path.open("r+b") as file:
                kept = _read(file, done * size, hashlib.sha256())
                every = _read(file, (rows - done) * size, kept.copy())
                if of["encoder"] != encoder or every.hexdigest() != saved["sha256"]:
                    return 0, ()
                file.truncate(done * size)
        except (OSError, ValueError, LookupError, TypeError):  # of files that are not there, or were torn
            return 0, ()
        self._hash = kept
        return done, shape


def _read(file: BinaryIO, size: int, found: Any) -> Any:
    """The hash after the next bytes of the file, or all that are left."""
    while size and (piece := file.read(min(size, 1 << 20))):
        found.update(piece)
        size -= len(piece)
    return found

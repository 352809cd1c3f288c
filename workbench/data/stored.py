"""Examples that stay on disk, decoded when they are asked for: what training reads of the largest sets."""

from __future__ import annotations

import os
import tempfile
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import accumulate
from typing import Any, overload

import pyarrow as pa

from workbench.records import Example


class Stored(Sequence[Example]):
    """A sequence in a temporary file without a name, mapped into memory: the system drops what is not in use.

    Parquet has no access to one row; so its batches are written there once, as Arrow.

    Args:
        make: an example from a row.

    Raises:
        ValueError: when the folder of temporary files is full.
    """

    def __init__(
        self, schema: pa.Schema, batches: Iterable[pa.RecordBatch], make: Callable[[dict[str, Any]], Example]
    ) -> None:
        self._make = make
        try:
            self._batches = _mapped(schema, batches)
        except OSError as error:
            place = tempfile.gettempdir()
            raise ValueError(f"{place} does not take examples ({error}): free it, or set TMPDIR") from error
        self._ends = list(accumulate(batch.num_rows for batch in self._batches))

    def __len__(self) -> int:
        return self._ends[-1] if self._ends else 0

    @overload
    def __getitem__(self, index: int) -> Example: ...
    @overload
    def __getitem__(self, index: slice) -> list[Example]: ...
    def __getitem__(self, index: int | slice) -> Example | list[Example]:
        if isinstance(index, slice):
            return [self[i] for i in range(len(self))[index]]
        place = range(len(self))[index]
        number = bisect_right(self._ends, place)
        batch = self._batches[number]
        return self._make(batch.slice(place - self._ends[number] + batch.num_rows, 1).to_pylist()[0])

    def __iter__(self) -> Iterator[Example]:
        for batch in self._batches:
            yield from map(self._make, batch.to_pylist())


def _mapped(schema: pa.Schema, batches: Iterable[pa.RecordBatch]) -> list[pa.RecordBatch]:
    handle, path = tempfile.mkstemp(prefix="examples.", suffix=".arrow")
    os.close(handle)
    try:
        with pa.OSFile(path, "wb") as file, pa.ipc.new_file(file, schema) as writer:
            for batch in batches:
                writer.write_batch(batch)
        found: list[pa.RecordBatch] = pa.ipc.open_file(pa.memory_map(path)).read_all().to_batches()
    finally:
        os.unlink(path)
    return found

"""Keys that stand twice in one object of a JSON file, where parsers silently take the last or both."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, BinaryIO, Protocol, TypeVar

import ijson

Item = TypeVar("Item")
Mark = tuple[object, str]  # an object of a file and a key that it has twice
_KEPT = 256  # bytes of a piece that are looked at again with the next one, longer than a key


class Twice(ValueError):
    """A key stands twice in one object."""


class Marking(dict[str, Any]):
    """A dict that notes a key that is set twice; ijson does not let it raise while it is filled."""

    def __init__(self, marks: list[Mark]) -> None:
        super().__init__()
        self._marks = marks

    def __setitem__(self, key: str, value: Any) -> None:
        if key in self:
            self._marks.append((self, key))
        super().__setitem__(key, value)


def marked(found: Iterable[Item], marks: list[Mark]) -> Iterator[Item]:
    """The items, until one has a key twice; ijson is ahead, so that a mark may be about a later one."""
    for item in found:
        for where, key in marks:
            if _holds(item, where):
                raise Twice(f"the key {key!r} stands twice")
        yield item


def _holds(value: Any, wanted: object) -> bool:
    if value is wanted:
        return True
    parts = value.values() if isinstance(value, dict) else value if isinstance(value, list | tuple) else ()
    return any(_holds(part, wanted) for part in parts)


def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """The object of these keys and values.

    Raises:
        Twice: when a key is there twice.
    """
    found = dict(pairs)
    if len(found) < len(pairs):
        keys = [key for key, _ in pairs]
        raise Twice(f"the key {next(key for key in keys if keys.count(key) > 1)!r} stands twice")
    return found


class Readable(Protocol):
    """What a parser reads from."""

    def read(self, size: int = -1, /) -> bytes:
        """The next bytes, at most so many."""


class Watched:
    """A JSON file, looked at while a parser reads it: does a key on the path to its records come twice?

    Args:
        prefix: of the records, as in ijson: ``data.dialogs.item``.
    """

    def __init__(self, stream: Readable, prefix: str) -> None:
        self.keys = prefix.split(".")[:-1]
        self.suspicious = False  # the name may belong to other objects as well: `repeated` decides
        self._stream, self._rest, self._seen = stream, b"", Counter[bytes]()
        # within a text the quotation marks would be escaped
        self._key = re.compile(rb'"(' + b"|".join(key.encode() for key in self.keys) + rb')"\s*:')

    def read(self, size: int = -1) -> bytes:
        """As that of the file."""
        data = self._stream.read(size)
        if self.keys:
            piece, end = self._rest + data, 0
            for match in self._key.finditer(piece):
                self._seen[match[1]] += 1
                end = match.end()
            self.suspicious = self.suspicious or any(count > 1 for count in self._seen.values())
            self._rest = piece[max(end, len(piece) - _KEPT) :]
        return data


def repeated(stream: BinaryIO, keys: Sequence[str]) -> str:
    """The first key of a path that its object has twice, "" for none."""
    places = {(".".join(keys[:depth]), key) for depth, key in enumerate(keys)}
    seen = set()
    for prefix, event, key in ijson.parse(stream):
        if event == "map_key" and (prefix, key) in places:
            if (prefix, key) in seen:
                return str(key)
            seen.add((prefix, key))
    return ""

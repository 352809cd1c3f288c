"""Joins and "seen before" in constant memory: temporary SQLite databases on disk that nobody else sees."""

from __future__ import annotations

import errno
import json
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from workbench.data.official.rows import LARGEST
from workbench.files import FullDisk

CACHE_KIB = 8192


class _Database(sqlite3.Connection):
    def execute(self, *query: Any) -> sqlite3.Cursor:
        with _told():
            return super().execute(*query)

    def executemany(self, *query: Any) -> sqlite3.Cursor:
        with _told():
            return super().executemany(*query)


@contextmanager
def _told() -> Iterator[None]:
    try:
        yield
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode != sqlite3.SQLITE_FULL:
            raise
        what = "no room for temporary files: free some, or name another folder in SQLITE_TMPDIR"
        raise FullDisk(errno.ENOSPC, what) from error


def database() -> sqlite3.Connection:
    """An empty database in a temporary file without a name; it is gone when it is closed.

    Its queries raise FullDisk when there is no room for that file.
    """
    found = sqlite3.connect("", factory=_Database)
    for setting in (f"cache_size=-{CACHE_KIB}", "journal_mode=OFF", "synchronous=OFF", "temp_store=FILE"):
        found.execute(f"PRAGMA {setting}")
    return found


class Lookup:
    """Key -> the JSON values that were given for it, in their order."""

    def __init__(self, pairs: Iterable[tuple[str, Any]]) -> None:
        self._rows = database()
        self._rows.execute("CREATE TABLE rows (key TEXT, value TEXT)")
        written = ((key, json.dumps(value, ensure_ascii=False)) for key, value in pairs)
        self._rows.executemany("INSERT INTO rows VALUES (?, ?)", written)
        self._rows.execute("CREATE INDEX by_key ON rows (key)")

    def get(self, key: str) -> list[Any]:
        """The key's values, none for an unknown one."""
        found = self._rows.execute("SELECT value FROM rows WHERE key = ? ORDER BY rowid", (key,))
        return [json.loads(value) for (value,) in found]

    def at(self, index: int) -> Any:
        """The value that was given as number `index`, from 0.

        Raises:
            IndexError: when there are not so many.
        """
        known = 0 <= index < LARGEST - 1
        query = "SELECT value FROM rows WHERE rowid = ?"
        found = self._rows.execute(query, (index + 1,)).fetchone() if known else None
        if found is None:
            raise IndexError(index)
        return json.loads(found[0])


class Seen:
    """A set of strings."""

    def __init__(self) -> None:
        self._rows = database()
        self._rows.execute("CREATE TABLE seen (key TEXT PRIMARY KEY) WITHOUT ROWID")

    def add(self, key: str) -> bool:
        """Whether the key is new."""
        return self._rows.execute("INSERT OR IGNORE INTO seen VALUES (?)", (key,)).rowcount == 1

    def __contains__(self, key: str) -> bool:
        return self._rows.execute("SELECT 1 FROM seen WHERE key = ?", (key,)).fetchone() is not None

    def __iter__(self) -> Iterator[str]:
        for (key,) in self._rows.execute("SELECT key FROM seen ORDER BY key"):
            yield key

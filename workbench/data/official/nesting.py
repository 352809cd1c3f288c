"""How deep a JSON file is nested, told from its bytes before a parser sees them.

A parser that streams keeps a text for each level: 160 kB of brackets would take gigabytes.
"""

from __future__ import annotations

from typing import BinaryIO

import numpy as np

_OTHERS = bytes(set(range(256)) - set(b'[]{}"'))
_STEPS = np.zeros(256, np.int8)
_STEPS[[ord("["), ord("{")]] = 1
_STEPS[[ord("]"), ord("}")]] = -1


class TooDeep(ValueError):
    """A JSON file is nested deeper than its records may be."""


class Shallow:
    """A JSON file whose `read` ends where lists and objects stand too deep in each other.

    Args:
        most: how deep they may.
    """

    def __init__(self, stream: BinaryIO, most: int) -> None:
        self._stream, self._most = stream, most
        self._depth, self._quoted, self._rest = 0, 0, b""

    def read(self, size: int = -1) -> bytes:
        """As that of the file.

        Raises:
            TooDeep: for bytes in which it is nested too deep.
        """
        data = self._stream.read(size)
        bare = (self._rest + data).replace(rb"\\", b"").replace(rb"\"", b"")
        self._rest = b"\\" if bare.endswith(b"\\") else b""  # what it escapes comes with the next bytes
        marks = np.frombuffer(bare.translate(None, _OTHERS), np.uint8)
        quoted = (np.cumsum(marks == ord('"')) + self._quoted) % 2
        depth = self._depth + np.cumsum(np.where(quoted, 0, _STEPS[marks]))
        if depth.size:
            if depth.max() > self._most:
                raise TooDeep(f"is nested more than {self._most} deep")
            self._depth, self._quoted = int(depth[-1]), int(quoted[-1])
        return data

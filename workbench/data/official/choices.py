"""Options in the form of the paper's prompts."""

from __future__ import annotations

from collections.abc import Sequence
from string import ascii_lowercase

from workbench.data.official.rows import Row


def listed(options: Sequence[str], row: Row) -> str:
    """``(a) dog (b) cat``.

    Raises:
        DataFault: for more options than there are letters, or empty ones.
    """
    if len(options) > len(ascii_lowercase) or not all(options):
        raise row.fault(f"its {len(options)} options are too many, or one is empty")
    return " ".join(f"({letter}) {option}" for letter, option in zip(ascii_lowercase, options, strict=False))

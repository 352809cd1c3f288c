"""Options in the form of the paper's prompts."""

from __future__ import annotations

from collections.abc import Sequence

from workbench.data.candidates import lettered
from workbench.data.official.rows import Row


def listed(options: Sequence[str], row: Row) -> str:
    """``(a) dog (b) cat``.

    Raises:
        DataFault: for more options than there are letters, or empty ones.
    """
    if not all(options):
        raise row.fault("one of its options is empty")
    try:
        return lettered(options)
    except ValueError as error:
        raise row.fault(str(error)) from error

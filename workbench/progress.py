"""Progress with the time that is left, on stderr: a bar in a terminal, a line now and then in a log."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from tqdm import tqdm

Item = TypeVar("Item")
LOG_SECONDS = 30.0
# the variable with the terminal line of a process's bars, from 0; tqdm reads its own only at import
LINE = "WORKBENCH_LINE"


def shown(items: Iterable[Item], title: str, total: int | None = None, done: int = 0) -> Iterator[Item]:
    """Passes the items on and shows how far they are; `done` of them were made by an earlier process."""
    with _bar(title, total, done) as bar:
        for item in items:
            yield item
            bar.update()


@contextmanager
def counting(title: str) -> Iterator[Callable[[int, int], None]]:
    """A function to call with (done, total), as data/features.py does."""
    with _bar(title, None, 0) as bar:

        def count(done: int, total: int) -> None:
            if bar.total is None:
                bar.initial = bar.n = done  # what was there before is no measure of the pace
            bar.total = total
            bar.update(done - bar.n)

        yield count


def _bar(title: str, total: int | None, done: int) -> tqdm[None]:
    pause = 0.2 if sys.stderr.isatty() else LOG_SECONDS
    line = int(os.environ[LINE]) if LINE in os.environ else None
    return tqdm(
        desc=title,
        total=total,
        initial=done,
        mininterval=pause,
        file=sys.stderr,
        dynamic_ncols=True,
        position=line,
    )

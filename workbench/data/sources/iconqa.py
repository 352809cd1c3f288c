"""IconQA's twin: multiple choice on abstract layouts of icons."""

from __future__ import annotations

from collections.abc import Iterator

from workbench.data.micro.pools import Item, item, scene_id
from workbench.data.micro.puzzles import draw
from workbench.data.micro.sampling import stream
from workbench.records import Split


def micro(split: Split, count: int, seed: int) -> Iterator[Item]:
    """One puzzle per picture."""
    for index in range(count):
        scene, asked = draw(stream(seed, "iconqa", split, index), scene_id("iconqa", split, index))
        yield item("iconqa", split, index, (scene,), (asked.answer,), asked.fields, asked.candidates)

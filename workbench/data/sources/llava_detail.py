"""LLaVA's detailed descriptions in miniature: a request, and everything about every thing."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from workbench.data.micro.dialogue import detail_request
from workbench.data.micro.pools import Item, coco, item
from workbench.data.micro.sampling import stream
from workbench.data.official import llava
from workbench.data.official.rows import Note, refuse
from workbench.records import Example, Split


def micro(split: Split, count: int, seed: int) -> Iterator[Item]:
    """One example per picture; the question is used as it is, without a template."""
    for index in range(count):
        scene = coco(split, index, seed)
        question, answer = detail_request(scene, stream(seed, "llava_detail", split, index))
        yield item("llava_detail", split, index, (scene,), (answer,), {"question": question})


def official(split: Split, root: Path, note: Note = refuse) -> Iterator[Example]:
    """The official file: one example per conversation, its first turn."""
    return llava.examples("llava_detail", split, root, note)

"""COCO Caption's twin: five captions for each picture of the shared pool."""

from __future__ import annotations

from collections.abc import Iterator

from workbench.data.micro.language import caption
from workbench.data.micro.pools import Item, coco, item
from workbench.data.micro.sampling import stream
from workbench.records import Split


def micro(split: Split, count: int, seed: int) -> Iterator[Item]:
    """One example per picture, with five references."""
    for index in range(count):
        scene = coco(split, index, seed)
        rng = stream(seed, "coco_caption", split, index)
        yield item("coco_caption", split, index, (scene,), [caption(scene, rng) for _ in range(5)])

"""Flickr30K's twin: five captions for pictures with other backgrounds and scales."""

from __future__ import annotations

from collections.abc import Iterator

from workbench.data.micro.language import caption
from workbench.data.micro.pools import Item, item, scene_id
from workbench.data.micro.sampling import draw_scene, stream
from workbench.records import Split


def micro(split: Split, count: int, seed: int) -> Iterator[Item]:
    """One example per picture, with five references."""
    for index in range(count):
        rng = stream(seed, "flickr30k", split, index)
        scene = draw_scene(rng, scene_id("flickr30k", split, index), backgrounds=(4, 5, 6, 7))
        yield item("flickr30k", split, index, (scene,), [caption(scene, rng) for _ in range(5)])

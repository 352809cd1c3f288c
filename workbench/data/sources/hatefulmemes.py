"""HatefulMemes' twin: whether a line of text is hateful depends on the picture below it."""

from __future__ import annotations

from collections.abc import Iterator

from workbench.data.micro.memes import ask
from workbench.data.micro.pools import Item, item, scene_id
from workbench.data.micro.sampling import draw_scene, stream
from workbench.records import Split


def micro(split: Split, count: int, seed: int) -> Iterator[Item]:
    """One example per picture, half of them hateful."""
    for index in range(count):
        rng = stream(seed, "hatefulmemes", split, index)
        scene = draw_scene(rng, scene_id("hatefulmemes", split, index))
        asked = ask(scene, rng, hateful=bool(rng.integers(2)))
        yield item("hatefulmemes", split, index, (scene,), (asked.answer,), asked.fields, asked.candidates)

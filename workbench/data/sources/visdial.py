"""Visual Dialog's twin: a history, a follow-up question and twenty answers to rank."""

from __future__ import annotations

from collections.abc import Iterator

from workbench.data.micro.dialogue import follow_up
from workbench.data.micro.pools import Item, item, scene_id
from workbench.data.micro.sampling import draw_scene, stream
from workbench.records import Split


def micro(split: Split, count: int, seed: int) -> Iterator[Item]:
    """One example per picture."""
    for index in range(count):
        rng = stream(seed, "visdial", split, index)
        scene = draw_scene(rng, scene_id("visdial", split, index))
        asked = follow_up(scene, rng)
        yield item("visdial", split, index, (scene,), (asked.answer,), asked.fields, asked.candidates)

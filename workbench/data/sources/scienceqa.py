"""ScienceQA's twin: a context with a definition or an experiment, four options, a picture that decides."""

from __future__ import annotations

from collections.abc import Iterator

from workbench.data.micro.pools import Item, item, scene_id
from workbench.data.micro.sampling import draw_scene, stream
from workbench.data.micro.science import ask
from workbench.records import Split


def micro(split: Split, count: int, seed: int) -> Iterator[Item]:
    """One example per picture."""
    for index in range(count):
        rng = stream(seed, "scienceqa", split, index)
        scene = draw_scene(rng, scene_id("scienceqa", split, index), repeat=0)
        asked = ask(scene, rng)
        yield item("scienceqa", split, index, (scene,), (asked.answer,), asked.fields, asked.candidates)

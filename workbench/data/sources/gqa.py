"""GQA's twin: compositional questions of several hops, two to a picture, one right answer each."""

from __future__ import annotations

from collections.abc import Iterator

from workbench.data.micro.asking import choose
from workbench.data.micro.pools import Item, item, scene_id
from workbench.data.micro.questions import questions
from workbench.data.micro.sampling import draw_scene, stream
from workbench.records import Split

KINDS = ("relation", "two_hop", "same", "both", "at_place")


def micro(split: Split, count: int, seed: int) -> Iterator[Item]:
    """One example per question."""
    for index in range(count):
        picture, turn = divmod(index, 2)
        rng = stream(seed, "gqa", split, picture)
        scene = draw_scene(rng, scene_id("gqa", split, picture), objects=(3, 5))
        qa = choose(questions(scene, KINDS, rng), rng, 2)[turn]
        yield item("gqa", split, index, (scene,), (qa.answer,), {"question": qa.question})

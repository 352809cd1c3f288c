"""GQA's twin: compositional questions of several hops, two to a picture, one right answer each."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from workbench.data.micro.asking import choose
from workbench.data.micro.pools import Item, item, scene_id
from workbench.data.micro.questions import questions
from workbench.data.micro.sampling import draw_scene, stream
from workbench.data.official.pictures import below
from workbench.data.official.reading import json_pairs
from workbench.data.official.releases import file_of
from workbench.data.official.rows import Note, Row, made, refuse
from workbench.records import Example, Split

KINDS = ("relation", "two_hop", "same", "both", "at_place")


def micro(split: Split, count: int, seed: int) -> Iterator[Item]:
    """One example per question."""
    for index in range(count):
        picture, turn = divmod(index, 2)
        rng = stream(seed, "gqa", split, picture)
        scene = draw_scene(rng, scene_id("gqa", split, picture), objects=(3, 5))
        qa = choose(questions(scene, KINDS, rng), rng, 2)[turn]
        yield item("gqa", split, index, (scene,), (qa.answer,), {"question": qa.question})


def official(split: Split, root: Path, note: Note = refuse) -> Iterator[Example]:
    """The official file, a dict by question: one example per question, one right answer."""

    def make(pair: tuple[str, Row]) -> Iterator[Example]:
        number, row = pair
        image = row.name("imageId")
        yield Example(
            dataset="gqa",
            example_id=f"gqa_{number}",
            image_id=f"gqa/{image}",
            images=(below(root, "gqa/images", f"{image}.jpg", row),),
            references=(row.text("answer"),),
            fields={"question": row.text("question")},
        )

    yield from made(json_pairs(root, file_of(root, "gqa", split)), make, note)

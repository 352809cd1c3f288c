"""ScienceQA's twin: a context with a definition or an experiment, four options, a picture that decides."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from workbench.data.micro.pools import Item, item, scene_id
from workbench.data.micro.sampling import draw_scene, stream
from workbench.data.micro.science import ask
from workbench.data.official.choices import listed
from workbench.data.official.pictures import below
from workbench.data.official.reading import json_pairs
from workbench.data.official.releases import file_of
from workbench.data.official.rows import Note, Row, made, refuse
from workbench.records import Example, Split


def micro(split: Split, count: int, seed: int) -> Iterator[Item]:
    """One example per picture."""
    for index in range(count):
        rng = stream(seed, "scienceqa", split, index)
        scene = draw_scene(rng, scene_id("scienceqa", split, index), repeat=0)
        asked = ask(scene, rng)
        yield item("scienceqa", split, index, (scene,), (asked.answer,), asked.fields, asked.candidates)


def official(split: Split, root: Path, note: Note = refuse) -> Iterator[Example]:
    """The problems of a split that have an image; the hint is the context."""

    def make(pair: tuple[str, Row]) -> Iterator[Example]:
        number, row = pair
        if row.text("split") != split or not row.optional("image"):
            return
        choices = row.texts("choices")
        extras = {name: row.optional(name) for name in ("grade", "topic") if row.optional(name)}
        fields = {"context": row.optional("hint"), "question": row.text("question")}
        yield Example(
            dataset="scienceqa",
            example_id=f"scienceqa_{number}",
            image_id=f"scienceqa/{number}",
            images=(below(root, f"scienceqa/images/{split}", f"{number}/{row.text('image')}", row),),
            references=(choices[row.index("answer", len(choices))],),
            fields={**fields, "options": listed(choices, row), **extras},
            candidates=choices,
            domain=row.optional("subject"),
        )

    yield from made(json_pairs(root, file_of(root, "scienceqa", split)), make, note)

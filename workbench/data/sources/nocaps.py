"""NoCaps' twin: ten captions for pictures of known (in), mixed (near) or only novel concepts (out)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path, PurePosixPath

import numpy as np

from workbench.data.micro.concepts import Concept
from workbench.data.micro.language import caption
from workbench.data.micro.pools import Item, item, scene_id
from workbench.data.micro.sampling import KNOWN, NOVEL, draw_scene, stream
from workbench.data.official.lookup import Lookup
from workbench.data.official.pictures import below
from workbench.data.official.reading import json_rows
from workbench.data.official.releases import file_of
from workbench.data.official.rows import Note, Row, made, refuse
from workbench.records import Example, Split

DOMAINS = ("in", "near", "out")


def micro(split: Split, count: int, seed: int) -> Iterator[Item]:
    """One example per picture, with ten references; the domains take turns."""
    for index in range(count):
        rng = stream(seed, "nocaps", split, index)
        domain = DOMAINS[index % 3]
        pool = concepts(domain, rng)
        number = len(pool) if domain == "near" else int(rng.integers(2, 6))
        name = scene_id("nocaps", split, index)
        scene = draw_scene(rng, name, objects=(number, number), pool=pool, repeat=0)
        captions = [caption(scene, rng) for _ in range(10)]
        yield item("nocaps", split, index, (scene,), captions, domain=domain)


def concepts(domain: str, rng: np.random.Generator) -> tuple[Concept, ...]:
    """What may be drawn: near-domain pictures hold one or two of each sort."""
    if domain == "in":
        return KNOWN
    if domain == "out":
        return NOVEL
    known, novel = (
        rng.choice(len(sort), size=1 + int(rng.integers(2)), replace=False) for sort in (KNOWN, NOVEL)
    )
    return (*(KNOWN[int(i)] for i in known), *(NOVEL[int(i)] for i in novel))


def official(split: Split, root: Path, note: Note = refuse) -> Iterator[Example]:
    """The official file, in COCO's format: one example per picture, with ten references."""
    file = file_of(root, "nocaps", split)
    rows = json_rows(root, file, "annotations.item")
    captions = Lookup((row.name("image_id"), row.text("caption")) for row in rows)

    def make(row: Row) -> Iterator[Example]:
        number, name = row.name("id"), row.text("file_name")
        references = captions.get(number)
        if not references:
            raise row.fault(f"image {number} has no caption among the annotations")
        yield Example(
            dataset="nocaps",
            example_id=f"nocaps_{number}",
            image_id=f"openimages/{row.optional('open_images_id') or PurePosixPath(name).stem}",
            images=(below(root, "nocaps/images", name, row),),
            references=tuple(references),
            domain=row.optional("domain").removesuffix("-domain"),
        )

    yield from made(json_rows(root, file, "images.item"), make, note)

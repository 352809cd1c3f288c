"""Web CapFilt's twin: the largest set, one short and noisy caption per picture of its own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from workbench.data.micro.language import caption
from workbench.data.micro.pools import Item, item, scene_id
from workbench.data.micro.sampling import KNOWN, draw_scene, pick, stream
from workbench.data.micro.scene import COLOURS
from workbench.data.official.carving import carved
from workbench.data.official.pictures import below
from workbench.data.official.reading import table_rows
from workbench.data.official.releases import file_of
from workbench.data.official.rows import NoPicture, Note, Row, made, refuse
from workbench.records import Example, Split

KNOWN_NAMES = tuple(concept.name for concept in KNOWN)
DROPPED, WRONG = 0.05, 0.04  # shares of words that are lost, or replaced by another of their type

ONE_IN = 2800  # images is val, another test: 5,000 of 14 million


def micro(split: Split, count: int, seed: int) -> Iterator[Item]:
    """One example per picture, with a single reference."""
    for index in range(count):
        rng = stream(seed, "web_capfilt", split, index)
        scene = draw_scene(rng, scene_id("web_capfilt", split, index), objects=(1, 4))
        yield item("web_capfilt", split, index, (scene,), [noisy(caption(scene, rng), rng)])


def noisy(text: str, rng: np.random.Generator) -> str:
    """The text with some words dropped and some names and colours wrong."""
    words = []
    for word in text.split():
        luck = rng.random()
        kind = next((kind for kind in (KNOWN_NAMES, COLOURS) if word in kind), ())
        if luck < WRONG and kind:
            words.append(pick(rng, kind))
        elif luck > DROPPED or word in (",", "and"):
            words.append(word)
    return " ".join(words) or text


def official(split: Split, root: Path, note: Note = refuse) -> Iterator[Example]:
    """BLIP's file: one example per image and caption; records need the field ``image``."""

    def make(row: Row) -> Iterator[Example]:
        if row.values.get("image") is None:
            if split != "train":  # of which split it would be nobody can say; it is named once
                return
            remedy = "fetch the pictures and name their files in the field image, or set data.allow_missing"
            raise NoPicture(row.file, row.place, "names no image file, only a url", remedy)
        name = row.text("image")
        if carved(name, ONE_IN) == split:
            number = int(row.place.split()[-1])
            yield Example(
                dataset="web_capfilt",
                example_id=f"web_capfilt_{number:09d}",
                image_id=f"web_capfilt/{name}",
                images=(below(root, "web_capfilt/images", name, row),),
                references=(row.text("caption"),),
            )

    yield from made(table_rows(root, file_of(root, "web_capfilt", split)), make, note)

"""Web CapFilt's twin: the largest set, one short and noisy caption per picture of its own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path, PurePosixPath

import numpy as np

from workbench.data.micro.language import caption
from workbench.data.micro.pools import Item, item, scene_id
from workbench.data.micro.sampling import KNOWN, draw_scene, pick, stream
from workbench.data.micro.scene import COLOURS
from workbench.data.official.carving import carved
from workbench.data.official.pictures import below
from workbench.data.official.reading import parquet_rows, table_rows
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
    """One example per image and caption.

    From BLIP's file, whose records need the field ``image``, or from what img2dataset made of it: tables
    <shard>.parquet beside folders <shard>. The url says of which split a picture is, so that it is of the
    same one whatever its file is called.
    """
    file = file_of(root, "web_capfilt", split)
    fetched = (root / file).is_dir()

    def make(row: Row) -> Iterator[Example]:
        if carved(row.optional("url") or row.text("image"), ONE_IN) != split:
            return
        name = _fetched(row) if fetched else row.optional("image")
        if not name:
            remedy = "fetch it with img2dataset, or name its file in the field image"
            raise NoPicture(row.file, row.place, "has a url and no image file", remedy)
        number = row.text("key") if fetched else f"{int(row.place.split()[-1]):09d}"
        yield Example(
            dataset="web_capfilt",
            example_id=f"web_capfilt_{number}",
            image_id=f"web_capfilt/{name}",
            images=(below(root, "web_capfilt/images", name, row),),
            references=(row.text("caption"),),
        )

    yield from made(parquet_rows(root, file) if fetched else table_rows(root, file), make, note)


def _fetched(row: Row) -> str:
    """The name that img2dataset gave to a picture, "" for one that it could not fetch."""
    if row.optional("status") not in ("", "success"):
        return ""
    return f"{PurePosixPath(row.file).stem}/{row.text('key')}.jpg"

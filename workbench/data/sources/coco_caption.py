"""COCO Caption's twin: five captions for each picture of the shared pool."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from workbench.data.micro.language import caption
from workbench.data.micro.pools import Item, coco, item
from workbench.data.micro.sampling import stream
from workbench.data.official.captions import images, sentences
from workbench.data.official.pictures import below
from workbench.data.official.releases import file_of
from workbench.data.official.rows import Note, Row, made, refuse
from workbench.records import Example, Split


def micro(split: Split, count: int, seed: int) -> Iterator[Item]:
    """One example per picture, with five references."""
    for index in range(count):
        scene = coco(split, index, seed)
        rng = stream(seed, "coco_caption", split, index)
        yield item("coco_caption", split, index, (scene,), [caption(scene, rng) for _ in range(5)])


def official(split: Split, root: Path, note: Note = refuse) -> Iterator[Example]:
    """Karpathy's file: an example per caption in training, otherwise per image with all of them."""

    def make(row: Row) -> Iterator[Example]:
        number = row.number("cocoid")
        name = f"{row.text('filepath')}/{row.text('filename')}"
        picture = below(root, "coco", name, row)
        captions = {str(number): sentences(row)}
        if split == "train":
            captions = {one.name("sentid"): (one.text("raw"),) for one in row.rows("sentences")}
        for key, texts in captions.items():
            yield Example("coco_caption", f"coco_caption_{key}", f"coco/{number:012d}", (picture,), texts)

    yield from made(images(root, file_of(root, "coco_caption", split), split), make, note)

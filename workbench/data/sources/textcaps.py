"""TextCaps' twin: five captions that have to use the word on a plate; OCR tokens are given."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from workbench.data.micro.asking import read_words
from workbench.data.micro.language import caption
from workbench.data.micro.pools import Item, item, scene_id
from workbench.data.micro.sampling import draw_scene, stream
from workbench.data.official.lookup import Seen
from workbench.data.official.ocr import Tokens
from workbench.data.official.pictures import textvqa
from workbench.data.official.reading import json_rows
from workbench.data.official.releases import file_of
from workbench.data.official.rows import Note, Row, made, refuse
from workbench.records import Example, Split


def micro(split: Split, count: int, seed: int) -> Iterator[Item]:
    """One example per picture, with five references and the field ``ocr``."""
    for index in range(count):
        rng = stream(seed, "textcaps", split, index)
        scene = draw_scene(rng, scene_id("textcaps", split, index), objects=(1, 3), plates=1)
        fields = {"ocr": read_words([scene.plates[0].word], rng)}
        yield item("textcaps", split, index, (scene,), [caption(scene, rng) for _ in range(5)], fields)


def official(split: Split, root: Path, note: Note = refuse) -> Iterator[Example]:
    """The official files: an example per caption in training, otherwise per image with all of them."""
    tokens = Tokens(root, file_of(root, "textcaps", split, 1))
    seen = Seen()

    def make(row: Row) -> Iterator[Example]:
        image = row.name("image_id")
        if split != "train" and not seen.add(image):
            return  # each of an image's five records lists all five captions
        number = row.place.removeprefix("record ")
        yield Example(
            dataset="textcaps",
            example_id=f"textcaps_{split}_{number}" if split == "train" else f"textcaps_{image}",
            image_id=f"openimages/{image}",
            images=(textvqa(root, image, row),),
            references=(row.text("caption_str"),) if split == "train" else row.texts("reference_strs"),
            fields={"ocr": tokens.of(image)},
        )

    yield from made(json_rows(root, file_of(root, "textcaps", split), "data.item"), make, note)

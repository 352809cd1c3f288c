"""Flickr30K's twin: five captions for pictures with other backgrounds and scales."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from workbench.data.micro.language import caption
from workbench.data.micro.pools import Item, item, scene_id
from workbench.data.micro.sampling import draw_scene, stream
from workbench.data.official.captions import images, sentences
from workbench.data.official.pictures import below
from workbench.data.official.reading import text_lines
from workbench.data.official.releases import file_of
from workbench.data.official.rows import DataFault, Note, Row, made, refuse
from workbench.records import Example, Split


def micro(split: Split, count: int, seed: int) -> Iterator[Item]:
    """One example per picture, with five references."""
    for index in range(count):
        rng = stream(seed, "flickr30k", split, index)
        scene = draw_scene(rng, scene_id("flickr30k", split, index), backgrounds=(4, 5, 6, 7))
        yield item("flickr30k", split, index, (scene,), [caption(scene, rng) for _ in range(5)])


def official(split: Split, root: Path, note: Note = refuse) -> Iterator[Example]:
    """Karpathy's file, or the token file with a list of the split's images: five references per image."""
    file = file_of(root, "flickr30k", split)
    karpathy = file.endswith(".json")
    rows = images(root, file, split) if karpathy else listed(root, file, f"flickr30k/{split}.txt")

    def make(row: Row) -> Iterator[Example]:
        name = row.text("filename")
        picture = PurePosixPath(name).stem
        yield Example(
            dataset="flickr30k",
            example_id=f"flickr30k_{picture}",
            image_id=f"flickr/{picture}",
            images=(below(root, "flickr30k/flickr30k-images", name, row),),
            references=sentences(row),
        )

    yield from made(rows, make, note)


def listed(root: Path, file: str, names: str) -> Iterator[Row]:
    """The images of a list, from lines ``<image>#<number>\\t<caption>`` that stand together for an image."""
    wanted = {line.strip().removesuffix(".jpg") for _, line in text_lines(root, names)}

    def lines() -> Iterator[tuple[str, int, str]]:
        for number, line in text_lines(root, file):
            head, tab, caption = line.partition("\t")
            if not tab or "#" not in head:
                raise DataFault(file, f"line {number}", "is not <image>#<number>, tab, caption", "correct it")
            yield head.partition("#")[0], number, caption

    for name, group in itertools.groupby(lines(), key=lambda line: line[0]):
        if name.removesuffix(".jpg") in wanted:
            found = list(group)
            captions = [{"raw": caption} for _, _, caption in found]
            yield Row(file, f"line {found[0][1]}", {"filename": name, "sentences": captions})

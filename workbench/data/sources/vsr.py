"""VSR's twin: a statement about how two things lie to each other, true as often as false."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from workbench.data.micro.language import statement
from workbench.data.micro.pools import Item, item, scene_id
from workbench.data.micro.sampling import draw_scene, stream
from workbench.data.official.pictures import coco, found
from workbench.data.official.reading import line_rows
from workbench.data.official.releases import file_of
from workbench.data.official.rows import Note, Row, made, refuse, short
from workbench.records import Example, Split

LABELS = {"0": "false", "1": "true", "false": "false", "true": "true"}


def micro(split: Split, count: int, seed: int) -> Iterator[Item]:
    """One example per picture; pictures are drawn until two things share a row or a column."""
    for index in range(count):
        rng = stream(seed, "vsr", split, index)
        true = bool(rng.integers(2))
        text = None
        while text is None:
            scene = draw_scene(rng, scene_id("vsr", split, index), objects=(3, 5))
            text = statement(scene, rng, true)
        yield item("vsr", split, index, (scene,), ("true" if true else "false",), {"statement": text})


def official(split: Split, root: Path, note: Note = refuse) -> Iterator[Example]:
    """The zero-shot split; its releases differ in fields that are not needed here."""

    def make(row: Row) -> Iterator[Example]:
        name = row.text("image")
        if not (name.removesuffix(".jpg").isdecimal() and len(name) <= len("000000000000.jpg")):
            raise row.fault(f"the image {short(name)} is none of COCO", "names are twelve digits and .jpg")
        image_id, picture = coco(root, int(name.removesuffix(".jpg")), row)
        label = str(row.value("label")).lower()
        if label not in LABELS:
            raise row.fault(f"the label is {label!r}, neither 0 nor 1")
        yield Example(
            dataset="vsr",
            example_id=f"vsr_{split}_{row.place.removeprefix('line ')}",
            image_id=image_id,
            images=(found(root, row, f"vsr/images/{name}", picture),),
            references=(LABELS[label],),
            fields={"statement": row.text("caption")},
        )

    yield from made(line_rows(root, file_of(root, "vsr", split)), make, note)

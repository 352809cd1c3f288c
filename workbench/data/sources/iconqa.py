"""IconQA's twin: multiple choice on abstract layouts of icons."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from workbench.data.micro.pools import Item, item, scene_id
from workbench.data.micro.puzzles import draw
from workbench.data.micro.sampling import stream
from workbench.data.official.choices import listed
from workbench.data.official.pictures import below
from workbench.data.official.reading import json_object
from workbench.data.official.releases import file_of
from workbench.data.official.rows import DataFault, Note, made, refuse
from workbench.records import Example, Split


def micro(split: Split, count: int, seed: int) -> Iterator[Item]:
    """One puzzle per picture."""
    for index in range(count):
        scene, asked = draw(stream(seed, "iconqa", split, index), scene_id("iconqa", split, index))
        yield item("iconqa", split, index, (scene,), (asked.answer,), asked.fields, asked.candidates)


def official(split: Split, root: Path, note: Note = refuse) -> Iterator[Example]:
    """Multi-text-choice: one example per folder, which holds data.json and image.png."""
    folder = file_of(root, "iconqa", split)
    if not (root / folder).is_dir():
        raise DataFault(folder, "", "has to be a folder of questions", "unpack the dataset again")
    names = sorted((path.name for path in (root / folder).iterdir() if path.is_dir()), key=_order)

    def make(name: str) -> Iterator[Example]:
        row = json_object(root, f"{folder}/{name}/data.json")
        choices = row.texts("choices")
        yield Example(
            dataset="iconqa",
            example_id=f"iconqa_{name}",
            image_id=f"iconqa/{name}",
            images=(below(root, f"{folder}/{name}", "image.png", row),),
            references=(choices[row.index("answer", len(choices))],),
            fields={"question": row.text("question"), "options": listed(choices, row)},
            candidates=choices,
        )

    yield from made(names, make, note)


def _order(name: str) -> tuple[int, str]:
    return (int(name) if name.isdecimal() else 0, name)

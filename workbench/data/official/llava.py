"""LLaVA-Instruct: conversations with GPT-4 about COCO images; the first turn is taken, as in LAVIS."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from workbench.data.official.carving import carved
from workbench.data.official.pictures import coco
from workbench.data.official.reading import json_rows
from workbench.data.official.releases import file_of
from workbench.data.official.rows import Note, Row, made, short
from workbench.records import Example, Split

ONE_IN = 100  # images are val, as many test


def examples(dataset: str, split: Split, root: Path, note: Note) -> Iterator[Example]:
    """One example per conversation; the question is used as it is, without a template."""

    def make(row: Row) -> Iterator[Example]:
        number = PurePosixPath(row.text("image")).stem.rpartition("_")[2]
        if not (number.isdecimal() and len(number) <= 12):
            raise row.fault(f"the image {short(row.text('image'))} is none of COCO")
        image_id, picture = coco(root, int(number), row)
        if carved(image_id, ONE_IN) != split:
            return
        turns = row.rows("conversations")
        if [turn.text("from") for turn in turns[:2]] != ["human", "gpt"]:
            raise row.fault("its conversation does not begin with human and gpt")
        question = turns[0].text("value").replace("<image>", "").strip()
        if not question:
            raise row.fault("its first question is empty")
        yield Example(
            dataset=dataset,
            example_id=f"{dataset}_{row.place.removeprefix('record ')}",
            image_id=image_id,
            images=(picture,),
            references=(turns[1].text("value"),),
            fields={"question": question},
        )

    yield from made(json_rows(root, file_of(root, dataset, split)), make, note)

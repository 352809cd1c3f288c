"""VizWiz' twin: blurred, dark or cropped pictures; a question may be unanswerable; ten annotators."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path, PurePosixPath

import numpy as np

from workbench.data.micro.asking import choose, crowd
from workbench.data.micro.language import absent
from workbench.data.micro.pools import Item, item, scene_id
from workbench.data.micro.questions import QA, questions
from workbench.data.micro.sampling import draw_scene, pick, stream
from workbench.data.micro.scene import Scene
from workbench.data.official.pictures import below
from workbench.data.official.reading import json_rows
from workbench.data.official.releases import file_of
from workbench.data.official.rows import Note, Row, made, refuse
from workbench.data.official.vqa import answers
from workbench.records import Example, Split

KINDS = ("colour", "which_category", "which_colour", "word")  # a crop moves things: never where
UNANSWERABLE = "unanswerable"


def micro(split: Split, count: int, seed: int) -> Iterator[Item]:
    """One example per picture; three in ten are unanswerable."""
    for index in range(count):
        rng = stream(seed, "vizwiz", split, index)
        clear = draw_scene(rng, scene_id("vizwiz", split, index), plates=int(rng.random() < 0.3))
        qa = choose(questions(clear, KINDS, rng), rng)[0]
        qa = replace(qa, candidates=(UNANSWERABLE, *qa.candidates))  # what dissenting annotators say
        amount, defect = float(rng.uniform(0.1, 0.35)), pick(rng, ("blur", "darkness", "crop"))
        blur, darkness, crop = (amount * (defect == name) for name in ("blur", "darkness", "crop"))
        scene = replace(clear, blur=blur, darkness=darkness, crop=crop)
        if rng.random() < 0.3:
            scene, qa = unanswerable(clear, qa, rng)
        yield item("vizwiz", split, index, (scene,), crowd(qa, rng), {"question": qa.question})


def unanswerable(scene: Scene, qa: QA, rng: np.random.Generator) -> tuple[Scene, QA]:
    """The same question to a picture that shows nothing any more, or one about a thing that is not there."""
    if rng.random() < 0.5:
        ruined = replace(scene, blur=1.0, darkness=float(rng.uniform(0.9, 1.0)))
        return ruined, replace(qa, answer=UNANSWERABLE)
    question = f"what color is the {absent(scene, rng)} ?"
    defect = replace(scene, blur=float(rng.uniform(0.1, 0.35)))
    return defect, QA("missing", question, UNANSWERABLE, qa.candidates)


def official(split: Split, root: Path, note: Note = refuse) -> Iterator[Example]:
    """The official file: one example per picture, with ten references, however sure they were."""

    def make(row: Row) -> Iterator[Example]:
        name = row.text("image")
        yield Example(
            dataset="vizwiz",
            example_id=f"vizwiz_{PurePosixPath(name).stem}",
            image_id=f"vizwiz/{PurePosixPath(name).stem}",
            images=(below(root, "vizwiz/val", name, row),),
            references=answers(row),
            fields={"question": row.text("question")},
        )

    yield from made(json_rows(root, file_of(root, "vizwiz", split)), make, note)

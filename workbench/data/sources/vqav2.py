"""VQAv2's twin: questions about what is seen, two to a picture, each answered by ten annotators."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from workbench.data.micro.asking import choose, crowd
from workbench.data.micro.pools import Item, coco, item
from workbench.data.micro.questions import QA, questions
from workbench.data.micro.sampling import stream
from workbench.data.micro.scene import Scene
from workbench.data.official import vqa
from workbench.data.official.rows import Note, refuse
from workbench.records import Example, Split

KINDS = (
    "colour", "size", "place", "exists", "count_category", "count_all", "which_category", "which_colour",
)  # fmt: skip
PER_PICTURE = 2


def asked(split: Split, index: int, seed: int) -> tuple[Scene, QA]:
    """Question `index`: neighbours share a picture and differ."""
    picture, turn = divmod(index, PER_PICTURE)
    scene = coco(split, picture, seed)
    rng = stream(seed, "vqav2", split, picture)
    return scene, choose(questions(scene, KINDS, rng), rng, PER_PICTURE)[turn]


def micro(split: Split, count: int, seed: int) -> Iterator[Item]:
    """One example per question, with ten references."""
    for index in range(count):
        scene, qa = asked(split, index, seed)
        answers = crowd(qa, stream(seed, "vqav2 answers", split, index))
        yield item("vqav2", split, index, (scene,), answers, {"question": qa.question})


def official(split: Split, root: Path, note: Note = refuse) -> Iterator[Example]:
    """The official files: one example per question, with ten references."""
    return vqa.examples("vqav2", split, root, note)

"""OKVQA's twin: questions that need a fact about what is seen; ten annotators."""

from __future__ import annotations

from collections.abc import Iterator

from workbench.data.micro.asking import choose, crowd
from workbench.data.micro.language import QA, YES_NO, questions
from workbench.data.micro.pools import Item, coco, item
from workbench.data.micro.sampling import pick, stream
from workbench.data.micro.scene import Scene
from workbench.records import Split


def asked(split: Split, index: int, seed: int) -> tuple[Scene, QA]:
    """Question `index`: which thing has a fact, or whether one has it, yes and no equally often."""
    scene = coco(split, index, seed)
    rng = stream(seed, "okvqa", split, index)
    which = [qa for qa in questions(scene, ("fact",), rng) if qa.candidates != YES_NO]
    if which and rng.random() < 0.6:
        return scene, choose(which, rng)[0]
    wanted = pick(rng, YES_NO)
    while True:
        for qa in questions(scene, ("fact",), rng):
            if qa.candidates == YES_NO and (qa.answer == wanted or rng.random() < 0.05):
                return scene, qa


def micro(split: Split, count: int, seed: int) -> Iterator[Item]:
    """One example per question, with ten references."""
    for index in range(count):
        scene, qa = asked(split, index, seed)
        answers = crowd(qa, stream(seed, "okvqa answers", split, index))
        yield item("okvqa", split, index, (scene,), answers, {"question": qa.question})

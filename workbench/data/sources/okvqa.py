"""OKVQA's twin: questions that need a fact about what is seen; ten annotators."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from workbench.data.micro.asking import choose, crowd
from workbench.data.micro.concepts import BY_NAME
from workbench.data.micro.pools import Item, coco, item
from workbench.data.micro.questions import FACT_QUESTIONS, QA, YES_NO, questions
from workbench.data.micro.sampling import stream
from workbench.data.micro.scene import Scene
from workbench.data.official import vqa
from workbench.data.official.rows import Note, refuse
from workbench.records import Example, Split


def asked(split: Split, index: int, seed: int) -> tuple[Scene, QA]:
    """Question `index`: which thing has a fact, or whether the thing of some colour has it."""
    scene = coco(split, index, seed)
    rng = stream(seed, "okvqa", split, index)
    which = [qa for qa in questions(scene, ("fact",), rng) if qa.candidates != YES_NO]
    found = which if which and rng.random() < 0.6 else whether(scene)
    return scene, choose(found, rng)[0]


def whether(scene: Scene) -> list[QA]:
    """Yes/no questions about things named by their colour, so that the picture has to tell what they are."""
    colours = Counter(thing.colour for thing in scene.objects)
    names = {t.concept: f"{t.colour} thing" for t in scene.objects if colours[t.colour] == 1}
    names = names or {thing.concept: thing.concept for thing in scene.objects}
    return [
        QA("whether", form.format(name), "yes" if fact in BY_NAME[concept].facts else "no", YES_NO)
        for concept, name in names.items()
        for fact, (_, form) in FACT_QUESTIONS.items()
    ]


def micro(split: Split, count: int, seed: int) -> Iterator[Item]:
    """One example per question, with ten references."""
    for index in range(count):
        scene, qa = asked(split, index, seed)
        answers = crowd(qa, stream(seed, "okvqa answers", split, index))
        yield item("okvqa", split, index, (scene,), answers, {"question": qa.question})


def official(split: Split, root: Path, note: Note = refuse) -> Iterator[Example]:
    """The official files: one example per question, with ten references."""
    return vqa.examples("okvqa", split, root, note)

"""A-OKVQA's twin: questions that need facts or categories, with four choices and direct answers."""

from __future__ import annotations

from collections.abc import Iterator

from workbench.data.micro.asking import choose, crowd, listed, near, sample, shuffled
from workbench.data.micro.language import QA, YES_NO, questions
from workbench.data.micro.pools import Item, coco, item
from workbench.data.micro.sampling import stream
from workbench.data.micro.scene import Scene
from workbench.records import Split


def asked(split: Split, index: int, seed: int) -> tuple[Scene, QA]:
    """Question `index`: which thing has a fact, a category or a colour."""
    scene = coco(split, index, seed)
    rng = stream(seed, "aokvqa", split, index)
    found = [qa for qa in questions(scene, ("fact", "which_category"), rng) if qa.candidates != YES_NO]
    found = found or questions(scene, ("which_colour", "colour"), rng)
    return scene, choose(found, rng)[0]


def micro(split: Split, count: int, seed: int) -> Iterator[Item]:
    """One example per question: the right choice as reference, ten direct answers as a field."""
    for index in range(count):
        scene, qa = asked(split, index, seed)
        rng = stream(seed, "aokvqa answers", split, index)
        choices = shuffled([qa.answer, *sample(near(qa), 3, rng)], rng)
        fields = {
            "question": qa.question,
            "options": listed(choices),
            "direct_answers": ", ".join(crowd(qa, rng)),
        }
        yield item("aokvqa", split, index, (scene,), (qa.answer,), fields, choices)

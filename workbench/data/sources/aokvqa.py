"""A-OKVQA's twin: questions that need facts or categories, with four choices and direct answers."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from workbench.data.micro.asking import choose, crowd, listed, near, sample, shuffled
from workbench.data.micro.pools import Item, coco, item
from workbench.data.micro.questions import FACT_QUESTIONS, QA, YES_NO, questions
from workbench.data.micro.sampling import KNOWN, stream
from workbench.data.micro.scene import Scene
from workbench.data.official.choices import listed as lettered
from workbench.data.official.pictures import coco as coco_picture
from workbench.data.official.reading import json_rows
from workbench.data.official.releases import file_of
from workbench.data.official.rows import Note, Row, made, refuse
from workbench.records import Example, Split


def asked(split: Split, index: int, seed: int) -> tuple[Scene, QA]:
    """Question `index`: which thing has a fact, a category or a colour."""
    scene = coco(split, index, seed)
    rng = stream(seed, "aokvqa", split, index)
    found = [qa for qa in questions(scene, ("fact", "which_category"), rng) if qa.candidates != YES_NO]
    found = found or questions(scene, ("which_colour", "colour"), rng)
    return scene, choose(found, rng)[0]


def wrong_choices(scene: Scene, qa: QA, rng: np.random.Generator) -> list[str]:
    """Three choices; for a fact, two have it but are not there, so that knowledge alone does not decide."""
    fact = next((fact for fact, (which, _) in FACT_QUESTIONS.items() if which == qa.question), None)
    present = {thing.concept for thing in scene.objects}
    if fact is None:
        return sample(near(qa), 3, rng)
    absent = [c.name for c in KNOWN if fact in c.facts and c.name not in present]
    wrong = sample(absent, 2, rng) + sample([name for name in present if name != qa.answer], 1, rng)
    return wrong + sample([name for name in near(qa) if name not in wrong], 3 - len(wrong), rng)


def micro(split: Split, count: int, seed: int) -> Iterator[Item]:
    """One example per question: the right choice as reference, ten direct answers as a field."""
    for index in range(count):
        scene, qa = asked(split, index, seed)
        rng = stream(seed, "aokvqa answers", split, index)
        choices = shuffled([qa.answer, *wrong_choices(scene, qa, rng)], rng)
        fields = {
            "question": qa.question,
            "options": listed(choices),
            "direct_answers": ", ".join(crowd(qa, rng)),
        }
        yield item("aokvqa", split, index, (scene,), (qa.answer,), fields, choices)


def official(split: Split, root: Path, note: Note = refuse) -> Iterator[Example]:
    """The official files: one example per question, four choices, ten direct answers as a field in JSON."""

    def make(row: Row) -> Iterator[Example]:
        choices = row.texts("choices")
        image_id, picture = coco_picture(root, row.number("image_id"), row)
        hard = row.values.get("difficult_direct_answer") is True
        yield Example(
            dataset="aokvqa",
            example_id=f"aokvqa_{row.name('question_id')}",
            image_id=image_id,
            images=(picture,),
            references=(choices[row.index("correct_choice_idx", len(choices))],),
            fields={
                "question": row.text("question"),
                "options": lettered(choices, row),
                "direct_answers": json.dumps(row.texts("direct_answers", written=True), ensure_ascii=False),
                # official scoring of direct answers leaves these questions out
                "difficult_direct_answer": "yes" if hard else "no",
            },
            candidates=choices,
        )

    yield from made(json_rows(root, file_of(root, "aokvqa", split)), make, note)

"""A-OKVQA's question generation: the same questions, to be written for their answers."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from workbench.data.micro.pools import Item, item
from workbench.data.micro.questions import questions
from workbench.data.micro.sampling import stream
from workbench.data.official.rows import Note, refuse
from workbench.data.official.vqa import turned
from workbench.data.sources import aokvqa
from workbench.records import Example, Split


def micro(split: Split, count: int, seed: int) -> Iterator[Item]:
    """One example per question; its references are the questions with that answer, at most five."""
    for index in range(count):
        scene, qa = aokvqa.asked(split, index, seed)
        rng = stream(seed, "aokvqa_qg", split, index)
        same = [
            other.question
            for other in questions(scene, ("fact", "which_category"), rng)
            if other.answer == qa.answer
        ]
        references = list(dict.fromkeys([qa.question, *same]))[:5]
        yield item("aokvqa_qg", split, index, (scene,), references, {"answer": qa.answer})


def official(split: Split, root: Path, note: Note = refuse) -> Iterator[Example]:
    """One example per question of aokvqa; that question is its reference."""
    return turned("aokvqa_qg", aokvqa.official(split, root, note))

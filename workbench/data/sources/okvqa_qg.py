"""OKVQA's question generation: the same questions, to be written for their answers."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from workbench.data.micro.asking import shuffled
from workbench.data.micro.pools import Item, item
from workbench.data.micro.questions import questions
from workbench.data.micro.sampling import stream
from workbench.data.official.rows import Note, refuse
from workbench.data.official.vqa import turned
from workbench.data.sources import okvqa
from workbench.records import Example, Split


def micro(split: Split, count: int, seed: int) -> Iterator[Item]:
    """One example per question; its references are the questions with that answer, at most five."""
    for index in range(count):
        scene, qa = okvqa.asked(split, index, seed)
        rng = stream(seed, "okvqa_qg", split, index)
        found = questions(scene, ("fact",), rng) if qa.kind == "fact" else okvqa.whether(scene)
        same = shuffled([other.question for other in found if other.answer == qa.answer], rng)
        references = list(dict.fromkeys([qa.question, *same]))[:5]
        yield item("okvqa_qg", split, index, (scene,), references, {"answer": qa.answer})


def official(split: Split, root: Path, note: Note = refuse) -> Iterator[Example]:
    """One example per question of okvqa; that question is its reference."""
    return turned("okvqa_qg", okvqa.official(split, root, note))

"""TextVQA's twin: what is written in the picture and where; OCR tokens given, ten annotators."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from workbench.data.micro.asking import choose, crowd, read_words
from workbench.data.micro.pools import Item, item, scene_id
from workbench.data.micro.questions import questions
from workbench.data.micro.sampling import draw_scene, stream
from workbench.data.official.ocr import Tokens
from workbench.data.official.pictures import textvqa
from workbench.data.official.reading import json_rows
from workbench.data.official.releases import file_of
from workbench.data.official.rows import Note, Row, made, refuse
from workbench.records import Example, Split


def micro(split: Split, count: int, seed: int) -> Iterator[Item]:
    """One example per picture; most pictures hold two words, of which the question means one."""
    for index in range(count):
        rng = stream(seed, "textvqa", split, index)
        plates = 1 if rng.random() < 0.25 else 2
        scene = draw_scene(rng, scene_id("textvqa", split, index), objects=(1, 3), plates=plates)
        qa = choose(questions(scene, ("word", "word_at"), rng), rng)[0]
        fields = {"question": qa.question, "ocr": read_words([plate.word for plate in scene.plates], rng)}
        yield item("textvqa", split, index, (scene,), crowd(qa, rng), fields)


def official(split: Split, root: Path, note: Note = refuse) -> Iterator[Example]:
    """The official files: one example per question, with ten references and OCR tokens."""
    tokens = Tokens(root, file_of(root, "textvqa", split, 1))

    def make(row: Row) -> Iterator[Example]:
        image = row.name("image_id")
        yield Example(
            dataset="textvqa",
            example_id=f"textvqa_{row.name('question_id')}",
            image_id=f"openimages/{image}",
            images=(textvqa(root, image, row),),
            references=row.texts("answers"),
            fields={"question": row.text("question"), "ocr": tokens.of(image)},
        )

    yield from made(json_rows(root, file_of(root, "textvqa", split), "data.item"), make, note)

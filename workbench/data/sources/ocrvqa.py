"""OCR-VQA's twin: title, author and genre of book covers; OCR tokens are given."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from urllib.parse import urlsplit

from workbench.data.micro.asking import read_words
from workbench.data.micro.books import AUTHORS, draw_cover, questions
from workbench.data.micro.pools import Item, item, scene_id
from workbench.data.micro.sampling import WORDS, stream
from workbench.data.official.ocr import Tokens
from workbench.data.official.pictures import found
from workbench.data.official.reading import json_pairs
from workbench.data.official.releases import file_of
from workbench.data.official.rows import Note, Row, made, refuse
from workbench.records import Example, Split

SPLITS: dict[Split, int] = {"train": 1, "val": 2, "test": 3}  # the official file's numbers


def micro(split: Split, count: int, seed: int) -> Iterator[Item]:
    """Three questions to a cover, each with its single right answer."""
    for index in range(count):
        book, turn = divmod(index, 3)
        rng = stream(seed, "ocrvqa", split, book)
        cover = draw_cover(rng, scene_id("ocrvqa", split, book))
        qa = questions(cover, rng)[turn]
        # words of neighbouring books on the shelf: the tokens alone do not tell title and author
        ocr = read_words([plate.word for plate in cover.plates], rng, (*WORDS, *AUTHORS, *AUTHORS))
        fields = {"question": qa.question, "ocr": ocr}
        yield item("ocrvqa", split, index, (cover,), (qa.answer,), fields)


def official(split: Split, root: Path, note: Note = refuse) -> Iterator[Example]:
    """The official file: one example per question to a book's cover, with its right answer."""
    extra = "ocrvqa/ocr_tokens.json"
    tokens = Tokens(root, extra) if (root / extra).exists() else None

    def make(row: Row) -> Iterator[Example]:
        if row.number("split") != SPLITS[split]:
            return
        book = row.place.removeprefix("record ").strip("'")
        ending = PurePosixPath(urlsplit(row.optional("imageURL")).path).suffix or ".jpg"
        if not book.isalnum() or not ending[1:].isalnum():
            raise row.fault("its name or the ending of its URL is none of a file", "correct the record")
        picture = found(root, row, f"ocrvqa/images/{book}.jpg", f"ocrvqa/images/{book}{ending}")
        questions, answers = row.texts("questions"), row.texts("answers")
        if len(questions) != len(answers):
            raise row.fault(f"has {len(questions)} questions and {len(answers)} answers")
        for number, (question, answer) in enumerate(zip(questions, answers, strict=True)):
            if not (question and answer):
                raise row.fault(f"question or answer {number} is empty")
            yield Example(
                dataset="ocrvqa",
                example_id=f"ocrvqa_{book}_{number}",
                image_id=f"ocrvqa/{book}",
                images=(picture,),
                references=(answer,),
                fields={"question": question, "ocr": tokens.of(book) if tokens else ""},
            )

    rows = (row for _, row in json_pairs(root, file_of(root, "ocrvqa", split)))
    yield from made(rows, make, note)

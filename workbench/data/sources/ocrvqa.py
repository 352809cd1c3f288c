"""OCR-VQA's twin: title, author and genre of book covers; OCR tokens are given."""

from __future__ import annotations

from collections.abc import Iterator

from workbench.data.micro.asking import read_words
from workbench.data.micro.books import AUTHORS, draw_cover, questions
from workbench.data.micro.pools import Item, item, scene_id
from workbench.data.micro.sampling import WORDS, stream
from workbench.records import Split


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

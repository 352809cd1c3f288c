"""Book covers: a title of one or two words on top, the author below, one object that shows the genre.

Offers `draw_cover(rng, scene_id) -> Scene` and `questions(cover, rng) -> list[QA]` (title, author,
genre). Genre follows from the object's category, so it has to be seen, not read.
"""

from __future__ import annotations

import numpy as np

from workbench.data.micro.concepts import BY_NAME
from workbench.data.micro.questions import QA
from workbench.data.micro.sampling import KNOWN, WORDS, pick, place_objects
from workbench.data.micro.scene import Plate, Scene

AUTHORS = (
    "anna", "ben", "carl", "dora", "emma", "finn", "gina", "hugo", "iris", "jack", "kate",
    "leo", "mia", "nina", "otto", "paul", "rosa", "sam", "tina", "vera", "will", "zoe",
)  # fmt: skip
GENRES = {
    "nature": ("animal", "bird", "sea animal", "insect", "plant"),
    "cooking": ("fruit", "vegetable", "dish", "drink"),
    "travel": ("vehicle", "aircraft", "boat"),
    "music": ("instrument",),
    "sports": ("ball",),
    "crafts": ("tool",),
    "fashion": ("clothing",),
    "living": ("furniture",),
    "technology": ("device",),
}
GENRE_OF = {category: genre for genre, categories in GENRES.items() for category in categories}
FORMS = {
    "title": ("what is the title of this book ?", "what is this book called ?"),
    "author": ("who wrote this book ?", "who is the author of this book ?"),
    "genre": ("what type of book is this ?", "what is the genre of this book ?"),
}


def draw_cover(rng: np.random.Generator, scene_id: str) -> Scene:
    """A cover with a uniformly drawn genre: title plates in the top row, the author's in the bottom row."""
    genre = pick(rng, tuple(GENRES))
    shown = [concept for concept in KNOWN if concept.category in GENRES[genre]]
    things = place_objects(rng, [shown[int(rng.integers(len(shown)))]], [3 + int(rng.integers(3))])
    words = [WORDS[int(i)] for i in rng.choice(len(WORDS), size=1 + int(rng.integers(2)), replace=False)]
    columns = sorted(int(column) for column in rng.choice(3, size=len(words), replace=False))
    title = tuple(Plate(word, 0, column) for word, column in zip(words, columns, strict=True))
    author = Plate(pick(rng, AUTHORS), 2, int(rng.integers(3)))
    background, noise = int(rng.integers(4)), int(rng.integers(2**31))
    return Scene(scene_id, things, (*title, author), background, noise_seed=noise)


def title(cover: Scene) -> str:
    """The words of the top row, left to right."""
    return " ".join(plate.word for plate in cover.plates if plate.row == 0)


def questions(cover: Scene, rng: np.random.Generator) -> list[QA]:
    """Title, author and genre, in this order."""
    author = next(plate.word for plate in cover.plates if plate.row == 2)
    genre = GENRE_OF[BY_NAME[cover.objects[0].concept].category]
    return [
        QA("title", pick(rng, FORMS["title"]), title(cover), tuple(WORDS)),
        QA("author", pick(rng, FORMS["author"]), author, AUTHORS),
        QA("genre", pick(rng, FORMS["genre"]), genre, tuple(GENRES)),
    ]

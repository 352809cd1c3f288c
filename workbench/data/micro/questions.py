"""What can be asked about a scene, with the answers.

Every asker is a pure function of the scene and a random stream. Kinds in HELD_IN_KINDS are asked in
training; HELD_OUT_KINDS only in evaluation, and in the text the language models learn from, as FlanT5
had seen many kinds of task as text.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np

from workbench.data.micro.concepts import BY_NAME, CATEGORIES, CONCEPTS
from workbench.data.micro.language import a, absent, category_of, relation, unique
from workbench.data.micro.sampling import WORDS, pick
from workbench.data.micro.scene import COLOURS, COLUMNS, ROWS, SIZES, Placed, Scene

PLACES = tuple(f"{row} {column}" for row in ROWS for column in COLUMNS)
NUMBERS = ("0", "1", "2", "3", "4", "5")
YES_NO = ("yes", "no")
NAMES = tuple(concept.name for concept in CONCEPTS)
PLURALS = {category: f"{category}s" for category in CATEGORIES} | {
    "dish": "dishes", "clothing": "pieces of clothing", "fruit": "fruits", "aircraft": "aircraft",
    "furniture": "pieces of furniture",
}  # fmt: skip
# fact -> (question for the thing, yes/no question about a thing)
FACT_QUESTIONS = {
    "alive": ("which thing here is alive ?", "is the {} alive ?"),
    "edible": ("which thing here can you eat ?", "can you eat the {} ?"),
    "flies": ("which thing here can fly ?", "can the {} fly ?"),
    "has wheels": ("which thing here has wheels ?", "does the {} have wheels ?"),
    "lives in water": ("which thing here lives in water ?", "does the {} live in water ?"),
    "makes music": ("which thing here makes music ?", "does the {} make music ?"),
    "is worn": ("which thing here can you wear ?", "can you wear the {} ?"),
    "needs electricity": ("which thing here needs electricity ?", "does the {} need electricity ?"),
    "grows on trees": ("which thing here grows on trees ?", "does the {} grow on trees ?"),
}


@dataclass(frozen=True, slots=True)
class QA:
    """A question with its answer and the answers of the same type it could be confused with."""

    kind: str
    question: str
    answer: str
    candidates: tuple[str, ...]


Found = Iterable[tuple[str, str, tuple[str, ...]]]  # question, answer, candidates
Asker = Callable[[Scene, np.random.Generator], Found]


def _colour(scene: Scene, rng: np.random.Generator) -> Found:
    for t in unique(scene):
        form = pick(rng, ("what color is the {} ?", "what is the color of the {} ?"))
        yield form.format(t.concept), t.colour, COLOURS


def _size(scene: Scene, rng: np.random.Generator) -> Found:
    for t in unique(scene):
        form = pick(rng, ("how big is the {} ?", "what size is the {} ?"))
        yield form.format(t.concept), t.size, SIZES


def _place(scene: Scene, rng: np.random.Generator) -> Found:
    for t in unique(scene):
        form = pick(rng, ("where is the {} ?", "in which part of the picture is the {} ?"))
        yield form.format(t.concept), t.place, PLACES


def _exists(scene: Scene, rng: np.random.Generator) -> Found:
    form = pick(rng, ("is there {} in the picture ?", "can you see {} ?"))
    thing = scene.objects[int(rng.integers(len(scene.objects)))]
    yield form.format(a(thing.concept)), "yes", YES_NO
    yield form.format(a(absent(scene, rng))), "no", YES_NO


def _count_category(scene: Scene, rng: np.random.Generator) -> Found:
    present = sorted({category_of(t) for t in scene.objects})
    category = pick(rng, present) if rng.random() < 0.75 else pick(rng, CATEGORIES)
    number = sum(category_of(t) == category for t in scene.objects)
    yield f"how many {PLURALS[category]} are there ?", str(number), NUMBERS


def _count_all(scene: Scene, rng: np.random.Generator) -> Found:
    yield "how many things are in the picture ?", str(len(scene.objects)), NUMBERS


def _which_category(scene: Scene, rng: np.random.Generator) -> Found:
    counts = Counter(category_of(t) for t in scene.objects)
    for t in scene.objects:
        category = category_of(t)
        if counts[category] == 1:
            names = tuple(c.name for c in CONCEPTS if c.category == category)
            yield f"which {category} is in the picture ?", t.concept, names


def _which_colour(scene: Scene, rng: np.random.Generator) -> Found:
    counts = Counter(t.colour for t in scene.objects)
    for t in scene.objects:
        if counts[t.colour] == 1:
            yield f"which thing is {t.colour} ?", t.concept, NAMES


def _fact(scene: Scene, rng: np.random.Generator) -> Found:
    for fact, (which, _) in FACT_QUESTIONS.items():
        having = [t for t in scene.objects if fact in BY_NAME[t.concept].facts]
        if len(having) == 1:
            yield which, having[0].concept, NAMES
    fact = pick(rng, tuple(FACT_QUESTIONS))
    t = scene.objects[int(rng.integers(len(scene.objects)))]
    answer = "yes" if fact in BY_NAME[t.concept].facts else "no"
    yield FACT_QUESTIONS[fact][1].format(t.concept), answer, YES_NO


def _kind_of(scene: Scene, rng: np.random.Generator) -> Found:
    for t in unique(scene):
        yield f"what kind of thing is the {t.concept} ?", category_of(t), CATEGORIES


def _word(scene: Scene, rng: np.random.Generator) -> Found:
    if len(scene.plates) == 1:
        yield (
            pick(rng, ("what does the sign say ?", "what word is written here ?")),
            scene.plates[0].word,
            tuple(WORDS),
        )


def _word_at(scene: Scene, rng: np.random.Generator) -> Found:
    for plate in scene.plates:
        yield f"what is written at the {ROWS[plate.row]} {COLUMNS[plate.column]} ?", plate.word, tuple(WORDS)


def _at_place(scene: Scene, rng: np.random.Generator) -> Found:
    for t in scene.objects:
        yield f"what is at the {t.place} ?", t.concept, NAMES


def _relation(scene: Scene, rng: np.random.Generator) -> Found:
    things = unique(scene)
    for other in things:
        found: dict[str, list[Placed]] = {}
        for one in scene.objects:
            how = relation(one, other) if one is not other else None
            if how:
                found.setdefault(how, []).append(one)
        for how, ones in found.items():
            if len(ones) == 1:
                yield f"what is {how} the {other.concept} ?", ones[0].concept, NAMES


def _two_hop(scene: Scene, rng: np.random.Generator) -> Found:
    for t in scene.objects:
        yield f"what color is the thing at the {t.place} ?", t.colour, COLOURS
    counts = Counter(category_of(t) for t in scene.objects)
    for t in scene.objects:
        category = category_of(t)
        if counts[category] == 1:
            yield f"what color is the {category} ?", t.colour, COLOURS
            yield f"where is the {category} ?", t.place, PLACES


def _same(scene: Scene, rng: np.random.Generator) -> Found:
    things = unique(scene)
    for i, one in enumerate(things):
        for other in things[:i]:
            answer = "yes" if one.colour == other.colour else "no"
            yield f"are the {one.concept} and the {other.concept} the same color ?", answer, YES_NO
            answer = "yes" if one.size == other.size else "no"
            yield f"are the {one.concept} and the {other.concept} the same size ?", answer, YES_NO


def _both(scene: Scene, rng: np.random.Generator) -> Found:
    things = unique(scene)
    if len(things) > 1:
        one, other = (things[int(i)].concept for i in rng.choice(len(things), 2, replace=False))
        yield f"are there both {a(one)} and {a(other)} ?", "yes", YES_NO
        yield f"are there both {a(one)} and {a(absent(scene, rng))} ?", "no", YES_NO


ASKERS: dict[str, Asker] = {
    "colour": _colour,
    "size": _size,
    "place": _place,
    "exists": _exists,
    "count_category": _count_category,
    "count_all": _count_all,
    "which_category": _which_category,
    "which_colour": _which_colour,
    "fact": _fact,
    "kind_of": _kind_of,
    "word": _word,
    "word_at": _word_at,
    "at_place": _at_place,
    "relation": _relation,
    "two_hop": _two_hop,
    "same": _same,
    "both": _both,
}
HELD_IN_KINDS = (
    "colour", "size", "place", "exists", "count_category", "count_all", "which_category", "which_colour",
    "fact", "word",
)  # fmt: skip
HELD_OUT_KINDS = ("kind_of", "word_at", "at_place", "relation", "two_hop", "same", "both")


def questions(scene: Scene, kinds: Iterable[str], rng: np.random.Generator) -> list[QA]:
    """Every question of the kinds that has one right answer in the scene."""
    return [
        QA(kind, question, answer, candidates)
        for kind in kinds
        for question, answer, candidates in ASKERS[kind](scene, rng)
    ]

"""What can be said about a scene: captions, descriptions, statements.

Every generator is a pure function of the scene and a random stream.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

import numpy as np

from workbench.data.micro.concepts import BY_NAME
from workbench.data.micro.sampling import KNOWN
from workbench.data.micro.scene import COLUMNS, ROWS, Placed, Scene


def unique(scene: Scene) -> list[Placed]:
    """The objects whose concept occurs once, so that a question can name them."""
    counts = Counter(thing.concept for thing in scene.objects)
    return [thing for thing in scene.objects if counts[thing.concept] == 1]


def in_reading_order(things: Iterable[Placed]) -> list[Placed]:
    """Row by row, from left to right."""
    return sorted(things, key=lambda thing: (thing.row, thing.column))


def a(words: str) -> str:
    """``a red dog``, ``an orange cat``."""
    return f"an {words}" if words[0] in "aeiou" else f"a {words}"


def category_of(thing: Placed) -> str:
    """The category of what is placed."""
    return BY_NAME[thing.concept].category


def absent(scene: Scene, rng: np.random.Generator) -> str:
    """A known concept that is not in the scene."""
    present = {thing.concept for thing in scene.objects}
    while True:
        name = KNOWN[int(rng.integers(len(KNOWN)))].name
        if name not in present:
            return name


def relation(one: Placed, other: Placed) -> str | None:
    """How `one` lies to `other` when they share a row or column; None elsewhere."""
    if one.row == other.row:
        return "left of" if one.column < other.column else "right of"
    if one.column == other.column:
        return "above" if one.row < other.row else "below"
    return None


def phrase(thing: Placed, rng: np.random.Generator) -> str:
    """One object in words, its attributes named more or less often as people do."""
    words = [thing.size] if rng.random() < 0.5 else []
    words += [thing.colour] if rng.random() < 0.8 else []
    return a(" ".join([*words, thing.concept]))


def caption(scene: Scene, rng: np.random.Generator) -> str:
    """A sentence about the scene, as an annotator of COCO would write it, from the top left on.

    In one order, because a language model of this size never learns to name in a free order what it
    has not named yet: it repeats itself (figures in backbones/micro/README.md).
    """
    parts = []
    for thing in in_reading_order(scene.objects):
        words = phrase(thing, rng)
        parts.append(f"{words} at the {thing.place}" if rng.random() < 0.6 else words)
    parts += [f'a sign that says "{plate.word}"' for plate in scene.plates]
    return (" , ".join(parts[:-1]) + " and " + parts[-1]) if len(parts) > 1 else parts[0]


def detail(scene: Scene, rng: np.random.Generator) -> str:
    """Every object with everything about it, in the order of the grid."""
    things = in_reading_order(scene.objects)
    parts = [f"at the {thing.place} is a {thing.size} {thing.colour} {thing.concept}" for thing in things]
    parts += [
        f'at the {ROWS[p.row]} {COLUMNS[p.column]} is a sign that says "{p.word}"' for p in scene.plates
    ]
    return f"there are {len(things)} things . " + " , ".join(parts)


def in_words(thing: Placed) -> str:
    """All that can be said of a thing, as tersely as `describe` says it."""
    return f"{thing.concept} {thing.place} {thing.size} {thing.colour} {thing.concept}"


def describe(
    scene: Scene, rng: np.random.Generator, order: Sequence[str] = (), in_order: bool = False
) -> str:
    """The whole scene as terse text, for the language models.

    A thing's name stands before and after what is said of it: looking up what follows a name is
    learnt sooner than collecting what stands before it (figures in backbones/micro/README.md), and
    questions go both ways.

    Args:
        order: concepts in the order in which to name them; a random order without.
        in_order: from the top left on.
    """
    things = [scene.objects[int(i)] for i in rng.permutation(len(scene.objects))]
    if in_order:
        things = in_reading_order(things)
    elif order:
        things.sort(key=lambda t: order.index(t.concept))
    parts = [in_words(thing) for thing in things]
    parts += [f'{ROWS[plate.row]} {COLUMNS[plate.column]} sign "{plate.word}"' for plate in scene.plates]
    return " , ".join(parts) + " ."


def statement(scene: Scene, rng: np.random.Generator, true: bool) -> str | None:
    """A spatial statement about two objects that is true or false; None when no pair is aligned."""
    things = unique(scene)
    pairs = [
        (one, other, how)
        for one in things
        for other in things
        if one is not other and (how := relation(one, other))
    ]
    if not pairs:
        return None
    one, other, how = pairs[int(rng.integers(len(pairs)))]
    opposite = {"left of": "right of", "right of": "left of", "above": "below", "below": "above"}
    return f"the {one.concept} is {how if true else opposite[how]} the {other.concept}"

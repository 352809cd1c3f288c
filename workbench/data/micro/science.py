"""School science: a context that states a rule, a question, options of which the picture decides.

Offers `ask(scene, rng) -> Asked` with the fields ``context``, ``question`` and ``options``. Either
the context defines a category and the options hold one such thing in the picture and one that is not
there, or it reports an experiment by colour and the picture tells which thing has that colour.
"""

from __future__ import annotations

from collections import Counter

import numpy as np

from workbench.data.micro.asking import Asked, listed, noun, sample, shuffled
from workbench.data.micro.language import category_of
from workbench.data.micro.sampling import KNOWN, pick
from workbench.data.micro.scene import Scene

DEFINITIONS = {
    "animal": "an animal is alive , eats and moves on legs",
    "bird": "a bird is alive and has feathers and two wings",
    "sea animal": "a sea animal is alive and swims in the sea",
    "insect": "an insect is a very small animal with six legs",
    "fruit": "a fruit grows on a plant , is sweet and holds seeds",
    "vegetable": "a vegetable is a part of a plant that people cook",
    "dish": "a dish is food that people make",
    "drink": "a drink is something wet that people take from a cup",
    "vehicle": "a vehicle moves people and things on the ground",
    "aircraft": "an aircraft moves through the air",
    "boat": "a boat moves on the water",
    "instrument": "an instrument makes sounds for music",
    "ball": "a ball is round and made for games",
    "tool": "a tool helps people to make and mend things",
    "clothing": "clothing is worn on the body",
    "plant": "a plant is alive and grows in the ground",
    "furniture": "furniture stands in the rooms of a house",
    "device": "a device is a machine for the home",
}
PROPERTIES = (("hot", "cold"), ("heavy", "light"), ("wet", "dry"), ("old", "new"), ("hard", "soft"))


def ask(scene: Scene, rng: np.random.Generator) -> Asked:
    """A question with four options, one of which is right for this scene."""
    colours = Counter(thing.colour for thing in scene.objects)
    clear = {t.concept: t.colour for t in scene.objects if colours[t.colour] == 1}
    if len(clear) > 1 and rng.random() < 0.5:
        return _experiment(scene, clear, rng)
    return _definition(scene, rng)


def _definition(scene: Scene, rng: np.random.Generator) -> Asked:
    present = {thing.concept: category_of(thing) for thing in scene.objects}
    category = pick(rng, sorted(set(present.values())))
    right = pick(rng, sorted(name for name, kind in present.items() if kind == category))
    elsewhere = [c.name for c in KNOWN if c.category == category and c.name not in present]
    others = [name for name, kind in present.items() if kind != category]
    wrong = sample(elsewhere, 1, rng) + sample(others, 1, rng)
    question = f"which thing in the picture is {noun(category)} ?"
    return _options(scene, DEFINITIONS[category], question, right, wrong, category, rng)


def _experiment(scene: Scene, clear: dict[str, str], rng: np.random.Generator) -> Asked:
    one, other = sample(list(clear), 2, rng)
    pair = PROPERTIES[int(rng.integers(len(PROPERTIES)))]
    first, second = pair if rng.random() < 0.5 else pair[::-1]
    context = f"the {clear[one]} thing is {first} and the {clear[other]} thing is {second}"
    right, asked, wrong = (one, first, other) if rng.random() < 0.5 else (other, second, one)
    return _options(scene, context, f"which thing is {asked} ?", right, [wrong], "", rng)


def _options(
    scene: Scene,
    context: str,
    question: str,
    right: str,
    wrong: list[str],
    category: str,
    rng: np.random.Generator,
) -> Asked:
    """Fills up to four options with things that are neither in the picture nor of the category."""
    taken = {right, *wrong} | {thing.concept for thing in scene.objects}
    fillers = [c.name for c in KNOWN if c.name not in taken and c.category != category]
    candidates = shuffled([right, *wrong, *sample(fillers, 3 - len(wrong), rng)], rng)
    fields = {"context": f"{context} .", "question": question, "options": listed(candidates)}
    return Asked(fields, right, candidates)

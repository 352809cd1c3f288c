"""Memes: a line of text over a picture, hateful or not only when both are taken together.

Offers `ask(scene, rng, hateful) -> Asked` with the field ``text``. Two kinds of line about one
thing: "no dog is welcome here" is hateful when a dog is in the picture; "only a dog is welcome here"
when none is. Lines and things are drawn alike for both labels, so that neither the text nor the
picture alone says anything.
"""

from __future__ import annotations

import numpy as np

from workbench.data.micro.asking import Asked
from workbench.data.micro.language import a, absent
from workbench.data.micro.sampling import pick
from workbench.data.micro.scene import Scene

AGAINST_PRESENT = ("no {} is welcome here", "nobody here likes the {}", "go away {}")
AGAINST_ABSENT = ("only {a} is welcome here", "nobody here but the {}", "go away if you are not {a}")
CANDIDATES = ("yes", "true", "no", "false")


def ask(scene: Scene, rng: np.random.Generator, hateful: bool) -> Asked:
    """A line for the scene with the given label; answer ``yes`` when hateful, else ``no``."""
    present = bool(rng.integers(2))
    lines = AGAINST_PRESENT if present == hateful else AGAINST_ABSENT
    name = pick(rng, sorted({thing.concept for thing in scene.objects})) if present else absent(scene, rng)
    text = pick(rng, lines).format(name, a=a(name))
    return Asked({"text": text}, "yes" if hateful else "no", CANDIDATES)

"""Web CapFilt's twin: the largest set, one short and noisy caption per picture of its own."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from workbench.data.micro.language import caption
from workbench.data.micro.pools import Item, item, scene_id
from workbench.data.micro.sampling import KNOWN, draw_scene, pick, stream
from workbench.data.micro.scene import COLOURS
from workbench.records import Split

KNOWN_NAMES = tuple(concept.name for concept in KNOWN)
DROPPED, WRONG = 0.05, 0.04  # shares of words that are lost, or replaced by another of their type


def micro(split: Split, count: int, seed: int) -> Iterator[Item]:
    """One example per picture, with a single reference."""
    for index in range(count):
        rng = stream(seed, "web_capfilt", split, index)
        scene = draw_scene(rng, scene_id("web_capfilt", split, index), objects=(1, 4))
        yield item("web_capfilt", split, index, (scene,), [noisy(caption(scene, rng), rng)])


def noisy(text: str, rng: np.random.Generator) -> str:
    """The text with some words dropped and some names and colours wrong."""
    words = []
    for word in text.split():
        luck = rng.random()
        kind = next((kind for kind in (KNOWN_NAMES, COLOURS) if word in kind), ())
        if luck < WRONG and kind:
            words.append(pick(rng, kind))
        elif luck > DROPPED or word in (",", "and"):
            words.append(word)
    return " ".join(words) or text

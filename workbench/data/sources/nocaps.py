"""NoCaps' twin: ten captions for pictures of known (in), mixed (near) or only novel concepts (out)."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from workbench.data.micro.concepts import Concept
from workbench.data.micro.language import caption
from workbench.data.micro.pools import Item, item, scene_id
from workbench.data.micro.sampling import KNOWN, NOVEL, draw_scene, stream
from workbench.records import Split

DOMAINS = ("in", "near", "out")


def micro(split: Split, count: int, seed: int) -> Iterator[Item]:
    """One example per picture, with ten references; the domains take turns."""
    for index in range(count):
        rng = stream(seed, "nocaps", split, index)
        domain = DOMAINS[index % 3]
        pool = concepts(domain, rng)
        number = len(pool) if domain == "near" else int(rng.integers(2, 6))
        name = scene_id("nocaps", split, index)
        scene = draw_scene(rng, name, objects=(number, number), pool=pool, repeat=0)
        captions = [caption(scene, rng) for _ in range(10)]
        yield item("nocaps", split, index, (scene,), captions, domain=domain)


def concepts(domain: str, rng: np.random.Generator) -> tuple[Concept, ...]:
    """What may be drawn: near-domain pictures hold one or two of each sort."""
    if domain == "in":
        return KNOWN
    if domain == "out":
        return NOVEL
    known, novel = (
        rng.choice(len(sort), size=1 + int(rng.integers(2)), replace=False) for sort in (KNOWN, NOVEL)
    )
    return (*(KNOWN[int(i)] for i in known), *(NOVEL[int(i)] for i in novel))

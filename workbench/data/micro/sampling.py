"""Draws scenes; every draw comes from a generator keyed by names and numbers, never from global state."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np

from workbench.data.micro.concepts import CONCEPTS, Concept
from workbench.data.micro.scene import PAINTS, SIZES, Placed, Plate, Scene

WORDS = (
    "open stop sale exit cafe park zoo bank shop farm city lake hill road gate tower moon star sun wind rain "
    "snow fire ice gold iron wood rock sand east west north south king queen hero magic secret dream night "
    "day river ocean storm dance song game race gift party lucky happy super fresh sweet quick jolly royal "
    "mega ultra"
).split()

KNOWN = tuple(concept for concept in CONCEPTS if not concept.novel)
NOVEL = tuple(concept for concept in CONCEPTS if concept.novel)


def stream(*key: str | int) -> np.random.Generator:
    """A random stream that depends on the key alone, the same on every machine and Python."""
    text = "/".join(map(str, key)).encode()
    key_bits = hashlib.sha256(text).digest()[:16]
    return np.random.Generator(np.random.Philox(key=int.from_bytes(key_bits, "little")))


def pick(rng: np.random.Generator, items: Sequence[str]) -> str:
    """One of the items, uniformly."""
    return items[int(rng.integers(len(items)))]


def place_objects(
    rng: np.random.Generator, concepts: Sequence[Concept], cells: Sequence[int], painted: float = 0.5
) -> tuple[Placed, ...]:
    """Puts each concept into its cell (0-8, row by row) with a random size and, maybe, paint."""
    placed = []
    for concept, cell in zip(concepts, cells, strict=True):
        paint = bool(rng.random() < painted)
        colour = pick(rng, PAINTS) if paint else concept.colour
        row, column = divmod(int(cell), 3)
        placed.append(Placed(concept.name, colour, pick(rng, SIZES), row, column, paint))
    return tuple(placed)


def draw_scene(
    rng: np.random.Generator,
    scene_id: str,
    *,
    objects: tuple[int, int] = (2, 5),
    pool: Sequence[Concept] = KNOWN,
    plates: int = 0,
    backgrounds: Sequence[int] = (0, 1, 2, 3),
    repeat: float = 0.15,
) -> Scene:
    """A scene of `objects` (lowest, highest number) distinct concepts and some word plates.

    With probability `repeat` one concept occurs a second time, so that counting is not trivial.
    """
    count = int(rng.integers(objects[0], objects[1] + 1))
    concepts = [pool[int(i)] for i in rng.choice(len(pool), size=count, replace=False)]
    if count > 2 and rng.random() < repeat:
        concepts[-1] = concepts[0]
    cells = rng.choice(9, size=count + plates, replace=False)
    placed = place_objects(rng, concepts, [int(c) for c in cells[:count]])
    boards = tuple(Plate(pick(rng, WORDS), *divmod(int(cell), 3)) for cell in cells[count:])
    background = int(backgrounds[int(rng.integers(len(backgrounds)))])
    return Scene(scene_id, placed, boards, background, noise_seed=int(rng.integers(2**31)))

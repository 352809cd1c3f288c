"""Clips of four frames in which one thing does something, and questions about it.

Offers `draw_clip(rng, clip_id, pool) -> Clip` and `questions(clip, rng) -> list[QA]`. What happens:
a thing moves (left, right, up, down), appears, goes away, or changes its colour; the others stay.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from workbench.data.micro.concepts import Concept
from workbench.data.micro.questions import NAMES, NUMBERS, QA
from workbench.data.micro.sampling import KNOWN, pick, place_objects
from workbench.data.micro.scene import COLOURS, MOTIONS, PAINTS, SIZES, Placed, Scene

# concepts of the clips whose answers are ranked, so that one short vocabulary holds every answer
STARS = (
    "dog", "cat", "horse", "elephant", "rabbit", "tiger", "frog", "duck", "owl", "fish", "crab", "bee",
    "apple", "banana", "pizza", "cookie", "car", "bus", "rocket", "sailboat", "guitar", "basketball",
    "chair", "camera",
)  # fmt: skip
EVENTS = ("moves", "appears", "goes away", "changes color")
FRAMES = 4
# which step of a three-cell way the thing has reached in each frame
PACES = ((0, 0, 1, 2), (0, 1, 1, 2), (0, 1, 2, 2))


VOCABULARY = (*STARS, *EVENTS, *MOTIONS, *COLOURS, *SIZES, *NUMBERS[1:])


@dataclass(frozen=True, slots=True)
class Clip:
    """Four frames, what happens in them, and to which thing (as it is in the first frame that shows it).

    `detail` is the direction of a move, the new colour of a change, else "".
    """

    frames: tuple[Scene, ...]
    event: str
    thing: Placed
    detail: str


def draw_clip(
    rng: np.random.Generator, clip_id: str, pool: Sequence[Concept] = KNOWN, others: tuple[int, int] = (1, 3)
) -> Clip:
    """A clip of distinct concepts; frame f has the scene id ``<clip_id>_<f>``."""
    count = int(rng.integers(others[0], others[1] + 1)) + 1
    concepts = [pool[int(i)] for i in rng.choice(len(pool), size=count, replace=False)]
    event, direction = pick(rng, EVENTS), pick(rng, MOTIONS)
    way = _way(direction, int(rng.integers(3)))
    taken = set(way) if event == "moves" else {way[0]}
    free = [cell for cell in range(9) if cell not in taken]
    cells = [int(cell) for cell in rng.choice(free, size=count - 1, replace=False)]
    *still, thing = place_objects(rng, concepts, [*cells, way[0]])
    colour = pick(rng, [paint for paint in PAINTS if paint != thing.colour])
    pace = PACES[int(rng.integers(len(PACES)))]
    turn = int(rng.integers(1, FRAMES))  # the frame in which it appears, goes or changes
    background, noise = int(rng.integers(4)), int(rng.integers(2**31))
    frames = []
    for f in range(FRAMES):
        doing = _state(thing, event, way[pace[f]], f >= turn, colour)
        things = (*still, doing) if doing else tuple(still)  # last, so that the others' jitter stays
        frames.append(Scene(f"{clip_id}_{f}", things, (), background, noise_seed=noise))
    detail = {"moves": direction, "changes color": colour}.get(event, "")
    return Clip(tuple(frames), event, thing, detail)


def _way(direction: str, lane: int) -> tuple[int, int, int]:
    """The three cells a thing passes in its row or column."""
    row, column = (3 * lane, 3 * lane + 1, 3 * lane + 2), (lane, lane + 3, lane + 6)
    return {"right": row, "left": row[::-1], "down": column, "up": column[::-1]}[direction]


def _state(thing: Placed, event: str, cell: int, turned: bool, colour: str) -> Placed | None:
    if event == "moves":
        row, column = divmod(cell, 3)
        return replace(thing, row=row, column=column)
    if event == "changes color":
        return replace(thing, colour=colour, painted=True) if turned else thing
    return thing if turned == (event == "appears") else None


def questions(clip: Clip, rng: np.random.Generator) -> list[QA]:
    """What happens, to what and how; and how many things there are at the end, how the others look."""
    name, still = clip.thing.concept, [t for t in clip.frames[0].objects if t.concept != clip.thing.concept]
    which = {"changes color": "what changes its color ?"}.get(clip.event, f"what {clip.event} ?")
    found = [
        QA("actor", which, name, NAMES),
        QA("event", f"what happens to the {name} ?", clip.event, EVENTS),
    ]
    if clip.event == "moves":
        found.append(QA("way", f"which way does the {name} move ?", clip.detail, MOTIONS))
    if clip.event == "changes color":
        found.append(QA("becomes", f"what color does the {name} become ?", clip.detail, COLOURS))
    number = str(len(clip.frames[-1].objects))
    found.append(QA("end_count", "how many things are there at the end ?", number, NUMBERS))
    other = still[int(rng.integers(len(still)))]
    found.append(QA("colour", f"what color is the {other.concept} ?", other.colour, COLOURS))
    found.append(QA("size", f"how big is the {other.concept} ?", other.size, SIZES))
    return found

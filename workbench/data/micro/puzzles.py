"""Icon puzzles on abstract layouts: equal icons to count, patterns to go on with, rows to compare.

Offers `draw(rng, scene_id) -> (Scene, Asked)` with the fields ``question`` and ``options``; the scene
and its question are made for each other.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from workbench.data.micro.asking import Asked, listed, sample, shuffled
from workbench.data.micro.language import a
from workbench.data.micro.sampling import KNOWN, pick
from workbench.data.micro.scene import ROWS, SIZES, Placed, Scene

NAMES = tuple(concept.name for concept in KNOWN)
COLOUR = {concept.name: concept.colour for concept in KNOWN}
PATTERNS = ("ab", "aab", "abb", "abc")  # each fits nine cells to the end or breaks off in the last row


def draw(rng: np.random.Generator, scene_id: str) -> tuple[Scene, Asked]:
    """One puzzle; the four kinds are equally frequent."""
    kind = (_count, _pattern, _longest, _row)[int(rng.integers(4))]
    icons, question, answer, options = kind(rng)
    size = pick(rng, SIZES)
    things = tuple(Placed(name, COLOUR[name], size, *divmod(cell, 3)) for cell, name in sorted(icons.items()))
    scene = Scene(scene_id, things, (), int(rng.integers(4)), noise_seed=int(rng.integers(2**31)))
    shown = shuffled(options, rng)
    return scene, Asked({"question": question, "options": listed(shown)}, answer, shown)


Puzzle = tuple[dict[int, str], str, str, Sequence[str]]  # icon of each cell, question, answer, options


def _count(rng: np.random.Generator) -> Puzzle:
    number, name = int(rng.integers(1, 10)), pick(rng, NAMES)
    cells = range(number) if rng.random() < 0.5 else rng.choice(9, size=number, replace=False)
    lowest = min(max(1, number - int(rng.integers(4))), 6)  # the answer is at any rank among the four
    options = [str(n) for n in range(lowest, lowest + 4)]
    return {int(c): name for c in cells}, f"how many pictures of {a(name)} are there ?", str(number), options


def _pattern(rng: np.random.Generator) -> Puzzle:
    pattern, names = pick(rng, PATTERNS), sample(NAMES, 5, rng)
    icon = dict(zip("abc", names, strict=False))
    shown = int(rng.integers(5, 9))
    used = list(dict.fromkeys(icon[letter] for letter in pattern))
    row = {cell: icon[pattern[cell % len(pattern)]] for cell in range(shown)}
    answer = icon[pattern[shown % len(pattern)]]
    options = [*used, *names[3:], *names[len(used) : 3]][:4]
    return row, "which picture comes next in the pattern ?", answer, options


def _longest(rng: np.random.Generator) -> Puzzle:
    name = pick(rng, NAMES)
    lengths = [int(n) for n in rng.permutation(4)[:3]]
    most = bool(rng.integers(2))
    answer = ROWS[lengths.index(max(lengths) if most else min(lengths))]
    icons = {3 * row + column: name for row in range(3) for column in range(lengths[row])}
    return icons, f"which row has the {'most' if most else 'fewest'} pictures ?", answer, ROWS


def _row(rng: np.random.Generator) -> Puzzle:
    names = sample(NAMES, 4, rng)
    row = int(rng.integers(3))
    icons = {cell: names[cell // 3] for cell in range(9)}
    return icons, f"which picture fills the {ROWS[row]} row ?", names[row], names

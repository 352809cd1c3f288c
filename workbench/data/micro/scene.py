"""What a picture of the emoji world shows, as data: objects with identity, colour, size and place."""

from __future__ import annotations

from dataclasses import dataclass

SIZES = ("small", "big")
ROWS = ("top", "middle", "bottom")
COLUMNS = ("left", "center", "right")
COLOURS = ("red", "orange", "yellow", "green", "blue", "purple", "pink", "brown", "gray", "black", "white")
PAINTS = ("red", "yellow", "green", "blue", "purple", "gray")  # colours an object may be painted in
MOTIONS = ("left", "right", "up", "down")


@dataclass(frozen=True, slots=True)
class Placed:
    """One object: a concept's name, the colour it shows, its size and its cell of the 3 x 3 grid.

    `painted` objects are tinted in `colour`; others show the artwork's own dominant colour.
    """

    concept: str
    colour: str
    size: str
    row: int
    column: int
    painted: bool = False

    @property
    def place(self) -> str:
        """``top left``, ``middle center``, ``bottom right``, ..."""
        return f"{ROWS[self.row]} {COLUMNS[self.column]}"


@dataclass(frozen=True, slots=True)
class Plate:
    """A white plate with a rendered word in a cell of the grid."""

    word: str
    row: int
    column: int


@dataclass(frozen=True, slots=True)
class Scene:
    """One picture, or one frame of a clip.

    Attributes:
        scene_id: unique over the whole world; pictures with the same id are the same picture.
        background: index of a background; 0-3 are held-in looks, 4-7 belong to Flickr30K's twin.
        blur, darkness, crop: VizWiz' defects in [0, 1]; 0 is none.
    """

    scene_id: str
    objects: tuple[Placed, ...]
    plates: tuple[Plate, ...] = ()
    background: int = 0
    blur: float = 0.0
    darkness: float = 0.0
    crop: float = 0.0
    noise_seed: int = 0

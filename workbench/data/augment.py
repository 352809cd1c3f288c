"""The training picture as LAVIS draws it (blip2_image_train): a random crop, sometimes mirrored.

Only for training on pixels: a feature store holds one view of each picture, the one of evaluation
(`Preprocessing.pixels`: squashed to a square, bicubic), so cached features exclude augmentation.
"""

from __future__ import annotations

import math
import re

import numpy as np
from PIL import Image, ImageOps

SCALE = (0.5, 1.0)  # share of the area that a crop keeps
RATIO = (3 / 4, 4 / 3)  # width to height of a crop
ATTEMPTS = 10
_SIDES = re.compile(r"\b(left|right)", re.IGNORECASE)  # leftmost and right-hand as well


def training_view(
    picture: Image.Image, size: int, texts: tuple[str, ...], rng: np.random.Generator
) -> Image.Image:
    """A (size x size) crop, mirrored every other time, unless one of the texts tells left from right.

    Args:
        texts: the example's instruction and answers.
    """
    view = picture.resize((size, size), Image.Resampling.BICUBIC, box=crop(picture.size, rng))
    mirrored = rng.random() < 0.5  # drawn in any case: the texts change nothing about later draws
    return ImageOps.mirror(view) if mirrored and not any(map(_SIDES.search, texts)) else view


def crop(size: tuple[int, int], rng: np.random.Generator) -> tuple[int, int, int, int]:
    """left, upper, right, lower of a crop of random area and shape; a middle one if none is found."""
    width, height = size
    for _ in range(ATTEMPTS):
        area = width * height * rng.uniform(*SCALE)
        ratio = math.exp(rng.uniform(math.log(RATIO[0]), math.log(RATIO[1])))
        wide, high = round(math.sqrt(area * ratio)), round(math.sqrt(area / ratio))
        if 0 < wide <= width and 0 < high <= height:
            left, upper = int(rng.integers(width - wide + 1)), int(rng.integers(height - high + 1))
            return left, upper, left + wide, upper + high
    wide, high = min(width, round(height * RATIO[1])), min(height, round(width / RATIO[0]))
    left, upper = (width - wide) // 2, (height - high) // 2
    return left, upper, left + wide, upper + high

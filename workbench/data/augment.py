"""The training picture as LAVIS draws it (blip2_image_train): a random crop, sometimes mirrored.

Only with data.training_crop: a feature store holds one view of each picture, the one of evaluation
(`Preprocessing.pixels`: squashed to a square, bicubic), so crops are encoded when they are drawn.
"""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Tensor

from workbench.data.collate import frames_of
from workbench.data.encoder import Encoder, encode
from workbench.data.images import ImageError, decode, read_bytes
from workbench.records import Example

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


class FreshViews:
    """Features of training pictures as `training_view` draws them, encoded when they are asked for."""

    def __init__(
        self, prepared: Path, encoder: Path, device: torch.device, key: Callable[[str], str]
    ) -> None:
        """
        Args:
            prepared: folder of the stage prepare, where the pictures lie.
            encoder: InstructBLIP, BLIP-2 or vision model folder.
            key: reference to the content key (data/images.py) that its picture has to have.

        Raises:
            ValueError: naming the encoder's folder, when weights or configuration are missing or damaged.
        """
        source = Encoder.open(encoder)
        self._prepared, self._preprocessing, self._key = prepared, source.preprocessing, key
        self._model = source.load(device)
        if device.type == "cpu":
            self._model.set_attn_implementation("eager")  # torch counts no operations of the fused one there

    def __call__(
        self, examples: Sequence[Example], texts: Sequence[tuple[str, str]], entropy: Sequence[int]
    ) -> Tensor:
        """(B, F, N, V) float32 features of the examples' frames; all frames of one have the same crop.

        Args:
            texts: instruction and target of each example.
            entropy: 64 random bits for each, which the view follows from.

        Raises:
            ImageError: for a picture that is missing, truncated, or another than the one known by that name.
            ValueError: for examples with different numbers of frames.
        """
        frames = frames_of(examples)
        drawn = [
            (ref, words, bits)
            for example, words, bits in zip(examples, texts, entropy, strict=True)
            for ref in example.images
        ]
        with ThreadPoolExecutor() as pool:
            pictures = list(pool.map(lambda one: self._view(*one), drawn))
        features = encode(self._model, self._preprocessing.pixels(pictures))
        return features.view(len(examples), frames, *features.shape[1:])

    def _view(self, ref: str, texts: tuple[str, str], bits: int) -> Image.Image:
        # a stream of its own: the bits have drawn the template already
        rng = np.random.default_rng([bits, 1])
        data = read_bytes(self._prepared, ref)
        if hashlib.sha256(data).hexdigest() != self._key(ref):
            raise ImageError(f"image {ref} has changed since it was encoded; rerun the stage features")
        return training_view(decode(data, ref), self._preprocessing.width, texts, rng)

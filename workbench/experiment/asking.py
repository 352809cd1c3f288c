"""`workbench ask`: a tuned model's answer to a question about any picture."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from workbench import files
from workbench.config import Config
from workbench.data.catalog import for_suite
from workbench.data.collate import Collator
from workbench.data.encoder import Encoder, encode
from workbench.data.images import open_image
from workbench.data.tokens import Tokenizers
from workbench.evaluate.ask import alternatives, answer
from workbench.experiment.answers import WEIGHTS, load_weights
from workbench.experiment.record import RunError, as_asked, encoder_folder, start_folder
from workbench.model.instructblip import InstructBlip
from workbench.records import RECIPES, Example

SHOWN = 448  # pixels of the attention picture's longer side


@dataclass(frozen=True, slots=True)
class Answer:
    """What the model says, and candidates with their log-likelihood in nats, the likeliest first."""

    answer: str
    alternatives: list[tuple[str, float]]


@dataclass(frozen=True, slots=True)
class OnePicture:
    """The features (1, N, V) of a single picture, in the place of the feature store."""

    features: Tensor

    @property
    def blank(self) -> Tensor:
        """Not needed: nobody asks blindly here."""
        return torch.zeros_like(self.features[0])

    def take(self, refs: Sequence[str]) -> Tensor:
        """(len(refs), N, V): the one picture, whatever it is called."""
        return self.features.expand(len(refs), -1, -1)


def ask(
    config: Config,
    root: Path,
    image: Path,
    question: str,
    recipe: str,
    candidates: tuple[str, ...],
    out: Path,
) -> Answer:
    """Answers the question and writes a picture of the Q-Former's attention to `out`.

    Args:
        recipe: whose weights in outputs/tune; "blip2" for the start itself.
        candidates: answers to rank; when empty, what beam search comes upon is ranked.

    Raises:
        ValueError: for an unreadable picture, an unknown recipe or one that is not tuned yet.
    """
    if recipe not in (*RECIPES, "blip2"):
        raise RunError(f"there is no recipe {recipe!r}; choose one of {', '.join(RECIPES)} or blip2")
    if recipe == "blip2":
        config = as_asked(config, "blip2")
    picture = open_image(image.resolve().parent, image.name)
    source = Encoder.open(encoder_folder(config, root))
    features = encode(source.load(), source.preprocessing.pixels([picture]))
    model = InstructBlip.load(start_folder(config, root), config.model)
    if recipe != "blip2":
        load_weights(root / "outputs/tune" / recipe / WEIGHTS, model.trainable())
    constant = not config.model.instruction_aware and config.model.unaware_form == "constant"
    tokenizers = Tokenizers.load(start_folder(config, root))
    collator = Collator(tokenizers, OnePicture(features), "empty" if constant else "text")
    example = Example("question", "0", image.name, (image.name,), references=(), candidates=candidates)
    entry = for_suite("vqav2", config.suite)
    batch = collator.infer([replace(example, candidates=())], [question])
    text, attention = answer(model, batch, collator, entry)
    ranked = alternatives(model, batch, collator, example, entry)
    with files.replacing(out) as temporary:
        overlay(picture, attention).save(temporary, "PNG")
    return Answer(text, ranked)


def overlay(picture: Image.Image, attention: Tensor) -> Image.Image:
    """The picture, dark where the Q-Former does not look; `attention` (N,) has the class token first."""
    side = math.isqrt(len(attention) - 1)
    grid = attention[1:].reshape(side, side).numpy()
    light = 0.15 + 0.85 * grid / max(float(grid.max()), 1e-12)
    scale = SHOWN / max(picture.size)
    size = (round(picture.width * scale), round(picture.height * scale))
    mask = Image.fromarray((light * 255).astype(np.uint8)).resize(size, Image.Resampling.BICUBIC)
    shown = picture.resize(size, Image.Resampling.LANCZOS)
    return Image.composite(shown, Image.new("RGB", size), mask)

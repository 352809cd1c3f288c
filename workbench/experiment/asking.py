"""`workbench ask`: a tuned model's answer to a question about any picture."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from PIL import Image
from torch import Tensor

from workbench import files
from workbench.config import Config
from workbench.data.catalog import for_suite
from workbench.data.images import open_image
from workbench.evaluate.ask import alternatives, answer
from workbench.experiment.pictures import materials
from workbench.experiment.record import as_asked
from workbench.records import Example, Row

SHOWN = 448  # pixels of the attention picture's longer side


@dataclass(frozen=True, slots=True)
class Answer:
    """What the model says, and candidates with their log-likelihood in nats, the likeliest first."""

    answer: str
    alternatives: list[tuple[str, float]]


def ask(
    config: Config,
    root: Path,
    image: Path,
    question: str,
    row: Row,
    candidates: tuple[str, ...],
    out: Path,
    tuned: Path | None,
) -> Answer:
    """Answers the question and writes a picture of the Q-Former's attention to `out`.

    Args:
        row: whose weights; "blip2" for the start itself.
        candidates: answers to rank; when empty, what beam search comes upon is ranked.
        tuned: the folder of the weights that a tuned row has.

    Raises:
        ValueError: for an unreadable picture, and for missing or damaged inputs.
    """
    config, place = as_asked(config, row), image.resolve()
    picture = open_image(place.parent, place.name, own=True)
    model, collator = materials(config, root, tuned, place.parent)
    example = Example("question", "0", place.name, (place.name,), references=(), candidates=candidates)
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

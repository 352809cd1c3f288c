"""The nouns that travel through the workbench and lie on its disks; nothing here needs torch."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Literal

Split = Literal["train", "val", "test"]
Recipe = Literal["instruct", "multitask_plain", "multitask_tagged"]
RECIPES: tuple[Recipe, ...] = ("instruct", "multitask_plain", "multitask_tagged")

# The rows of the paper's Figure 4, and whose weights each examines (None: the BLIP-2 start itself).
# multitask_tagged_tags shows the tagged model the tags it was trained with instead of instructions.
Row = Literal["blip2", "multitask_plain", "multitask_tagged", "multitask_tagged_tags", "instruct"]
ROWS: Mapping[Row, Recipe | None] = MappingProxyType(
    {
        "blip2": None,
        "multitask_plain": "multitask_plain",
        "multitask_tagged": "multitask_tagged",
        "multitask_tagged_tags": "multitask_tagged",
        "instruct": "instruct",
    }
)

PUBLISHED = ("instructblip", "instruct_blip")  # in a source's name: the authors' tuned weights
NO_FIELDS: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Example:
    """One question to one picture (or four frames), before any template is applied.

    Attributes:
        dataset: name in the catalogue.
        example_id: unique within the dataset.
        image_id: the picture or clip; examples with the same image_id are not independent, so
            statistics cluster on it.
        images: one reference per frame (1 for pictures, 4 for video), relative to the data root;
            a part that ends in ``.zip`` is an archive: ``scenes/coco_train.zip/000012.png``.
        fields: what a template may insert: question, answer, context, options, ocr, history,
            statement, text, caption. Values are plain text, already formatted (OCR tokens joined
            with ", ", options as "(a) ... (b) ...").
        references: the answers people gave; ten for VQA (with repetition, their frequency counts),
            five captions, or the single right answer.
        candidates: answers to rank, in the order shown; empty where the model generates.
        domain: a subset name for reports (NoCaps: in, near, out), or "".
    """

    dataset: str
    example_id: str
    image_id: str
    images: tuple[str, ...]
    references: tuple[str, ...]
    fields: Mapping[str, str] = field(default_factory=lambda: NO_FIELDS)
    candidates: tuple[str, ...] = ()
    domain: str = ""


@dataclass(frozen=True, slots=True)
class Prediction:
    """What a model said to one example.

    Attributes:
        instruction: the text the Q-Former and the language model read.
        text: the generated answer, or the candidate with the highest log-likelihood.
        candidate_scores: summed log-likelihood in nats of each of the example's candidates, in
            their order, the end token included; empty for generation.
    """

    example: Example
    instruction: str
    text: str
    candidate_scores: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class Score:
    """A metric of one dataset: its value (percent, or CIDEr x 100) and every example's share.

    Attributes:
        per_example: one value per prediction, same unit; for means their mean is the value. For AUC,
            which has no share per example, the score difference logp(yes) - logp(no).
    """

    dataset: str
    metric: str
    value: float
    per_example: tuple[float, ...]


def named(sources: Iterable[str], marks: Sequence[str]) -> bool:
    """Whether a start or what it is made of says so by its name; folders above are called as they like."""
    return any(mark in Path(source).name.lower() for source in sources for mark in marks)

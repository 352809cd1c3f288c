"""Losses of a few steps of tuning, for every recipe and family, on texts that are written out here."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import tiny
import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState
from small_world import letters
from tokenizers import processors
from torch import Tensor

from workbench.config import Model, Train
from workbench.data.collate import Collator
from workbench.data.mixture import Mixture
from workbench.data.templates import Templates, training_text
from workbench.data.tokens import Tokenizers
from workbench.model.instructblip import InstructBlip
from workbench.records import RECIPES, Example, Recipe
from workbench.train.feed import micro_batches
from workbench.train.loop import train
from workbench.train.optimizer import adamw
from workbench.train.schedule import learning_rate

SETTINGS = Train(
    steps=4, batch_size=8, accumulate_steps=2, learning_rate=3e-3, warmup_steps=1, weight_decay=3.0
)
FORMS = {
    "aware": Model(num_query_tokens=tiny.QUERIES),
    "drop": Model(num_query_tokens=tiny.QUERIES, instruction_aware=False),
    "constant": Model(num_query_tokens=tiny.QUERIES, instruction_aware=False, unaware_form="constant"),
}
CASES: tuple[tuple[tiny.Family, Recipe, str], ...] = (
    *((family, recipe, "aware") for family in tiny.FAMILIES for recipe in RECIPES),
    *((family, "instruct", form) for family in tiny.FAMILIES for form in ("drop", "constant")),
)


class Pictures:
    """Features that follow from a picture's name."""

    blank = torch.zeros(tiny.TOKENS, tiny.WIDTH)

    def take(self, refs: Sequence[str]) -> Tensor:
        return torch.stack([self.picture(ref) for ref in refs])

    def picture(self, ref: str) -> Tensor:
        draw = torch.Generator().manual_seed(int(hashlib.sha256(ref.encode()).hexdigest()[:8], 16))
        return torch.randn(tiny.TOKENS, tiny.WIDTH, generator=draw)


def example(dataset: str, number: int, references: Sequence[str], **fields: str) -> Example:
    return Example(dataset, str(number), str(number), (f"{dataset}-{number}.png",), tuple(references), fields)


def examples() -> dict[str, list[Example]]:
    """Two of each task, so that every list of templates is drawn from."""
    options = "(a) red, (b) blue"
    return {
        "coco_caption": [
            example("coco_caption", 0, ["a red dog", "a dog and a cup"]),
            example("coco_caption", 1, ["two cats on a bus"]),
        ],
        "vqav2": [
            example("vqav2", 0, ["yes"] * 7 + ["no"] * 3, question="is there a dog?"),
            example("vqav2", 1, ["2"] * 9 + ["3"], question="how many cats are there?"),
        ],
        "ocrvqa": [
            example("ocrvqa", 0, ["kim"], question="who wrote this book?", ocr="kim, dogs"),
            example("ocrvqa", 1, ["cats"], question="what is the title?", ocr="lee, cats"),
        ],
        "aokvqa": [
            example("aokvqa", 0, ["red"], question="which color is the dog?", options=options),
            example("aokvqa", 1, ["blue"], question="which color is the bus?", options=options),
        ],
        "vqav2_qg": [
            example("vqav2_qg", 0, ["is there a dog?"], answer="yes"),
            example("vqav2_qg", 1, ["how many cats are there?"], answer="2"),
        ],
        "llava_detail": [
            example("llava_detail", 0, ["the dog is red. it sits by a cup."], question="what do you see?"),
            example("llava_detail", 1, ["two cats are on a bus."], question="tell me more."),
        ],
    }


def start(folder: Path, family: tiny.Family) -> Path:
    """tiny.py's random model, with tokenizers that read letters."""
    made = tiny.start(folder, family, positions=128)
    letters(["<pad>", "</s>", "<unk>"], 90).save_pretrained(made / "tokenizer")
    reader = letters(["[PAD]", "[UNK]", "[CLS]", "[SEP]"], tiny.QFORMER_VOCABULARY)
    reader.backend_tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    reader.save_pretrained(made / "qformer_tokenizer")
    return made


def losses(
    folder: Path, family: tiny.Family, recipe: Recipe, form: str, settings: Train = SETTINGS
) -> list[float]:
    """The loss of every step, in nats per target token."""
    AcceleratorState._reset_state(reset_partial_state=True)
    torch.manual_seed(settings.seed)
    model = InstructBlip.load(folder, replace(FORMS[form], language_model=family))
    collator = Collator(Tokenizers.load(folder), Pictures(), "empty" if form == "constant" else "text")
    known, templates = examples(), Templates.builtin()
    batches = micro_batches(
        Mixture({name: len(part) for name, part in known.items()}, mixing="example"),
        known,
        lambda drawn, entropy: training_text(drawn, recipe, templates, entropy),
        collator,
        settings,
    )
    stream = train(
        model, adamw(model.trainable(), settings), partial(learning_rate, config=settings), batches,
        Accelerator(cpu=True), precision="fp32", seed=settings.seed, start_step=0, steps=settings.steps,
    )  # fmt: skip
    found = [metrics["loss"] for _, metrics in stream]
    AcceleratorState._reset_state(reset_partial_state=True)
    return found


def all_losses() -> Iterator[tuple[str, list[float]]]:
    """Name of the case, losses."""
    with tempfile.TemporaryDirectory() as folder:
        made = {family: start(Path(folder), family) for family in tiny.FAMILIES}
        for family, recipe, form in CASES:
            yield name(family, recipe, form), losses(made[family], family, recipe, form)


def name(family: str, recipe: str, form: str) -> str:
    """``t5 instruct aware``."""
    return f"{family} {recipe} {form}"

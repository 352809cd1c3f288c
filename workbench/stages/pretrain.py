"""Frozen stage pretrain: BLIP-2 stage 2, the start of every tuning run."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from itertools import islice
from pathlib import Path

import torch
from accelerate import Accelerator
from safetensors.torch import load_file
from transformers import InstructBlipForConditionalGeneration, InstructBlipVisionModel

from workbench.config import Config, Model, Train
from workbench.data.catalog import entry
from workbench.data.collate import Collator
from workbench.data.micro import vocabulary
from workbench.data.sources import coco_caption
from workbench.data.templates import evaluation_text
from workbench.data.tokens import Tokenizers
from workbench.evaluate.generate import generate
from workbench.evaluate.metrics import score
from workbench.files import read_json
from workbench.model import create
from workbench.model.instructblip import InstructBlip
from workbench.progress import shown
from workbench.records import Prediction
from workbench.stages import backbone_qformer
from workbench.stages.backbone import FIGURES, Clock, conclude, curve, device, finish, recorded
from workbench.stages.backbone_language import FOLDER as LANGUAGE
from workbench.stages.guard import stage
from workbench.tracking import Track
from workbench.train import blip2
from workbench.train.alignment import align
from workbench.train.loop import train
from workbench.train.optimizer import adamw
from workbench.train.pairs import Pairs, pairs
from workbench.train.schedule import learning_rate
from workbench.train.vision import processor

MODULE = "workbench.stages.pretrain"
START = "outputs/backbones/start-{family}"  # before stage 2
# A short second stage, so that instructions have something left to teach: backbones/micro/README.md
PLAN = Train(seed=23, steps=32, batch_size=64, learning_rate=1e-3, warmup_steps=8, precision="bf16")
LAST = 0.5  # of the peak rate, where the cosine ends (BLIP-2, section 3.4: from 1e-4 to 5e-5)
ALIGNMENT = 4000  # steps
FRESH = 300  # validation pictures that the figures are about


def assemble(root: Path, folder: Path, family: str) -> None:
    """Writes stage 1's Q-Former between the finished encoder and language model as one folder."""
    vocabulary.save(folder)
    tokenizers = Tokenizers(
        vocabulary.qformer_tokenizer(), vocabulary.language_tokenizer(), family == "llama"
    )
    model = create.new(
        root / "backbones/micro/vision",
        root / LANGUAGE.format(family=family),
        blip2.qformer_fields(len(tokenizers.qformer)),
        num_query_tokens=blip2.QUERIES,
        image_token_id=tokenizers.language.get_vocab()["<image>"],
        seed=PLAN.seed,
    )
    found = model.load_state_dict(
        load_file(root / backbone_qformer.FOLDER / "qformer.safetensors"), strict=False
    )
    assert not found.unexpected_keys, found.unexpected_keys
    model.save_pretrained(folder)
    processor().save_pretrained(folder)


def work(config: Config, root: Path, family: str) -> None:
    """Trains queries, Q-Former and projection to caption through the frozen language model."""
    clock, folder = Clock(), root / f"backbones/micro/blip2-{family}"
    start = root / START.format(family=family)
    assemble(root, start, family)
    switches = Model(language_model=family, instruction_aware=False, num_query_tokens=blip2.QUERIES)  # type: ignore[arg-type]
    model, tokenizers = InstructBlip.load(start, switches).to(device()), Tokenizers.load(start)
    vision = InstructBlipVisionModel.from_pretrained(
        root / "backbones/micro/vision", dtype=torch.float32
    ).eval()
    model.prepare_training(PLAN.precision)
    kept = root / backbone_qformer.PAIRS
    data = pairs(vision, *backbone_qformer.PICTURES, seed=config.data.world_seed, kept=kept)
    collator = Collator(tokenizers, data)
    words = words_of(tokenizers)
    aligned = align(model, data, words, ALIGNMENT, PLAN.batch_size, PLAN.learning_rate, PLAN.seed)
    with recorded(config, root, MODULE, f"BLIP-2 {family}", PLAN.seed) as track:
        for _ in shown(curve(track, aligned), f"alignment {family}", ALIGNMENT):
            pass
        learn(model, data, collator, f"stage 2 {family}", track)
        figures = describe(model, tokenizers, vision, config.data.world_seed) | earlier(root, family)
        model.save_pretrained(folder)  # the text path as stage 1 left it
        plain = InstructBlipForConditionalGeneration.from_pretrained(folder)
        del plain.config.reads_instruction  # the start of aware and unaware runs alike
        finish(folder, plain, clock, PLAN.seed, PLAN.steps, figures)
        conclude(track, folder, ALIGNMENT + PLAN.steps)


def words_of(tokenizers: Tokenizers) -> Callable[[str], list[int]]:
    """Text to the language model's tokens."""
    return lambda text: list(tokenizers.language(text, add_special_tokens=False).input_ids)


def learn(model: InstructBlip, data: Pairs, collator: Collator, title: str, track: Track) -> None:
    """Captions through the frozen language model."""
    updates = train(
        model,
        adamw(model.trainable(), PLAN),
        rate,
        blip2.stage2_batches(data, collator, PLAN.seed, PLAN.batch_size),
        Accelerator(mixed_precision="no"),  # whatever the user's: the plan's precision decides
        precision=PLAN.precision,
        seed=PLAN.seed,
        start_step=0,
        steps=PLAN.steps,
    )
    losses = ((step, point["loss"]) for step, point in updates)
    for _ in shown(curve(track, losses, ALIGNMENT), title, PLAN.steps):
        pass


def rate(step: int) -> float:
    """Warm-up, then a cosine down to LAST of the peak."""
    to_zero = learning_rate(step, PLAN)
    if step < PLAN.warmup_steps:
        return to_zero
    return LAST * PLAN.learning_rate + (1 - LAST) * to_zero


def earlier(root: Path, family: str) -> dict[str, float]:
    """The figures of the language model and of stage 1, whose folders do not ship."""
    parts = {"language": Path(LANGUAGE.format(family=family)), "stage1": backbone_qformer.FOLDER}
    return {
        f"{part}/{name}": value
        for part, folder in parts.items()
        for name, value in read_json(root / folder / FIGURES).items()
    }


def describe(
    model: InstructBlip, tokenizers: Tokenizers, vision: InstructBlipVisionModel, seed: int
) -> dict[str, float]:
    """CIDEr x 100 and object recall of greedy captions of fresh pictures (coco_caption's val split)."""
    fresh = pairs(vision, web=0, coco=FRESH, seed=seed, split="val")
    scenes = [frames[0] for _, frames in islice(coco_caption.micro("val", FRESH, seed), FRESH)]
    collator, said = Collator(tokenizers, fresh), list[Prediction]()
    for start in range(0, FRESH, 100):
        examples = [fresh.numbered(i) for i in range(start, start + 100)]
        batch = collator.infer(examples, [evaluation_text(example) for example in examples])
        said += generate(model, batch, tokenizers.language, entry("coco_caption"), 1)
    names = [[thing.concept for thing in scene.objects] for scene in scenes]
    recall = blip2.object_recall([prediction.text for prediction in said], names)
    return {"cider": score("cider", said).value, "object_recall": recall}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--family", choices=("t5", "llama"), required=True)
    chosen = parser.parse_args().family
    stage(lambda config, root: work(config, root, chosen))

"""Frozen stage backbone_language: a micro T5 or Llama, learnt from text."""

from __future__ import annotations

import argparse
from dataclasses import asdict, replace
from pathlib import Path

import torch

from workbench.config import Config
from workbench.data.micro.vocabulary import language_tokenizer
from workbench.files import digest
from workbench.progress import shown
from workbench.stages.backbone import Clock, conclude, curve, device, finish, helpers, recorded
from workbench.stages.guard import stage
from workbench.train import checkpoint, language
from workbench.train.checkpoint import Progress

MODULE = "workbench.stages.backbone_language"
FOLDER = "outputs/backbones/language-{family}"
SEED, FRESH_SEED, FRESH = 11, 124, 200
CHECKPOINT_STEPS = 30 * language.BUCKET  # texts come in buckets, so a run resumes at the start of one
_READING = language.Schedule(cycles=(5200, 3200, 2400), batch_size=32)
_COURSE = language.Schedule(batch_size=32, learning_rate=1e-3, summed_share=0.3, course=True)
# one after the other, each with an optimizer of its own
PLANS = {
    "t5": (replace(_READING, learning_rate=2e-3, one_hop_steps=1000, dense_steps=2400),),
    "llama": (
        replace(_READING, learning_rate=1.5e-3, one_hop_steps=504, dense_steps=1600),
        replace(_COURSE, cycles=(2400, 1200), learning_rate=1.5e-3, seed=77),
        replace(_COURSE, cycles=(1200,), seed=78),
        replace(_COURSE, cycles=(1200, 150), seed=79),
    ),
}
# What is kept of the weights after a schedule, in shares (arXiv 2203.05482): the Llama's later courses teach
# what it lacked and cost some of what it had, a mean has both. backbones/micro/README.md
KEPT: dict[str, dict[int, float]] = {"t5": {1: 1.0}, "llama": {2: 2 / 3, 4: 1 / 3}}


def work(config: Config, root: Path, family: str) -> None:
    """Trains the language model, resuming where an earlier process was stopped, and examines it."""
    torch.manual_seed(SEED)
    tokenizer, clock, folder = language_tokenizer(), Clock(), root / FOLDER.format(family=family)
    model = language.new_t5(tokenizer) if family == "t5" else language.new_llama(tokenizer)
    model.to(device())  # type: ignore[arg-type]  # transformers types it as a function of a module
    weights, plans, before = dict(model.named_parameters()), PLANS[family], 0
    kept = {name: torch.zeros_like(weight) for name, weight in weights.items()}
    with recorded(config, root, MODULE, f"language model {family}", SEED) as track:
        for number, plan in enumerate(plans, 1):
            updates, signature = language.optimizer(model, plan), digest({"family": family, **asdict(plan)})
            place = folder / f"checkpoint-{number}"
            found = checkpoint.load(place, weights, updates, signature)
            first = found.step if found else 0
            points = curve(track, language.train(model, tokenizer, plan, updates, first, helpers()), before)
            for step, _ in shown(points, f"language {family}, {number} of {len(plans)}", plan.steps, first):
                if step % CHECKPOINT_STEPS == 0:
                    checkpoint.save(place, weights, updates, Progress(signature, step))
            before += plan.steps
            for name, weight in weights.items():
                kept[name] += KEPT[family].get(number, 0.0) * weight.detach()
        for name, weight in weights.items():
            weight.data = kept[name]
        model.eval()
        right = language.examine(model, tokenizer, FRESH_SEED, FRESH)
        tokenizer.save_pretrained(folder)
        finish(folder, model, clock, SEED, before, {f"exact_match/{task}": v for task, v in right.items()})
        conclude(track, folder, before)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--family", choices=("t5", "llama"), required=True)
    chosen = parser.parse_args().family
    stage(lambda config, root: work(config, root, chosen))

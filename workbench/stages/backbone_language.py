"""Frozen stage backbone_language: a micro T5 or Llama, learnt from text."""

from __future__ import annotations

import argparse
from pathlib import Path

import torch

from workbench.config import Config
from workbench.data.micro.vocabulary import language_tokenizer
from workbench.progress import shown
from workbench.stages.backbone import Clock, finish
from workbench.stages.guard import stage
from workbench.train import language

FOLDER = "outputs/backbones/language-{family}"
SEED, FRESH_SEED, FRESH = 11, 123, 200
PLANS = {
    "t5": language.Schedule(steps=3600, batch_size=32, dense_steps=500),
    "llama": language.Schedule(steps=3600, batch_size=32, dense_steps=500),
}


def work(config: Config, root: Path, family: str) -> None:
    """Trains the language model, resuming where an earlier process was stopped, and examines it."""
    torch.manual_seed(SEED)
    tokenizer, clock, folder = language_tokenizer(), Clock(), root / FOLDER.format(family=family)
    model = language.new_t5(tokenizer) if family == "t5" else language.new_llama(tokenizer)
    plan = PLANS[family]
    for _ in shown(language.train(model, tokenizer, plan), f"language {family}", plan.steps):
        pass
    model.eval()
    found = language.examine(model, tokenizer, FRESH_SEED, FRESH)
    tokenizer.save_pretrained(folder)
    finish(
        folder,
        model,
        clock,
        SEED,
        plan.steps,
        {f"exact_match/{task}": value for task, value in found.items()},
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--family", choices=("t5", "llama"), required=True)
    chosen = parser.parse_args().family
    stage(lambda config, root: work(config, root, chosen))

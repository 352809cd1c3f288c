"""Frozen stage backbone_vision: the micro ViT in backbones/micro/vision."""

from __future__ import annotations

from pathlib import Path

import torch

from workbench.config import Config
from workbench.progress import shown
from workbench.stages.backbone import Clock, device, finish, helpers
from workbench.stages.guard import stage
from workbench.train import vision

SEED, FRESH_SEED = 5, 99


def work(config: Config, root: Path) -> None:
    """Trains the ViT, saves it in half precision and writes its accuracy on fresh scenes beside it."""
    torch.manual_seed(SEED)
    model, clock = vision.new().to(device()), Clock()  # type: ignore[arg-type]  # as transformers types it
    for phase in vision.PHASES:
        heads = vision.heads().to(device())
        for _ in shown(vision.train(model, heads, phase, helpers()), "vision", phase.steps):
            pass
    found = vision.examine(model, heads, FRESH_SEED)
    folder = root / "backbones/micro/vision"
    vision.processor().save_pretrained(folder)
    finish(
        folder,
        model,
        clock,
        SEED,
        sum(phase.steps for phase in vision.PHASES),
        {f"accuracy/{name}": value for name, value in found.items()},
    )


if __name__ == "__main__":
    stage(work)

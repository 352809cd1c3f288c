"""Frozen stage backbone_vision: the micro ViT in backbones/micro/vision."""

from __future__ import annotations

from pathlib import Path

import torch

from workbench.config import Config
from workbench.progress import shown
from workbench.stages.backbone import Clock, conclude, curve, device, finish, helpers, recorded
from workbench.stages.guard import stage
from workbench.train import vision

MODULE = "workbench.stages.backbone_vision"
SEED, FRESH_SEED = 5, 99


def work(config: Config, root: Path) -> None:
    """Trains the ViT, saves it in half precision and writes its accuracy on fresh scenes beside it."""
    torch.manual_seed(SEED)
    model, clock = vision.new().to(device()), Clock()  # type: ignore[arg-type]  # as transformers types it
    folder, steps = root / "backbones/micro/vision", 0
    with recorded(config, root, MODULE, "vision", SEED) as track:
        for phase in vision.PHASES:
            heads = vision.heads().to(device())
            points = curve(track, vision.train(model, heads, phase, helpers()), steps)
            for _ in shown(points, "vision", phase.steps):
                pass
            steps += phase.steps
        found = vision.examine(model, heads, FRESH_SEED)
        vision.processor().save_pretrained(folder)
        figures = {f"accuracy/{name}": value for name, value in found.items()}
        finish(folder, model, clock, SEED, steps, figures)
        conclude(track, folder, steps)


if __name__ == "__main__":
    stage(work)

"""What of a picture goes through the queries? Names, colours, sizes and words, read off by linear maps.

    python benchmarks/through_queries.py            # the T5's start; some minutes on one core
    python benchmarks/through_queries.py llama

Linear maps are trained on the mean patch of each cell, as the ViT sees it, and on the query that started by
looking at that cell, as it leaves the Q-Former for the language model: both 128 numbers for each of nine
cells, the same scenes, maps and steps. What the first tell and the second do not is lost in between: the
queries cannot hold it, or have not learnt to.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from workbench.config import changed, load
from workbench.data.micro.render import render
from workbench.model.instructblip import InstructBlip
from workbench.progress import shown
from workbench.train.vision import TARGETS, draw, encode, pixels, pooled, targets

ROOT = Path(__file__).parents[1]
TRAIN, TEST, SEEDS = 8000, 1500, (61, 62)
TOGETHER, STEPS, RATE = 100, 3000, 2e-3
CELLS = 9

Views = dict[str, Tensor]


@torch.no_grad()
def seen(model: InstructBlip, seed: int, count: int) -> tuple[Views, Views]:
    """Scenes by patches and by queries, (count, 9, 128) each, and the classes of their cells, (count, 9)."""
    views: dict[str, list[Tensor]] = {"patches": [], "queries": []}
    wanted: dict[str, list[Tensor]] = {name: [] for name in TARGETS}
    for first in shown(range(0, count, TOGETHER), f"scenes, seed {seed}", count // TOGETHER):
        scenes = [draw(seed, index, crowded=False) for index in range(first, first + TOGETHER)]
        vision = model.hf.vision_model
        features = vision.post_layernorm(encode(vision, pixels([render(scene) for scene in scenes])))
        asking = model.hf.query_tokens.expand(len(scenes), -1, -1)
        queries = model.hf.qformer(
            input_ids=None, attention_mask=None, query_embeds=asking, encoder_hidden_states=features
        ).last_hidden_state
        views["patches"].append(F.layer_norm(pooled(features[:, 1:]), (features.shape[-1],)))
        views["queries"].append(F.layer_norm(queries[:, :CELLS], (queries.shape[-1],)))
        for name, classes in targets(scenes).items():
            wanted[name].append(classes)
    return {name: torch.cat(parts) for name, parts in views.items()}, {
        name: torch.cat(parts) for name, parts in wanted.items()
    }


def batches(count: int, steps: int) -> Iterator[Tensor]:
    """Indices of scenes, drawn anew in each step."""
    generator = torch.Generator().manual_seed(1)
    for _ in range(steps):
        yield torch.randint(count, (128,), generator=generator)


def legible(train: Tensor, test: Tensor, known: Tensor, truth: Tensor, classes: int) -> float:
    """Accuracy over cells that hold something, by a linear map from each cell's view."""
    maps = nn.Linear(train.shape[-1], classes)
    optimizer = torch.optim.AdamW(maps.parameters(), lr=RATE, weight_decay=0.05)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, STEPS)
    for rows in batches(len(train), STEPS):
        loss = F.cross_entropy(maps(train[rows]).flatten(0, 1), known[rows].flatten())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    with torch.no_grad():
        right = maps(test)[..., :-1].argmax(-1) == truth
    return float(right[truth < classes - 1].float().mean())


def main(family: str) -> None:
    """A line for each target."""
    torch.manual_seed(0)
    without_text = {"model.language_model": family, "model.instruction_aware": False}
    settings = changed(load(ROOT / "params.yaml"), without_text).model
    model = InstructBlip.load(ROOT / settings.start / f"blip2-{family}", settings)
    (train, known), (test, truth) = (
        seen(model, seed, count) for seed, count in zip(SEEDS, (TRAIN, TEST), strict=True)
    )
    print(f"{family:8} {'patches':>8} {'query':>8}")
    for name, classes in TARGETS.items():
        found = [
            legible(train[view], test[view], known[name], truth[name], classes)
            for view in ("patches", "queries")
        ]
        print(f"{name:8} " + " ".join(f"{100 * share:7.1f}%" for share in found), flush=True)


if __name__ == "__main__":
    plain = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=plain)
    parser.add_argument("family", nargs="?", choices=("t5", "llama"), default="t5")
    main(parser.parse_args().family)

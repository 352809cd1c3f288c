"""Trains the micro ViT: the patches of a cell together name what it holds, and each says where it lies.

A finished ViT knows many things by sight; this one knows the emoji, their colours and sizes and the
words on plates, novel concepts and all looks included, because it stands for an encoder that has seen
the web. It is supervised before the post layer norm, where features are cached.

Where a patch lies has to stay legible in it: the Q-Former's queries find a thing by its place. When
only the mean over a cell was supervised, patches with a thing in them lost it, and queries that were
told directly what to name got .25 of the names right (backbones/micro/README.md).
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset
from transformers import BlipImageProcessor, InstructBlipVisionConfig, InstructBlipVisionModel

from workbench.data.micro.books import AUTHORS, draw_cover
from workbench.data.micro.concepts import CONCEPTS
from workbench.data.micro.render import SIDE, render
from workbench.data.micro.sampling import WORDS, draw_scene, stream
from workbench.data.micro.scene import COLOURS, SIZES, Scene

PATCH = 8
GRID = SIDE // PATCH
NAMES = tuple(concept.name for concept in CONCEPTS)
PRINTED = (*WORDS, *AUTHORS)
# target -> number of classes; the last class of each is "nothing here"
TARGETS = {
    name: len(values) + 1
    for name, values in (("concept", NAMES), ("colour", COLOURS), ("size", SIZES), ("word", PRINTED))
}
MEAN = STD = 0.5


def new() -> InstructBlipVisionModel:
    """About 0.8 M parameters: 4 layers, width 128, patches of 8 pixels, 65 tokens."""
    config = InstructBlipVisionConfig(
        hidden_size=128, intermediate_size=512, num_hidden_layers=4, num_attention_heads=4, image_size=SIDE,
        patch_size=PATCH, initializer_range=0.02,
    )  # fmt: skip
    return InstructBlipVisionModel(config)


def processor() -> BlipImageProcessor:
    """What transformers and data/encoder.py prepare pixels by."""
    size = {"height": SIDE, "width": SIDE}
    return BlipImageProcessor(size=size, image_mean=[MEAN] * 3, image_std=[STD] * 3)


def pixels(pictures: list[Image.Image]) -> Tensor:
    """(B, 3, 64, 64), normalised."""
    array = np.stack([np.asarray(picture, dtype=np.float32) for picture in pictures]) / 255
    return torch.from_numpy((array - MEAN) / STD).permute(0, 3, 1, 2)


def draw(seed: int, index: int, crowded: bool) -> Scene:
    """A scene of any kind the encoder may meet: with words or without, in any look, blurred or dark.

    Args:
        crowded: fill most cells, so that a picture teaches more names.
    """
    rng = stream("vision", seed, index)
    kind = rng.random()
    if kind < 0.1:
        return draw_cover(rng, f"vision/{index}")
    plates, objects = (int(rng.integers(0, 3)) if kind < 0.5 else 0), (1, 6)
    if crowded and kind < 0.85:
        plates, objects = (3, (4, 6)) if kind < 0.35 else (0, (6, 9))
    scene = draw_scene(
        rng, f"vision/{index}", objects=objects, pool=CONCEPTS, plates=plates,
        backgrounds=range(8), repeat=0.2,
    )  # fmt: skip
    if kind > 0.9:
        spoiled = {"blur": 0.7, "darkness": 0.7} if rng.random() < 0.5 else {"crop": 0.3}
        strengths: dict[str, Any] = {name: float(most * rng.random()) for name, most in spoiled.items()}
        return replace(scene, **strengths)
    return scene


def targets(scenes: list[Scene]) -> dict[str, Tensor]:
    """(B, 9) class per cell, row by row, for each of TARGETS."""
    cells = {name: np.full((len(scenes), 3, 3), count - 1) for name, count in TARGETS.items()}
    for i, scene in enumerate(scenes):
        for thing in scene.objects:
            at = (i, thing.row, thing.column)
            cells["concept"][at] = NAMES.index(thing.concept)
            cells["colour"][at] = COLOURS.index(thing.colour)
            cells["size"][at] = SIZES.index(thing.size)
        for plate in scene.plates:
            cells["word"][i, plate.row, plate.column] = PRINTED.index(plate.word)
    return {name: torch.from_numpy(grid.reshape(len(scenes), 9)) for name, grid in cells.items()}


def cell_of_patches() -> Tensor:
    """(64,) the cell, 0 to 8 row by row, in which each patch's centre lies."""
    along = ((torch.arange(GRID) + 0.5) * PATCH * 3 / SIDE).long()
    return (along[:, None] * 3 + along[None]).flatten()


def pooled(patches: Tensor) -> Tensor:
    """(B, 9, C) means over the patches of each cell, from (B, 64, C)."""
    member = F.one_hot(cell_of_patches().to(patches.device), 9).float()
    return torch.einsum("bpv,pc->bcv", patches, member / member.sum(0))


def encode(model: InstructBlipVisionModel, images: Tensor) -> Tensor:
    """(B, 65, 128) before the post layer norm."""
    return model.encoder(inputs_embeds=model.embeddings(images)).last_hidden_state


def patches(model: InstructBlipVisionModel, images: Tensor) -> Tensor:
    """(B, 64, 128): normalised, as a Q-Former sees them, without the [CLS] token."""
    return F.layer_norm(encode(model, images.to(model.device))[:, 1:], (128,))


def heads() -> nn.ModuleDict:
    """One linear classifier per target and one for the position, thrown away after training."""
    classes = {**TARGETS, "position": GRID**2}
    return nn.ModuleDict({name: nn.Linear(128, count) for name, count in classes.items()})


@dataclass(frozen=True, slots=True)
class Phase:
    """A stretch of training with fresh classifiers and a fresh optimizer.

    Attributes:
        steps: how many are made; the learning rate falls as a cosine that would end after `cosine`.
        crowded: see `draw`.
    """

    steps: int
    cosine: int
    rate: float
    seed: int
    crowded: bool
    batch_size: int = 64


# the sparse scenes first: then crowded ones, which teach names some three times faster
PHASES = (
    Phase(900, 1600, 1e-3, 1, crowded=False),
    Phase(1400, 1400, 1.5e-3, 2, crowded=True),
    Phase(800, 800, 1.5e-3, 3, crowded=True),
)


class Drawn(Dataset[tuple[Tensor, dict[str, Tensor]]]):
    """A phase's steps: of each the pictures, (B, 3, 64, 64), and their targets. Pure in the step's number."""

    def __init__(self, phase: Phase) -> None:
        self.phase = phase

    def __len__(self) -> int:
        return self.phase.steps

    def __getitem__(self, step: int) -> tuple[Tensor, dict[str, Tensor]]:
        phase, first = self.phase, step * self.phase.batch_size
        scenes = [draw(phase.seed, first + i, phase.crowded) for i in range(phase.batch_size)]
        return pixels([render(scene) for scene in scenes]), targets(scenes)


def train(
    model: InstructBlipVisionModel, classify: nn.ModuleDict, phase: Phase, helpers: int = 0
) -> Iterator[tuple[int, float]]:
    """Trains both in place, on the device they are on; yields (step, loss).

    Args:
        helpers: processes that draw the scenes, 0 for this one.
    """
    parameters = [*model.parameters(), *classify.parameters()]
    optimizer = torch.optim.AdamW(parameters, lr=phase.rate, weight_decay=0.05, betas=(0.9, 0.98))
    model.train()
    drawn = DataLoader(Drawn(phase), batch_size=None, num_workers=helpers)
    for step, (images, wanted) in enumerate(drawn):
        for group in optimizer.param_groups:
            warm = min(1.0, (step + 1) / 100)
            fall = 0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * step / phase.cosine))
            group["lr"] = phase.rate * warm * fall
        seen = patches(model, images)
        named = {name: target.flatten().to(seen.device) for name, target in wanted.items()}
        losses = [
            F.cross_entropy(pooled(classify[name](seen)).flatten(0, 1), named[name]) for name in TARGETS
        ]
        where = torch.arange(GRID**2, device=seen.device).repeat(len(seen))
        losses.append(F.cross_entropy(classify["position"](seen).flatten(0, 1), where))
        loss = torch.stack(losses).sum()
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        yield step + 1, float(loss.detach())
    model.eval()


@torch.no_grad()
def examine(
    model: InstructBlipVisionModel, classify: nn.ModuleDict, seed: int, count: int = 512
) -> dict[str, float]:
    """Accuracy per target over the cells of fresh scenes that show something.

    ``position`` is over all patches, ``position_of_things`` over those of cells with a thing.
    """
    scenes = [draw(seed, i, crowded=False) for i in range(count)]
    wanted = targets(scenes)
    images = pixels([render(scene) for scene in scenes])
    seen = patches(model, images).cpu()
    classify = classify.cpu()
    place = classify["position"](seen).argmax(-1) == torch.arange(GRID**2)
    things = (wanted["concept"] < TARGETS["concept"] - 1)[:, cell_of_patches()]
    found = {"position": float(place.float().mean())}
    found["position_of_things"] = float(place[things].float().mean())
    for name in TARGETS:
        shown = wanted[name] < TARGETS[name] - 1
        guess = pooled(classify[name](seen)).argmax(-1)
        found[name] = float((guess == wanted[name])[shown].float().mean())
    return found

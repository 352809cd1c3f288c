"""Pictures' features and captions, which BLIP-2's two stages learn from."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from transformers import InstructBlipVisionModel

from workbench import code
from workbench.data.micro.language import in_words
from workbench.data.micro.render import render
from workbench.data.micro.scene import Scene
from workbench.data.sources import coco_caption, web_capfilt
from workbench.files import digest, replacing
from workbench.records import Example, Split
from workbench.train.vision import encode, pixels


@dataclass(frozen=True, slots=True)
class Pairs:
    """Pictures' features and what is said about them.

    Attributes:
        features: (N, 65, V) float16, before the post layer norm.
        examples: N captioning examples; their references are the captions.
        things: what can be said of the thing in each of a picture's nine cells, "" where there is none.
    """

    features: Tensor
    examples: tuple[Example, ...]
    things: tuple[tuple[str, ...], ...] = ()

    @property
    def blank(self) -> Tensor:
        """Pre-training never looks at an empty canvas."""
        raise AttributeError("pairs have no blank picture")

    def take(self, refs: Sequence[str]) -> Tensor:
        """(len(refs), 65, V) of the numbers that `numbered` wrote in place of image references."""
        return self.features[[int(ref) for ref in refs]].float()

    def numbered(self, index: int) -> Example:
        """Example `index`, its picture named by its number."""
        kept = self.examples[index]
        return Example(kept.dataset, kept.example_id, kept.image_id, (str(index),), kept.references)


@torch.no_grad()
def pairs(
    vision: InstructBlipVisionModel,
    web: int,
    coco: int,
    seed: int,
    split: Split = "train",
    kept: Path | None = None,
) -> Pairs:
    """The first `web` pictures of web_capfilt's twin and `coco` of coco_caption's, encoded once.

    Args:
        kept: folder for the features, so that the next training need not draw and encode again; they
            are found there by the encoder's weights and all that the pictures follow from, code included.
    """
    drawn = {"web": web, "coco": coco, "seed": seed, "split": split, "code": code.digest([__name__])}
    key = digest({**drawn, "vision": _weights_hash(vision)})
    path = kept / f"{key[:16]}.safetensors" if kept else None
    known = path is not None and path.is_file()
    examples: list[Example] = []
    features: list[Tensor] = []
    things: list[tuple[str, ...]] = []
    for module, count in ((web_capfilt, web), (coco_caption, coco)):
        source = module.micro(split, count, seed)
        while chunk := list(islice(source, 256)):
            examples += [example for example, _ in chunk]
            things += [_by_cell(frames[0]) for _, frames in chunk]
            if not known:
                images = pixels([render(frames[0]) for _, frames in chunk])
                features.append(encode(vision, images).half())
    if path is None:
        return Pairs(torch.cat(features), tuple(examples), tuple(things))
    if not known:
        with replacing(path) as temporary:
            save_file({"features": torch.cat(features)}, temporary)
    return Pairs(load_file(path)["features"], tuple(examples), tuple(things))


def _by_cell(scene: Scene) -> tuple[str, ...]:
    cells = {3 * thing.row + thing.column: in_words(thing) for thing in scene.objects}
    return tuple(cells.get(cell, "") for cell in range(9))


def _weights_hash(model: nn.Module) -> str:
    total = hashlib.sha256()
    for name, weight in sorted(model.state_dict().items()):
        total.update(name.encode())
        total.update(weight.contiguous().numpy().data)
    return total.hexdigest()


def pick_pairs(data: Pairs, seed: int, step: int, size: int) -> tuple[list[int], list[str]]:
    """`size` different pictures and a caption of each: a pure function of seed and step."""
    rng = np.random.default_rng([seed, step])
    indices = [int(i) for i in rng.choice(len(data.examples), size=size, replace=False)]
    spoken = [data.examples[i].references for i in indices]
    return indices, [lines[int(rng.integers(len(lines)))] for lines in spoken]

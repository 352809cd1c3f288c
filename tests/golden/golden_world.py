"""The first examples of every dataset: the first of all written out, the others as digests."""

from __future__ import annotations

import hashlib
import importlib
import json
from dataclasses import fields
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from workbench.config import Data
from workbench.data.catalog import BY_NAME, Entry
from workbench.data.micro.render import render
from workbench.records import Example, Split

SEED = Data().world_seed
COUNT = 9  # examples of each split: NoCaps' three domains thrice
DRAWN = 2  # of them have their pictures digested


def digests() -> dict[str, Any]:
    """Dataset -> its first test example, and of each split a digest of texts and one of pixels."""
    return {name: of_dataset(entry) for name, entry in BY_NAME.items()}


def of_dataset(entry: Entry) -> dict[str, Any]:
    source = importlib.import_module(f"workbench.data.sources.{entry.name}")
    splits: tuple[Split, ...] = ("train", "val", "test") if entry.held_in else ("val", "test")
    found: dict[str, Any] = {}
    for split in splits:
        items = list(islice(source.micro(split, COUNT, SEED), COUNT))
        texts = [as_json(example) for example, _ in items]
        shown = [pixels(frame) for _, frames in items[:DRAWN] for frame in frames]
        found |= {split: {"texts": digest(*map(str.encode, texts)), "pixels": digest(*shown)}}
        if split == "test":
            found["first"] = json.loads(texts[0])
    return found


def as_json(example: Example) -> str:
    """Every field of the example, always in the same words."""
    whole = {field.name: getattr(example, field.name) for field in fields(example)}
    whole["fields"] = dict(example.fields)
    return json.dumps(whole, sort_keys=True, ensure_ascii=False)


def pixels(frame: Any) -> bytes:
    """Size and RGB bytes of a scene or a PNG; the way a PNG is packed is no part of it."""
    image = Image.open(frame) if isinstance(frame, Path) else render(frame)
    array = np.asarray(image.convert("RGB"))
    return str(array.shape).encode() + array.tobytes()


def digest(*parts: bytes) -> str:
    """The parts in their order, each with its length."""
    total = hashlib.sha256()
    for part in parts:
        total.update(f"{len(part)}:".encode() + part)
    return total.hexdigest()[:16]

"""Extra questions to a tuned model, recorded: what no dataset of the catalogue asks.

    runs/<signature>/probes.parquet   a line for each question: answer, score, attention on its box
    runs/<signature>/record.json      as of every run; kind is "probe"

They go the way of an examination (`experiment.answers`): with the same features, collation and decoding.
"""

from __future__ import annotations

import hashlib
import math
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import asdict, dataclass, field, fields
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from filelock import FileLock
from PIL import Image
from torch import Tensor
from transformers import InstructBlipVisionModel

from workbench import files, tracking
from workbench.config import Config
from workbench.data.catalog import Entry
from workbench.data.collate import Collator, Features
from workbench.data.encoder import Encoder, Preprocessing, encode
from workbench.evaluate import metrics
from workbench.evaluate.ask import watching
from workbench.experiment import record
from workbench.experiment.answers import WEIGHTS, answers, load_weights, materials
from workbench.experiment.operations import Operations
from workbench.model.instructblip import InstructBlip
from workbench.records import ROWS, Example, Prediction, Row
from workbench.surroundings import home

PROBES = "probes.parquet"
EXAMPLE = tuple(one.name for one in fields(Example))
Box = tuple[float, float, float, float]


@dataclass(frozen=True, slots=True)
class Probe:
    """One question.

    Attributes:
        probe: what it is part of (``presence``); group: the kind within (``adversarial``).
        entry: how it is decoded and scored: a row of the catalogue, changed where need be.
        example: as a dataset's; example_id is unique among all probes of a study.
        instruction: what Q-Former and language model read.
        drawn: pictures that are in no archive, by their reference in `example.images`.
        box: left, top, right, bottom in [0, 1]: the share of the Q-Former's attention that falls into it is
            measured; None: it is not.
    """

    probe: str
    group: str
    entry: Entry
    example: Example
    instruction: str
    drawn: Mapping[str, Image.Image] = field(default_factory=dict)
    box: Box | None = None


@dataclass(frozen=True, slots=True)
class Drawn:
    """Features of drawn pictures, encoded when they are asked for, and of all others from the store."""

    store: Features
    preprocessing: Preprocessing
    encoder: InstructBlipVisionModel
    pictures: Mapping[str, Image.Image]

    @property
    def blank(self) -> Tensor:
        """(N, V) of the empty canvas."""
        return self.store.blank

    def take(self, refs: Sequence[str]) -> Tensor:
        """(len(refs), N, V) float32, through half precision as in the store."""
        drawn = [ref for ref in dict.fromkeys(refs) if ref in self.pictures]
        if not drawn:
            return self.store.take(refs)
        pixels = self.preprocessing.pixels([self.pictures[ref] for ref in drawn])
        made = dict(zip(drawn, encode(self.encoder, pixels).half().float(), strict=True))
        return torch.stack([made[ref] if ref in made else self.store.take([ref])[0] for ref in refs])


def probe(config: Config, row: Row, root: Path, tuned: Path | None, probes: Sequence[Probe]) -> Path:
    """The folder of the finished run: record.json and probes.parquet.

    Args:
        tuned: a folder with best.safetensors; None for the start itself.

    Raises:
        ValueError: for probes that are not unique, and for missing or damaged inputs.
    """
    config = record.as_asked(config, row)
    weights = None if tuned is None else tuned / WEIGHTS
    hashes = signed(config, row, root, probes)
    if weights is not None:
        hashes["weights"] = files.file_sha256(weights)
    folder = home(root) / "runs" / files.digest(hashes)
    folder.mkdir(parents=True, exist_ok=True)
    with FileLock(folder / ".lock"):
        current = {**hashes, "metrics": record.metrics_hash()}
        if (folder / record.RECORD).is_file() and record.Record.read(folder).hashes == current:
            return folder
        tags = {"stage": "probe", "row": row, "recipe": ROWS[row] or "", "suite": config.suite}
        tags |= {"seed": str(config.train.seed)} | {f"hash.{key}": value for key, value in current.items()}
        with tracking.run(
            home(root), config, name=f"probe {row}", signature=files.digest(current), tags=tags
        ) as track:
            frame, cost = _ask_all(config, root, weights, probes)
            with files.replacing(folder / PROBES) as temporary:
                frame.to_parquet(temporary)
            means = frame.groupby(["probe", "group"], sort=False)["score"].mean()
            named = zip(means.index.to_flat_index(), means.to_numpy(float), strict=True)
            track.metrics(0, {f"probe/{probe}/{group}": float(value) for (probe, group), value in named})
            record.Record(
                kind="probe",
                name=row,
                signature=folder.name,
                suite=config.suite,
                seed=config.train.seed,
                config=config.to_dict(),
                hashes=current,
                cost=cost,
                examples={str(name): int(n) for name, n in frame["probe"].value_counts().items()},
                result={"sha256": {PROBES: files.file_sha256(folder / PROBES)}},
            ).write(folder)
            track.artifact(folder / record.RECORD)
    return folder


def signed(config: Config, row: Row, root: Path, probes: Sequence[Probe]) -> dict[str, str]:
    """Hashes of everything the answers follow from, but for the weights."""
    config = record.as_asked(config, row)
    ids = [one.example.example_id for one in probes]
    if not ids or len(set(ids)) < len(ids):
        twice = next((name for name in ids if ids.count(name) > 1), "none at all")
        raise record.RunError(f"probes need ids of their own, but there is {twice}; correct probes.py")
    stored = {ref for one in probes for ref in one.example.images if ref not in one.drawn}
    settings = {"num_beams": config.evaluate.num_beams, "model": {**asdict(config.model), "start": None}}
    return {
        "row": row,
        "config": files.digest(settings),
        "start": record.folder_hash(record.start_folder(config, root)),
        "weights": "",
        "probes": _digest(probes),
        "pictures": _pictures(root, sorted(stored)),
        "encoder": files.digest(Encoder.open(record.encoder_folder(config, root)).identity),
        "code": record.code_hash("workbench.experiment.probe"),
    }


def _digest(probes: Sequence[Probe]) -> str:
    hasher = hashlib.sha256()
    for one in probes:
        told = {name: getattr(one.example, name) for name in EXAMPLE} | {"fields": dict(one.example.fields)}
        told |= {"entry": asdict(one.entry), "probe": one.probe, "group": one.group, "box": one.box}
        told |= {"instruction": one.instruction}
        hasher.update(files.canonical(told))
        for ref, picture in sorted(one.drawn.items()):
            hasher.update(f"{ref} {picture.size} {picture.mode}".encode() + picture.tobytes())
    return hasher.hexdigest()[:16]


def _pictures(root: Path, refs: Sequence[str]) -> str:
    """A hash of the content of pictures in the feature store."""
    path = root / "data/features/index.json"
    if not path.is_file():
        raise record.RunError(f"{path} does not exist; run the stage features first")
    index = files.read_json(path)
    if missing := [ref for ref in refs if ref not in index["refs"]]:
        raise record.RunError(f"{path} has no picture {missing[0]}; rerun the stage features")
    return files.digest({ref: index["keys"][index["refs"][ref]] for ref in refs})


def _ask_all(
    config: Config, root: Path, weights: Path | None, probes: Sequence[Probe]
) -> tuple[pd.DataFrame, record.Cost]:
    began, flops = time.perf_counter(), 0.0
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    model, collator = materials(config, root, device)
    if weights is not None:
        load_weights(weights, model.trainable())
    model.requires_grad_(False)
    pictures = {ref: picture for one in probes for ref, picture in one.drawn.items()}
    encoder = Encoder.open(record.encoder_folder(config, root))
    drawn = Drawn(collator.store, encoder.preprocessing, encoder.load(), pictures)
    collator = Collator(collator.tokenizers, drawn, collator.instruction_form)
    frames = []
    for _, block in groupby(probes, lambda one: (one.probe, one.group, one.entry, len(one.example.images))):
        said, masses, counted = _ask(config, model, collator, part := list(block))
        flops += counted
        frames.append(_frame(part, said, masses))
    cost = record.Cost(time.perf_counter() - began, flops, record.peak_memory())
    return pd.concat(frames, ignore_index=True), cost


def _ask(
    config: Config, model: InstructBlip, collator: Collator, block: Sequence[Probe]
) -> tuple[list[Prediction], list[float], float]:
    """Answers, attention masses (NaN without a box) and operations, counted on the first batch."""
    size, instructions = config.evaluate.batch_size, {o.example.example_id: o.instruction for o in block}
    said: list[Prediction] = []
    masses: list[float] = []
    flops = 0.0
    for start in range(0, len(block), size):
        part = block[start : start + size]
        boxed = any(one.box for one in part)
        counter: Any = Operations() if start == 0 else nullcontext()
        watched: Any = watching(model) if boxed else nullcontext([])
        with counter, watched as maps:
            said += answers(
                model,
                collator,
                part[0].entry,
                [one.example for one in part],
                lambda example: instructions[example.example_id],
                batch_size=size,
                num_beams=config.evaluate.num_beams,
            )
        if isinstance(counter, Operations):
            flops = counter.total * len(block) / len(part)
        masses += list(_masses(maps, part))
    return said, masses, flops


def _masses(maps: Sequence[Tensor], part: Sequence[Probe]) -> Iterator[float]:
    """Of each probe with a box the share of attention in it, the class token left aside; else NaN."""
    if not maps:
        yield from [math.nan] * len(part)
        return
    attention = torch.stack([weights.mean(dim=(1, 2)) for weights in maps]).mean(0)[:, 1:].numpy()
    for line, one in zip(attention, part, strict=True):
        yield math.nan if one.box is None else float(line @ coverage(one.box, len(line)) / line.sum())


def coverage(box: Box, tokens: int) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """(tokens,) how much of each square of the grid of vision tokens, row by row, lies in the box."""
    side = math.isqrt(tokens)
    edges = np.arange(side + 1) / side

    def along(low: float, high: float) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
        return np.clip(np.minimum(edges[1:], high) - np.maximum(edges[:-1], low), 0, None) * side

    left, top, right, bottom = box
    return np.outer(along(top, bottom), along(left, right)).ravel()


def _frame(block: Sequence[Probe], said: Sequence[Prediction], masses: Sequence[float]) -> pd.DataFrame:
    scored = metrics.score(block[0].entry.metric, said)
    return pd.DataFrame(
        {
            "probe": one.probe,
            "group": one.group,
            "example_id": one.example.example_id,
            "image_id": one.example.image_id,
            "instruction": one.instruction,
            "prediction": answered.text,
            "candidates": list(one.example.candidates),
            "candidate_scores": list(answered.candidate_scores),
            "references": list(one.example.references),
            "metric": scored.metric,
            "score": share,
            "attention": mass,
            "area": math.nan if one.box is None else (one.box[2] - one.box[0]) * (one.box[3] - one.box[1]),
        }
        for one, answered, share, mass in zip(block, said, scored.per_example, masses, strict=True)
    )

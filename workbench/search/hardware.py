"""`workbench plan --preset NAME --hardware KIND`: does it fit, how long does it take, how much to store."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import psutil

from workbench.config import Config
from workbench.data.catalog import CATALOG
from workbench.search.cost import LONGEST, Cost, Lengths, MicroBatch, architecture, count, micro_batch
from workbench.search.kernels import PRODUCTS, Work
from workbench.search.plan import rate, records

RESERVE = 0.1  # of a GPU's memory, for CUDA itself and what its allocator cannot use


@dataclass(frozen=True, slots=True)
class Hardware:
    """One device.

    Attributes:
        memory: bytes.
        rate: dense FLOPs per second at the peak in bf16, from the maker's data sheet; None for a
            processor, whose rate is that of the records in runs/.
        whole: the same in fp32, which pictures are encoded in.
        bandwidth: bytes per second of its memory.
        note: what has to be known before it is used.
    """

    memory: float
    rate: float | None
    whole: float = 0.0
    bandwidth: float = 0.0
    note: str = ""


HARDWARE = {
    "h200": Hardware(141e9, 989e12, 67e12, 4.8e12),
    "h100": Hardware(80e9, 989e12, 67e12, 3.35e12),
    "a100-40g": Hardware(40e9, 312e12, 19.5e12, 1.555e12),
    "a100-80g": Hardware(80e9, 312e12, 19.5e12, 2.039e12),
    "v100": Hardware(
        32e9, 15.7e12, 15.7e12, 0.9e12, "no bf16 units: counted at its rate in fp32; set train.precision=fp32"
    ),
    "cpu": Hardware(float(psutil.virtual_memory().total), None),
}
PAPER = "the paper       576 GPU-hours: 1.5 days on 16 A100-40G, the ViT in each step instead of a store"
# benchmarks/README.md: steps asked of a fit to the others, and one step in no fit
TRIED = "fitted to steps on one H200, where others took 0.9 to 1.5 times as long"
# what to try next where a model does not fit
LESS = {
    "fp32": "model.frozen_precision=bf16",
    "bf16": "model.frozen_precision=int8",
    "int8": "a smaller model",
}
# Pictures of the 26 datasets, about: those of COCO serve eleven of them; four frames of each clip.
PICTURES = {
    "web_capfilt": 14_000_000, "coco": 123_287, "ocrvqa": 207_572, "textcaps and textvqa": 28_408,
    "nocaps": 4_500, "flickr30k": 1_000, "vizwiz": 8_000, "gqa": 398, "iconqa": 6_316, "scienceqa": 2_017,
    "hatefulmemes": 1_040, "visdial": 2_064, "msvd_qa": 4 * 520, "msrvtt_qa": 4 * 2_990, "ivqa": 4 * 2_000,
}  # fmt: skip


def describe(
    config: Config,
    root: Path,
    preset: str,
    kind: str,
    gpus: int,
    lengths: Lengths,
    longest: Lengths = LONGEST,
    measured: float | None = None,
) -> list[str]:
    """The plan as lines of text.

    Args:
        lengths: of the mean example, which FLOPs are counted for.
        longest: of the examples that a batch may be full of, which memory is judged by.
        measured: seconds that a step of the whole batch took there, instead of what its operations say.

    Raises:
        ValueError: for hardware that is not in the table, a batch that does not divide among GPUs, or a
            step that takes no time.
    """
    if measured is not None and not measured > 0:
        raise ValueError(f"--step-seconds is what a step took, more than 0, not {measured}")
    if kind not in HARDWARE:
        raise ValueError(f"there is no hardware {kind!r}; choose one of {', '.join(HARDWARE)}")
    if config.train.batch_size % gpus:
        raise ValueError(f"train.batch_size {config.train.batch_size} does not divide among {gpus} GPUs")
    hardware = HARDWARE[kind]
    found = architecture(config, root, preset)
    cost = count(found, config, lengths)
    needs = functools.cache(partial(micro_batch, found, config, on_gpu=kind != "cpu"))
    share, asked = config.train.batch_size // gpus, config.train.accumulate_steps
    room = hardware.memory * (1 - RESERVE)
    parts = _parts(lambda rows: needs(rows, longest.within(found)).memory, room, share, asked)
    rows = max(1, share // (parts or asked))
    step = cost.example_flops * config.train.batch_size
    pace: tuple[float | None, str]
    if hardware.rate is not None and measured is None:
        peak = hardware.rate if config.train.precision == "bf16" else hardware.whole
        work = needs(rows, lengths).work
        pace = _counted(work, cost.example_flops * rows, peak, hardware.bandwidth)
        if parts not in (None, asked):
            pace = pace[0], f"with train.accumulate_steps={parts}, {pace[1]}"
    else:
        pace = _pace(step, root, gpus, measured)
    pictures, source = _pictures(config)
    lines = [
        "parameters      "
        + ", ".join(f"{name} {size / 1e6:,.1f} M" for name, size in cost.parameters.items())
        + f"; trained {cost.trained / 1e6:,.1f} M",
        f"FLOPs           {step / 1e12:,.3g} T a step of {config.train.batch_size} examples with "
        f"{lengths.prompt} tokens of instruction and {lengths.answer} of answer",
        *_memory(needs, config, hardware, gpus, parts, lengths, longest.within(found)),
        f"feature store   {pictures * cost.feature_bytes / 1e9:,.2f} GB for {pictures:,} pictures "
        f"({source}), {cost.feature_bytes / 1e3:,.0f} kB each",
        *_hours(cost, step, pictures, config, hardware, pace),
        *([PAPER] if preset.startswith("paper-") else []),
    ]
    return lines + ([f"note            {hardware.note}"] if hardware.note else [])


def _parts(memory: Callable[[int], float], room: float, share: int, asked: int) -> int | None:
    """How many micro-batches a GPU's share of the batch is cut into: as many as asked for, or the next more
    of which one fits, or None if not even a single example does.

    Args:
        memory: examples at once -> bytes; a count takes seconds, so it is asked for few numbers only.
        room: bytes.
    """
    most = max(1, share // asked)
    if memory(most) <= room:
        return asked
    if memory(1) > room:
        return None
    fitting = 1 + (room - memory(1)) / (memory(most) - memory(1)) * (most - 1)  # if all rows take the same
    cuts = [n for n in range(asked + 1, share + 1) if share % n == 0]
    place = next(i for i, n in enumerate(cuts) if share // n <= fitting)
    while memory(share // cuts[place]) > room:
        place += 1
    while place and memory(share // cuts[place - 1]) <= room:
        place -= 1
    return cuts[place]


def _memory(
    needs: Callable[[int, Lengths], MicroBatch],
    config: Config,
    hardware: Hardware,
    gpus: int,
    parts: int | None,
    mean: Lengths,
    longest: Lengths,
) -> list[str]:
    """Memory of each GPU, and what to change where a batch of the longest examples does not fit.

    Args:
        needs: examples at once and their lengths -> what they take.
        parts: into how many a GPU's share is cut to fit, None if nothing helps.
    """
    asked = config.train.accumulate_steps
    rows = max(1, config.train.batch_size // gpus // asked)
    said = (
        f"memory          {needs(rows, longest).memory / 1e9:,.2f} GB with {rows} examples at once on each "
        f"of {gpus}, all longest ({longest.prompt} and {longest.answer} tokens; mean ones "
        f"{needs(rows, mean).memory / 1e9:,.2f} GB): "
    )
    if parts == asked:
        return [f"{said}fits into {hardware.memory / 1e9:,.0f} GB"]
    large = f"does not fit into {hardware.memory / 1e9:,.0f} GB"
    if parts is not None:
        return [f"{said}{large}; train.accumulate_steps={parts} does"]
    less = LESS[config.model.frozen_precision]
    more = "" if config.train.gradient_checkpointing else "train.gradient_checkpointing=true, "
    alone = needs(1, longest).memory
    return [f"{said}{large} even one by one ({alone / 1e9:,.2f} GB); try {more}{less}"]


def _counted(work: Work, flops: float, peak: float, bandwidth: float) -> tuple[float, str]:
    """Seconds of a GPU for a FLOP of training, and how that is known.

    Args:
        flops: of the examples that the work is of.
        peak: FLOPs per second, of the precision that training has.
    """
    seconds = work.seconds(peak, bandwidth)
    share = flops / seconds / peak
    return seconds / flops, (
        f"{seconds:.3g} s for a micro-batch of mean examples, {share:.0%} of {peak / 1e12:,.3g} "
        f"TFLOP/s, by its operations' FLOPs and bytes; {TRIED}"
    )


def _pace(step: float, root: Path, gpus: int, measured: float | None) -> tuple[float | None, str]:
    """Seconds of one device for a FLOP, None where nothing tells, and how that is known."""
    if measured is not None:
        seconds = measured * gpus / step
        return seconds, f"at the {measured:g} s that a step took, {1 / seconds / 1e12:,.3g} TFLOP/s"
    known = rate(records(root), "tune")
    return known, f"at the rate of what runs/ holds, {1 / known / 1e9:,.0f} GFLOP/s" if known else ""


def _hours(
    cost: Cost,
    step: float,
    pictures: int,
    config: Config,
    hardware: Hardware,
    pace: tuple[float | None, str],
) -> list[str]:
    seconds, basis = pace
    if seconds is None:
        return ["hours           unknown: runs/ holds no training that would tell this machine's rate"]
    encoding = seconds
    if hardware.rate is not None:  # pictures are encoded in fp32, many at once
        encoding = 1 / (PRODUCTS * hardware.whole)
        basis += f", pictures at {PRODUCTS:.0%} of {hardware.whole / 1e12:,.3g} TFLOP/s in fp32"
    hours = {
        "training": step * config.train.steps * seconds,
        "features": pictures * cost.picture_flops * encoding,
    }
    if config.data.training_crop:
        hours["crops"] = config.train.batch_size * config.train.steps * cost.picture_flops * encoding
    said = ", ".join(f"{name} {taken / 3600:,.3g}" for name, taken in hours.items())
    unit = "hours    " if hardware.rate is None else "GPU-hours"
    return [f"{unit}       {said} ({basis}; reading pictures, validation and evaluation come on top)"]


def _pictures(config: Config) -> tuple[int, str]:
    if config.suite == "official":
        every = sum(PICTURES.values())
        return every, f"about; without Web CapFilt {every - PICTURES['web_capfilt']:,}"
    examined = 2 * config.data.eval_examples  # val and test
    shown = (entry.frames * (entry.micro_size * config.data.size_scale + examined) for entry in CATALOG)
    return math.ceil(sum(shown)), "at most"

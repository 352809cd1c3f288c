"""What the benchmarks share: a shipped start, a batch of random content, the clock."""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from torch import Tensor

from workbench.batch import Batch
from workbench.config import Model
from workbench.model.instructblip import InstructBlip
from workbench.records import Example

FIRST_ID = 5  # below lie special tokens


def arguments(about: str | None) -> argparse.ArgumentParser:
    """What every model benchmark can be told."""
    parser = argparse.ArgumentParser(description=about)
    parser.add_argument("--start", type=Path, default=Path("backbones/micro"))
    parser.add_argument("--family", choices=("t5", "llama"), default="t5")
    parser.add_argument("--rows", type=int, default=4, help="pictures with a question each")
    parser.add_argument("--prompt", type=int, default=24, help="tokens of a question")
    parser.add_argument("--repeats", type=int, default=3)
    return parser


def load(start: Path, family: str) -> InstructBlip:
    """The start's model with its own number of queries."""
    return InstructBlip.load(start / f"blip2-{family}", Model(language_model=family))  # type: ignore[arg-type]


def batch(
    model: InstructBlip, rows: int, prompt: int, answers: Sequence[int], candidates: Sequence[int] = ()
) -> Batch:
    """Random features and ids.

    Args:
        answers: target lengths, repeated over the rows.
        candidates: lengths of the candidates, the same number for every row; empty for a training batch.
    """
    draw = torch.Generator().manual_seed(0)
    words = model.hf.language_model.config.vocab_size
    width = model.hf.vision_model.config.hidden_size
    tokens = model.hf.vision_model.embeddings.num_positions

    def ids(lengths: list[int], vocabulary: int) -> tuple[Tensor, Tensor]:
        shape = (len(lengths), max(lengths))
        mask = (torch.arange(shape[1])[None] < torch.tensor(lengths)[:, None]).long()
        return torch.randint(FIRST_ID, vocabulary, shape, generator=draw) * mask, mask

    target = ids([answers[i % len(answers)] for i in range(rows)], words)
    ranked = ids([*candidates] * rows, words) if candidates else (None, None)
    names = tuple(f"candidate {i}" for i in range(len(candidates)))
    example = Example("vqav2", "0", "0", images=("x.png",), references=("x",), candidates=names)
    return Batch(
        torch.randn(rows, 1, tokens, width, generator=draw),
        *ids([prompt] * rows, model.hf.config.qformer_config.vocab_size),
        *ids([prompt] * rows, words),
        (example,) * rows,
        ("?",) * rows,
        *((None, None) if candidates else target),
        *ranked,
        torch.arange(rows).repeat_interleave(len(candidates)) if candidates else None,
    )


def told(given: argparse.Namespace) -> str:
    """What was measured, for the first line."""
    threads = torch.get_num_threads()
    return f"{given.family}, {given.rows} pictures, prompts of {given.prompt} tokens, {threads} threads"


def seconds_each(works: Sequence[Callable[[], object]], repeats: int) -> list[float]:
    """The mean CPU seconds of each work, after one run that warms up.

    The works take turns, so that a busy machine burdens all alike; a mean, because some machines count
    CPU time in ticks of milliseconds.
    """
    taken = [0.0] * len(works)
    for work in works:
        work()
    for _ in range(repeats):
        for i, work in enumerate(works):
            begun = time.process_time()
            work()
            taken[i] += time.process_time() - begun
    return [total / repeats for total in taken]


def seconds(work: Callable[[], object], repeats: int) -> float:
    """The median of some runs, after one that warms up."""
    work()
    taken = []
    for _ in range(repeats):
        begun = time.perf_counter()
        work()
        taken.append(time.perf_counter() - begun)
    return statistics.median(taken)

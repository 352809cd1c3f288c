"""`workbench plan --preset` against a short run: FLOPs, and memory as the operating system sees it grow.

Memory is compared where it is large: what the examples of a micro-batch add to a process that has made
a step with one example already. On a GPU it is what CUDA's allocator counts.
"""

from __future__ import annotations

import argparse
import resource
from pathlib import Path

import materials
import psutil
import torch
from torch.utils.flop_counter import FlopCounterMode
from transformers import AutoConfig

from workbench.batch import Batch
from workbench.config import Config, changed
from workbench.model.instructblip import InstructBlip
from workbench.search.cost import Lengths, count, micro_batch


def peak() -> int:
    """Bytes: the most this process has held."""
    if torch.cuda.is_available():
        return int(torch.cuda.max_memory_allocated())
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def held() -> int:
    """Bytes held now."""
    if torch.cuda.is_available():
        return int(torch.cuda.memory_allocated())
    return int(psutil.Process().memory_info().rss)


def step(model: InstructBlip, batch: Batch, precision: str) -> None:
    """Forward and backward."""
    with torch.autocast(model.device.type, torch.bfloat16, enabled=precision == "bf16"):
        loss = model(batch.to(model.device)).loss
    loss.backward()
    model.zero_grad(set_to_none=True)


def main() -> None:
    """Plans a step, makes it, and prints both."""
    parser = materials.arguments(__doc__)
    parser.set_defaults(rows=256)
    parser.add_argument("--answer", type=int, default=8, help="tokens of an answer")
    parser.add_argument("--precision", choices=("fp32", "bf16"), default="bf16")
    parser.add_argument("--checkpointing", action=argparse.BooleanOptionalAction, default=False)
    given = parser.parse_args()
    folder: Path = given.start / f"blip2-{given.family}"
    architecture = AutoConfig.from_pretrained(folder)
    settings = {"model.language_model": given.family, "train.precision": given.precision}
    settings |= {"model.num_query_tokens": architecture.num_query_tokens}
    config = changed(Config(), settings | {"train.gradient_checkpointing": given.checkpointing})
    on_gpu = torch.cuda.is_available()
    lengths = Lengths(given.prompt, given.answer)
    cost = count(architecture, config, lengths)
    alone, together = (
        micro_batch(architecture, config, rows, lengths, on_gpu).memory for rows in (1, given.rows)
    )
    model = InstructBlip.load(folder, config.model).to("cuda" if on_gpu else "cpu")
    model.prepare_training(given.precision, given.checkpointing)
    model.train()
    one, many = (materials.batch(model, rows, given.prompt, [given.answer]) for rows in (1, given.rows))
    step(model, one, given.precision)
    before = held()
    for _ in range(given.repeats):
        step(model, many, given.precision)
    grown, added = peak() - before, together - alone
    with FlopCounterMode(display=False) as counter:
        step(model, many, given.precision)
    flops, planned = counter.get_total_flops(), cost.example_flops * given.rows
    print(materials.told(given) + f", answers of {given.answer}, {given.precision}")
    print(f"FLOPs: planned {planned / 1e9:.3f} G, counted {flops / 1e9:.3f} G: {planned / flops:.2f}x")
    print(f"memory: planned {added / 1e6:.1f} MB, grown {grown / 1e6:.1f} MB: {added / grown:.2f}x")


if __name__ == "__main__":
    main()

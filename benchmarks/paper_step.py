"""Training steps of a preset in full size on this GPU, beside `workbench plan`: FLOPs, memory, time.

The weights are random, which changes nothing of what a step takes. A step is that of `workbench tune`
from features on: forward, backward and AdamW of one micro-batch.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import materials
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode
from transformers import InstructBlipConfig, InstructBlipForConditionalGeneration

from workbench import presets
from workbench.config import Config, changed
from workbench.model.instructblip import InstructBlip
from workbench.search.cost import Lengths, MicroBatch, count, micro_batch
from workbench.search.cost import architecture as architecture_of
from workbench.search.hardware import HARDWARE
from workbench.train.optimizer import adamw

WARM_UP = 2  # steps before the clock runs: CUDA's libraries choose their kernels, Adam makes its moments


def arguments() -> argparse.Namespace:
    """What the command line says."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--preset", default="paper-flant5xl")
    parser.add_argument("--hardware", default="h200", help="whose rates the plan is made with")
    parser.add_argument("--rows", type=int, help="examples at once; the preset's batch without")
    parser.add_argument("--lengths", type=int, nargs=2, default=(32, 16), metavar=("PROMPT", "ANSWER"))
    parser.add_argument("--checkpointing", action=argparse.BooleanOptionalAction, default=False)
    parser.add_argument("--repeats", type=int, default=5)
    return parser.parse_args()


def random_model(architecture: InstructBlipConfig, config: Config, device: torch.device) -> InstructBlip:
    """The preset's model with transformers' initial weights, drawn on the device."""
    with device:
        hf = InstructBlipForConditionalGeneration(architecture)
        language: Any = hf.language_model
        if getattr(language.config, "scale_decoder_outputs", True) is False:  # FLAN-T5's own output layer
            language.lm_head.weight = nn.Parameter(torch.randn_like(language.lm_head.weight) * 0.02)
    model = InstructBlip(hf, config.model, Path())
    model.prepare_training(config.train.precision, config.train.gradient_checkpointing)
    return model.train()


def main() -> None:
    """Makes the steps and prints what was planned and what was found."""
    given = arguments()
    config = presets.read(Path.cwd(), given.preset)
    config = changed(config, {"train.gradient_checkpointing": given.checkpointing})
    rows, lengths = given.rows or config.train.batch_size, Lengths(*given.lengths)
    architecture = architecture_of(config, Path.cwd(), given.preset)
    planned, needed = count(architecture, config, lengths), micro_batch(architecture, config, rows, lengths)
    device = torch.device("cuda")
    model = random_model(architecture, config, device)
    batch = materials.batch(model, rows, lengths.prompt, [lengths.answer]).to(device)
    optimizer = adamw(model.trainable(), replace(config.train, learning_rate=1e-9))

    def step() -> None:
        with torch.autocast("cuda", torch.bfloat16, enabled=config.train.precision == "bf16"):
            out = model(batch)
        out.loss.backward()
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)

    torch.cuda.empty_cache()
    for _ in range(WARM_UP):
        step()
    torch.cuda.reset_peak_memory_stats()
    torch.cuda.synchronize()
    started = time.perf_counter()
    for _ in range(given.repeats):
        step()
    torch.cuda.synchronize()
    seconds = (time.perf_counter() - started) / given.repeats
    held = torch.cuda.max_memory_allocated()
    with FlopCounterMode(display=False) as counter:
        step()
    report(given, config, planned.example_flops * rows, counter.get_total_flops(), needed, held, seconds)


def report(
    given: argparse.Namespace,
    config: Config,
    planned: float,
    counted: float,
    needed: MicroBatch,
    held: float,
    seconds: float,
) -> None:
    """Prints them side by side, with ratios."""
    rows = given.rows or config.train.batch_size
    hardware = HARDWARE[given.hardware]
    peak = hardware.rate
    assert peak is not None, "a GPU"
    steps = config.train.steps * config.train.batch_size / rows
    hours = seconds * steps / 3600
    expected = needed.work.seconds(peak, hardware.bandwidth) * steps / 3600
    print(
        f"{given.preset} on {torch.cuda.get_device_name()}: {rows} examples of {given.lengths[0]} + "
        f"{given.lengths[1]} tokens" + (", checkpointing" if given.checkpointing else "")
    )
    work, need = (planned / 1e12, counted / 1e12), needed.memory
    print(f"  FLOPs    planned {work[0]:.2f} T, counted {work[1]:.2f} T: {planned / counted:.2f}x")
    print(f"  memory   planned {need / 1e9:.2f} GB, held {held / 1e9:.2f} GB: {need / held:.2f}x")
    print(
        f"  time     {seconds:.3f} s, {rows / seconds:.1f} examples/s, "
        f"{planned / seconds / peak:.1%} of {peak / 1e12:.0f} TFLOP/s"
    )
    print(f"  training planned {expected:.2f} GPU-hours, at this pace {hours:.2f}: {expected / hours:.2f}x")
    print(f"  a step of the whole batch: --step-seconds {seconds * config.train.batch_size / rows:.3g}")


if __name__ == "__main__":
    main()

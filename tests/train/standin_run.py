"""Trains the stand-in in a process of its own: `standin_run.py FOLDER STEPS EVERY [PAUSE]`.

Goes on from FOLDER's checkpoint if there is one, appends a line of exact numbers per step to
FOLDER/curve.txt, and writes the final weights, of the main process, to FOLDER/final.safetensors.
"""

import random
import sys
import time
from functools import partial
from pathlib import Path

import numpy as np
import torch
from accelerate import Accelerator
from safetensors.torch import save_file
from standin import Standin, batches

from workbench.config import Train
from workbench.train.checkpoint import Progress, load, save
from workbench.train.loop import train
from workbench.train.optimizer import adamw
from workbench.train.schedule import learning_rate


def main(folder: Path, steps: int, every: int, pause: float, dropout: float) -> None:
    torch.set_num_threads(1)
    accelerator = Accelerator(cpu=True)
    config = Train(steps=steps, warmup_steps=5, learning_rate=1e-2)
    model = Standin(dropout)
    optimizer = adamw(model.trainable(), config)
    random.seed(3), np.random.seed(3), torch.manual_seed(3)
    progress = load(folder, model.trainable(), optimizer, "a") or Progress("a", 0)
    curve = folder / "curve.txt"
    lines = curve.read_text().splitlines()[: progress.step] if curve.exists() else []
    curve.write_text("".join(line + "\n" for line in lines))
    schedule = partial(learning_rate, config=config)
    feed = batches(rank=accelerator.process_index, world=accelerator.num_processes)
    loop = train(
        model, optimizer, schedule, feed, accelerator,
        precision="fp32", seed=1, start_step=progress.step, steps=steps,
    )  # fmt: skip
    for step, m in loop:
        if not accelerator.is_main_process:
            continue
        drawn = (random.random(), np.random.random(), torch.rand(1).item())
        with curve.open("a") as lines_out:
            lines_out.write(f"{step} {m['loss'].hex()} {m['grad_norm'].hex()} {m['tokens']} {drawn}\n")
        if step % every == 0:
            save(folder, model.trainable(), optimizer, Progress("a", step, m["loss"], step))
        time.sleep(pause)
    if accelerator.is_main_process:
        save_file(model.state_dict(), folder / "final.safetensors")
    accelerator.end_training()


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), *map(float, sys.argv[4:6]))

"""What the frozen backbone stages share: the device, half precision on disk, cost and figures beside it."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from pathlib import Path

import torch
from transformers import PreTrainedModel

from workbench.files import write_json

FIGURES = "figures.json"


def device() -> torch.device:
    """A GPU where there is one. Data and first weights are drawn on the CPU, so they are the same on both."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def helpers() -> int:
    """Processes that draw texts and scenes beside a training: one, or enough to keep a GPU busy."""
    return max(1, min(8, (os.cpu_count() or 1) - 1)) if torch.cuda.is_available() else 1


class Clock:
    """Wall and processor seconds since it was made."""

    def __init__(self) -> None:
        self._wall, self._cpu = time.perf_counter(), time.process_time()

    def cost(self) -> dict[str, float]:
        """Both, rounded to whole seconds."""
        wall, cpu = time.perf_counter() - self._wall, time.process_time() - self._cpu
        return {"wall_seconds": round(wall), "cpu_seconds": round(cpu)}


def finish(
    folder: Path, model: PreTrainedModel, clock: Clock, seed: int, steps: int, figures: Mapping[str, float]
) -> None:
    """Saves the model in half precision with figures.json: what it cost, its seed, what it can do."""
    count = sum(parameter.numel() for parameter in model.parameters())
    model.half().save_pretrained(folder)
    rounded = {name: round(value, 4) for name, value in figures.items()}
    write_json(
        folder / FIGURES, {"seed": seed, "steps": steps, "parameters": count, **clock.cost(), **rounded}
    )

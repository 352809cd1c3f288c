"""What the frozen backbone stages share: half precision on disk, cost and figures beside the weights."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path

from transformers import PreTrainedModel

from workbench.files import write_json

FIGURES = "figures.json"


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

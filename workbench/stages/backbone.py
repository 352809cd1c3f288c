"""What the frozen backbone stages share: device, MLflow run, half precision on disk, cost and figures."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

import torch
from transformers import PreTrainedModel

from workbench import code, tracking
from workbench.config import Config
from workbench.files import digest, read_json, write_json
from workbench.surroundings import home

FIGURES = "figures.json"
Losses = TypeVar("Losses", float, dict[str, float])


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


@contextmanager
def recorded(config: Config, root: Path, module: str, part: str, seed: int) -> Iterator[tracking.Track]:
    """One MLflow run for the training of a part; a run that was killed is gone on with.

    Args:
        module: the stage's, whose code the result follows from.
    """
    signature = digest({"part": part, "seed": seed, "code": code.digest([module])})
    tags = {"stage": module.rpartition(".")[2], "suite": "micro", "seed": str(seed)}
    with tracking.run(home(root), config, name=f"train {part}", signature=signature, tags=tags) as track:
        yield track


def curve(
    track: tracking.Track, phase: Iterable[tuple[int, Losses]], before: int = 0
) -> Iterator[tuple[int, Losses]]:
    """Passes on (step, loss) of a phase and records it; the part's earlier phases had `before` steps."""
    for step, loss in phase:
        track.metrics(before + step, loss if isinstance(loss, dict) else {"loss": loss})
        yield step, loss


def conclude(track: tracking.Track, folder: Path, steps: int) -> None:
    """Records the figures of the finished part: as one more point, and as a file."""
    figures = read_json(folder / FIGURES)
    named = {name.replace("@", " at "): float(value) for name, value in figures.items()}  # MLflow takes no @
    track.metrics(steps + 1, named)
    track.artifact(folder / FIGURES)


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

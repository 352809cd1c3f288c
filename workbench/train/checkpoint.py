"""One file that holds all a run needs to go on: trainable parameters, optimizer, step, random state.

A safetensors file whose header carries the rest as JSON; nothing is ever pickled. It is replaced whole
by one rename, so a kill at any moment leaves either the old checkpoint or the new one.
"""

from __future__ import annotations

import json
import random
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor
from torch.nn import Parameter
from torch.optim import Optimizer

from workbench.files import replacing

FILE = "state.safetensors"


class CheckpointError(ValueError):
    """A checkpoint cannot be written, is damaged, or belongs to another configuration."""


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a run is.

    Attributes:
        signature: of the run: resolved config, data and code.
        step: finished updates.
        best_score, best_step: of the best validation so far; None before the first.
    """

    signature: str
    step: int
    best_score: float | None = None
    best_step: int | None = None


def save(folder: Path, parameters: Mapping[str, Parameter], optimizer: Optimizer, progress: Progress) -> None:
    """Replaces the checkpoint in the folder; one process at a time may do so.

    Raises:
        CheckpointError: when the disk refuses (it is full, for one); the old checkpoint stays.
    """
    tensors = {f"parameter/{name}": p.detach().contiguous() for name, p in parameters.items()}
    for name, parameter in parameters.items():
        for key, value in optimizer.state[parameter].items():
            tensors[f"optimizer/{key}/{name}"] = value.contiguous()
    random_state, random_tensors = _random_state()
    header = {"progress": asdict(progress), "random": random_state}
    for pattern in (f".{FILE}.*", ".tmp??????"):  # safetensors, too, writes beside its target first
        for left_by_a_kill in folder.glob(pattern):
            left_by_a_kill.unlink()
    try:
        with replacing(folder / FILE) as temporary:
            save_file(tensors | random_tensors, temporary, {"workbench": json.dumps(header, allow_nan=False)})
    except (OSError, SafetensorError) as error:
        raise CheckpointError(
            f"the checkpoint of step {progress.step} could not be written to {folder / FILE} ({error}); the "
            "one before stays valid: make room or mend the permissions, then rerun to resume from it"
        ) from error


def load(
    folder: Path, parameters: Mapping[str, Parameter], optimizer: Optimizer, signature: str
) -> Progress | None:
    """Restores parameters, optimizer and random state in place; None when the folder has no checkpoint.

    Raises:
        CheckpointError: for a damaged file, another signature, or other parameters.
    """
    path = folder / FILE
    if not path.is_file():
        return None
    header, tensors = _read(path)
    progress = Progress(**header["progress"])
    if progress.signature != signature:
        raise CheckpointError(
            f"{path} belongs to run {progress.signature}, not to {signature}: its configuration, data or "
            "code differ; move it away to train from the start"
        )
    _restore(path, parameters, tensors)
    for name, parameter in parameters.items():
        optimizer.state[parameter] = {
            # Adam counts steps on the CPU, its moments lie with the parameter
            key: value.to(parameter.device) if value.ndim else value.clone()
            for key, value in _below(tensors, "optimizer/", "/" + name).items()
        }
    _set_random_state(header["random"], _below(tensors, "random/"))
    return progress


def _read(path: Path) -> tuple[dict[str, Any], dict[str, Tensor]]:
    try:
        with safe_open(path, "pt") as opened:
            header = json.loads((opened.metadata() or {})["workbench"])
            return header, {name: opened.get_tensor(name) for name in sorted(opened.keys())}
    except (SafetensorError, OSError, KeyError, json.JSONDecodeError) as error:
        raise CheckpointError(
            f"{path} is damaged or not a checkpoint ({error}); delete it to train from the start"
        ) from error


def _restore(path: Path, parameters: Mapping[str, Parameter], tensors: Mapping[str, Tensor]) -> None:
    saved = _below(tensors, "parameter/")
    shapes = {name: tuple(p.shape) for name, p in parameters.items()}
    if differing := sorted({(n, tuple(t.shape)) for n, t in saved.items()} ^ set(shapes.items())):
        raise CheckpointError(
            f"{path} holds other trainable parameters than the model, {differing[0][0]} for one; "
            "load it with the model section it was trained with"
        )
    with torch.no_grad():
        for name, parameter in parameters.items():
            parameter.copy_(saved[name])


def _below(tensors: Mapping[str, Tensor], prefix: str, suffix: str = "") -> dict[str, Tensor]:
    return {
        name.removeprefix(prefix).removesuffix(suffix): tensor
        for name, tensor in tensors.items()
        if name.startswith(prefix) and name.endswith(suffix)
    }


def _random_state() -> tuple[dict[str, Any], dict[str, Tensor]]:
    """States of Python, NumPy and PyTorch: what is text, and what is tensors."""
    legacy: Any = np.random.get_state(legacy=False)
    numpy = legacy | {"state": {"pos": legacy["state"]["pos"]}}
    tensors = {
        "random/numpy": torch.from_numpy(legacy["state"]["key"].astype(np.int64)),
        "random/torch": torch.get_rng_state(),
    }
    if torch.cuda.is_available():
        tensors["random/cuda"] = torch.cuda.get_rng_state()
    return {"python": random.getstate(), "numpy": numpy}, tensors


def _set_random_state(state: dict[str, Any], tensors: Mapping[str, Tensor]) -> None:
    version, internal, gauss = state["python"]
    random.setstate((version, tuple(internal), gauss))
    key = tensors["numpy"].numpy().astype(np.uint32)
    np.random.set_state(state["numpy"] | {"state": {"key": key, "pos": state["numpy"]["state"]["pos"]}})
    torch.set_rng_state(tensors["torch"])
    if torch.cuda.is_available() and "cuda" in tensors:
        torch.cuda.set_rng_state(tensors["cuda"])

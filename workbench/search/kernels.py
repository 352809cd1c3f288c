"""How long a GPU takes for a training step, from what each of its operations computes and moves.

An operation takes as long as its FLOPs or its bytes need, whichever is longer (Williams et al. 2009,
"Roofline"); a step takes as long as all of them, or as the processor needs to start them one by one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

_ATEN: Any = torch.ops.aten
# a CPU's fused attention, which runs where the plan counts, has no formula of its own; a GPU's has
FORMULAS = {
    **flop_registry,
    _ATEN._scaled_dot_product_flash_attention_for_cpu: flop_registry[
        _ATEN._scaled_dot_product_flash_attention
    ],
    _ATEN._scaled_dot_product_flash_attention_for_cpu_backward: flop_registry[
        _ATEN._scaled_dot_product_flash_attention_backward
    ],
}
# Fitted to steps in full size on one H200 (benchmarks/README.md): of the peak rate, what matrix products
# reach; of the memory's bandwidth, what operations reach; seconds of the processor for each operation.
PRODUCTS, BANDWIDTH, START = 0.55, 0.75, 27e-6


@dataclass(frozen=True, slots=True)
class Work:
    """What the operations of a step do, those apart that only look at a tensor in another way.

    Attributes:
        flops: of each operation, an addition and a multiplication being two.
        moved: bytes that each reads and writes.
    """

    flops: tuple[float, ...]
    moved: tuple[float, ...]

    def seconds(self, rate: float, bandwidth: float) -> float:
        """Seconds on a GPU.

        Args:
            rate: FLOPs per second at the peak.
            bandwidth: bytes per second of its memory.
        """
        each = zip(self.flops, self.moved, strict=True)
        busy = sum(max(f / (PRODUCTS * rate), b / (BANDWIDTH * bandwidth)) for f, b in each)
        return max(busy, START * len(self.flops))


class Kernels(TorchDispatchMode):
    """Writes down the operations in its block."""

    def __init__(self) -> None:
        super().__init__()
        self._flops: list[float] = []
        self._moved: list[float] = []

    @property
    def work(self) -> Work:
        """What was seen so far."""
        return Work(tuple(self._flops), tuple(self._moved))

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Runs the operation and adds it, unless nothing is computed."""
        given = kwargs or {}
        out = func(*args, **given)
        made = tensors(out)
        if made and not func._schema.name.startswith(("aten::empty", "aten::new_empty")):
            read = tensors((args, given))
            known = {_storage(tensor) for tensor in read}
            if func._schema.is_mutable or any(_storage(tensor) not in known for tensor in made):
                formula = FORMULAS.get(func._overloadpacket)
                self._flops.append(float(formula(*args, **given, out_val=out)) if formula else 0.0)
                self._moved.append(float(sum(_bytes(tensor) for tensor in (*read, *made))))
        return out


def tensors(tree: Any) -> list[Tensor]:
    """Those in lists, tuples and dicts in each other; a step asks often, and torch's pytree takes long."""
    found, waiting = list[Tensor](), [tree]
    while waiting:
        part = waiting.pop()
        if isinstance(part, Tensor):
            found.append(part)
        elif isinstance(part, list | tuple):
            waiting += part
        elif isinstance(part, dict):
            waiting += part.values()
    return found


def _storage(tensor: Tensor) -> int:
    return int(tensor.untyped_storage()._cdata)


def _bytes(tensor: Tensor) -> int:
    """What is read of it: an expanded one has fewer bytes than elements."""
    return min(tensor.numel() * tensor.element_size(), tensor.untyped_storage().nbytes())

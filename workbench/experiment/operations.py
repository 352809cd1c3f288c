"""Floating-point operations of what really runs, by torch's own formulas."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

from workbench.batch import Batch
from workbench.model.instructblip import InstructBlip


class Operations(TorchDispatchMode):
    """Adds up the operations in its block.

    It finds what torch's `FlopCounterMode` finds, in a fraction of the time: it keeps no account by module.

    Attributes:
        total: floating-point operations, an addition and a multiplication being two.
    """

    def __init__(self) -> None:
        super().__init__()
        self.total = 0

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Runs the operation and counts it where torch has a formula; others are no products of matrices."""
        given = kwargs or {}
        out = func(*args, **given)
        if formula := flop_registry.get(func._overloadpacket):
            self.total += formula(*args, **given, out_val=out)
        return out


def step_flops(model: InstructBlip, batches: Callable[[int], Iterator[Batch]]) -> float:
    """Floating-point operations of one update, counted on the first; later batches differ in length."""
    model.train()
    with Operations() as counter:
        for batch in batches(0):
            model(batch.to(model.device)).loss.backward()
    model.zero_grad(set_to_none=True)
    return float(counter.total)

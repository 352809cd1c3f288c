"""Floating-point operations of what really runs, by torch's own formulas."""

from __future__ import annotations

from typing import Any

from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry


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

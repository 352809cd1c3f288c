"""The three constants of `workbench plan`'s seconds (workbench/search/kernels.py), fitted to measured steps.

    python benchmarks/step_seconds.py   # those of one H200; measure your own with benchmarks/paper_step.py

Prints the constants and, for each step, planned over measured time: fitted to all, fitted to the others
alone, and with the constants in the code. Only steps with `fit` are fitted to.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.optimize import minimize

from workbench import presets
from workbench.config import changed
from workbench.search.cost import Lengths, architecture, micro_batch
from workbench.search.hardware import HARDWARE
from workbench.search.kernels import BANDWIDTH, PRODUCTS, START


@dataclass(frozen=True, slots=True)
class Step:
    """A step as `paper_step.py` measures it: what was done, and the seconds that it took."""

    preset: str
    rows: int
    lengths: Lengths
    seconds: float
    checkpointing: bool = False
    fit: bool = True


KIND = "h200"
MEAN, LONG = Lengths(32, 16), Lengths(128, 256)
STEPS = (
    Step("paper-flant5xl", 192, MEAN, 0.383),
    Step("paper-flant5xl", 16, LONG, 0.278),
    Step("paper-flant5xxl", 64, MEAN, 0.311),
    Step("paper-vicuna7b", 128, MEAN, 0.736),
    Step("paper-vicuna7b", 16, LONG, 0.857, checkpointing=True, fit=False),
    Step("paper-vicuna13b", 64, MEAN, 0.641),
)
BEGIN = [
    (products, bandwidth, start)
    for products in (0.5, 0.7)
    for bandwidth in (0.6, 0.9)
    for start in (2e-5, 3e-5)
]


class Counted:
    """A step's operations, and its time as `Work.seconds` has it, with any constants."""

    def __init__(self, step: Step) -> None:
        config = changed(
            presets.read(Path.cwd(), step.preset), {"train.gradient_checkpointing": step.checkpointing}
        )
        found = architecture(config, Path.cwd(), step.preset)
        work = micro_batch(found, config, step.rows, step.lengths).work
        self.step, self._flops, self._moved = step, np.array(work.flops), np.array(work.moved)

    def ratio(self, constants: np.ndarray) -> float:
        """Planned over measured."""
        products, bandwidth, start = constants
        rate, hardware = HARDWARE[KIND].rate, HARDWARE[KIND]
        assert rate is not None, "a GPU"
        busy = np.maximum(
            self._flops / (products * rate), self._moved / (bandwidth * hardware.bandwidth)
        ).sum()
        return float(max(busy, start * len(self._flops)) / self.step.seconds)


def fitted(steps: list[Counted]) -> np.ndarray:
    """The constants with the least squared logarithms of the ratios."""

    def loss(logarithms: np.ndarray) -> float:
        return sum(np.log(step.ratio(np.exp(logarithms))) ** 2 for step in steps)

    found = [
        minimize(loss, np.log(begin), method="Nelder-Mead", options={"maxiter": 2000}) for begin in BEGIN
    ]
    return np.exp(min(found, key=lambda one: one.fun).x)


def main() -> None:
    """Counts, fits and prints."""
    every = [Counted(step) for step in STEPS]
    used = [one for one in every if one.step.fit]
    best = fitted(used)
    print("products {:.3f} of the rate, bandwidth {:.3f}, start {:.1f} us".format(*best[:2], best[2] * 1e6))
    for one in every:
        others = fitted([other for other in used if other is not one]) if one.step.fit else best
        code = one.ratio(np.array((PRODUCTS, BANDWIDTH, START)))
        print(
            f"{one.step.preset}, {one.step.rows} x {one.step.lengths.prompt} + {one.step.lengths.answer}: "
            f"{one.ratio(best):.2f} fitted, {one.ratio(others):.2f} left out, {code:.2f} in the code"
        )


if __name__ == "__main__":
    main()

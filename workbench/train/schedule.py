"""Linear warm-up, then a cosine to zero, both per step (paper section 2.6; LAVIS does it per epoch)."""

from __future__ import annotations

import math

from workbench.config import Train


def learning_rate(step: int, config: Train) -> float:
    """The rate of the update that follows `step` finished ones.

    It starts at warmup_start_rate, reaches the peak after warmup_steps updates and would be 0 after
    the last of config.steps.
    """
    peak, start, warmup = config.learning_rate, config.warmup_start_rate, config.warmup_steps
    if step < warmup:
        return start + (peak - start) * step / warmup
    progress = (step - warmup) / max(1, config.steps - warmup)
    return peak * 0.5 * (1 + math.cos(math.pi * min(1.0, progress)))

"""AdamW as LAVIS sets it up: weight decay on matrices, none on biases and norms."""

from __future__ import annotations

from collections.abc import Mapping

from torch.nn import Parameter
from torch.optim import AdamW

from workbench.config import Train


def adamw(parameters: Mapping[str, Parameter], config: Train) -> AdamW:
    """The optimizer of the paper (section 2.6): betas .9 and .999, weight decay .05.

    1-D parameters and those whose name ends in ``.bias`` are not decayed (LAVIS blip2.py:105-148).
    The learning rate is set before every step by `train`, from the schedule.

    Raises:
        ValueError: when nothing is trainable.
    """
    if not parameters:
        raise ValueError("the model has no trainable parameters; switch a part of it on")
    decayed = [p for name, p in parameters.items() if p.ndim > 1 and not name.endswith(".bias")]
    others = [p for name, p in parameters.items() if p.ndim <= 1 or name.endswith(".bias")]
    groups = [
        {"params": decayed, "weight_decay": config.weight_decay},
        {"params": others, "weight_decay": 0.0},
    ]
    return AdamW([g for g in groups if g["params"]], lr=config.learning_rate, betas=config.betas)

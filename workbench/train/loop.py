"""The training loop: one for every recipe, precision and number of processes."""

from __future__ import annotations

import math
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Literal, Protocol, TypedDict

import numpy as np
import torch
from accelerate import Accelerator
from torch import Tensor
from torch.nn import Module, Parameter
from torch.optim import Optimizer

from workbench.batch import Batch
from workbench.records import Example


class LossSum(Protocol):
    """What a model's forward returns: summed negative log-likelihood (nats) and its token count."""

    @property
    def loss(self) -> Tensor: ...
    @property
    def tokens(self) -> Tensor: ...


class Metrics(TypedDict):
    """Of one update: loss in nats per target token over the global batch; the rate it was made with;
    target tokens and examples per second over all processes; L2 norm of the gradient; and how many
    examples of each dataset this process drew."""

    loss: float
    learning_rate: float
    tokens: int
    examples_per_second: float
    grad_norm: float
    datasets: dict[str, int]


class TrainingDiverged(RuntimeError):
    """The loss or its gradient is not finite; the weights are those of the last good step."""


def train(
    model: Module,
    optimizer: Optimizer,
    schedule: Callable[[int], float],
    batches: Callable[[int], Iterable[Batch]],
    accelerator: Accelerator,
    *,
    precision: Literal["fp32", "bf16"],
    seed: int,
    start_step: int,
    steps: int,
) -> Iterator[tuple[int, Metrics]]:
    """Makes updates start_step + 1 to steps; after each yields its number and metrics.

    The loss is per target token over the global batch: what all micro-batches and processes sum is
    divided once by all their tokens. Processes share sums only, the model is not wrapped; the same
    parameters must get gradients in all of them.

    Args:
        model: on accelerator.device; called with a Batch, returns a LossSum.
        schedule, batches: number of finished updates -> learning rate, and this process's
            micro-batches, of the next.
        accelerator: knows the device and the processes. It has no say in the precision, which accelerate
            fixes once per Python process, while a study's arms may differ in it, nor in accumulation.
        seed: of dropout, redrawn for every step and process, so that a step needs no history.

    Raises TrainingDiverged, naming step, datasets and examples, before the weights are touched.
    """
    parameters = [p for group in optimizer.param_groups for p in group["params"]]
    autocast = torch.autocast(accelerator.device.type, torch.bfloat16, enabled=precision == "bf16")
    for step in range(start_step, steps):
        started, parts = time.perf_counter(), []
        model.train()  # whoever consumed the last step may have evaluated
        torch.manual_seed(step_seed(seed, step, accelerator.process_index))
        for group in optimizer.param_groups:
            group["lr"] = schedule(step)
        for batch in batches(step):
            with autocast:
                out: LossSum = model(batch.to(accelerator.device))
            out.loss.backward()  # accelerate's own would scale it as the user's environment says
            parts.append((torch.stack([out.loss.detach().float(), out.tokens.float()]), batch.examples))
        examples = [example for _, part in parts for example in part]
        share = torch.stack([sums for sums, _ in parts]).sum(0)
        counted = torch.cat([share, share.new_tensor([len(examples)])])
        loss, tokens, count = accelerator.reduce(counted, "sum").tolist()
        norm = average_gradients(parameters, tokens, accelerator)
        refuse_divergence(step + 1, loss, norm, parts)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        yield (
            step + 1,
            Metrics(
                loss=loss / tokens,
                learning_rate=schedule(step),
                tokens=int(tokens),
                examples_per_second=count / (time.perf_counter() - started),
                grad_norm=norm,
                datasets=dict(Counter(example.dataset for example in examples)),
            ),
        )


def step_seed(seed: int, step: int, process: int) -> int:
    """64 random bits for one step of one process."""
    return int(np.random.SeedSequence([seed % 2**64, step, process]).generate_state(1, np.uint64)[0])


def average_gradients(parameters: Sequence[Parameter], tokens: float, accelerator: Accelerator) -> float:
    """Sums the gradients over processes, divides them by the tokens, and returns their L2 norm."""
    gradients = []
    for parameter in parameters:
        if parameter.grad is not None:
            parameter.grad = accelerator.reduce(parameter.grad, "sum").div_(tokens)
            gradients.append(parameter.grad)
    return float(torch.nn.utils.get_total_norm(gradients))


def refuse_divergence(
    step: int, loss: float, norm: float, parts: Sequence[tuple[Tensor, Sequence[Example]]]
) -> None:
    """Raises TrainingDiverged when loss or gradient norm is not finite.

    Names the first micro-batch of this process whose own loss is not finite, or all of them when only
    the gradient, or another process, is to blame.
    """
    if math.isfinite(loss) and math.isfinite(norm):
        return
    bad = next((examples for sums, examples in parts if not sums.isfinite().all()), None)
    examples = bad or [example for _, part in parts for example in part]
    names = ", ".join(dict.fromkeys(example.dataset for example in examples))
    raise TrainingDiverged(
        f"step {step}: the loss is {loss} and its gradient norm {norm} on {names}, examples "
        + ", ".join(example.example_id for example in examples)
        + "; look at these examples or lower train.learning_rate, the last checkpoint is unharmed"
    )

"""Between BLIP-2's stages: each query says in the language model's own words what its place holds.

BLIP-2 has no such step: a language model of billions of parameters makes sense of almost any prompt, so
captions alone teach its Q-Former how to talk to it. One of two million parameters does not, and captions
teach the interface too slowly (figures in backbones/micro/README.md). So the projected query of a cell
first learns to be the sum of the embeddings of the words about the thing there, or nothing where there
is nothing; the language model has read such sums (train/rows.py). The squared error alone settles for
the mean of all things that look alike, so the query also has to tell its words from all others.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from workbench.batch import Batch
from workbench.model.instructblip import InstructBlip
from workbench.train.blip2 import cosine
from workbench.train.pairs import Pairs

WARMUP_STEPS = 50


def align(
    model: InstructBlip,
    data: Pairs,
    ids: Callable[[str], Sequence[int]],
    steps: int,
    batch_size: int,
    rate: float,
    seed: int,
) -> Iterator[tuple[int, float]]:
    """Trains in place, in bf16 over fp32 weights; yields (step, loss).

    The loss is the mean squared error per dimension, plus, where there is a thing, the cross-entropy of
    the words about it among all words.

    Args:
        data: its `things` have as many places as the model has queries.
        ids: a text to the language model's tokens.
    """
    device = model.device
    words = model.hf.language_model.get_input_embeddings().weight.detach()
    known: dict[str, Tensor] = {"": torch.zeros(len(words))}

    def counted(thing: str) -> Tensor:
        if thing not in known:
            known[thing] = torch.bincount(torch.tensor(ids(thing)), minlength=len(words)).float()
        return known[thing]

    trained = list(model.trainable().values())
    optimizer = torch.optim.AdamW(trained, lr=rate, weight_decay=0.05, betas=(0.9, 0.98))
    model.train()
    for step in range(steps):
        for group in optimizer.param_groups:
            group["lr"] = rate * cosine(step, steps, WARMUP_STEPS)
        rng = np.random.default_rng([seed, step, 3])
        chosen = [int(i) for i in rng.choice(len(data.examples), size=batch_size, replace=False)]
        counts = torch.stack([torch.stack([counted(thing) for thing in data.things[i]]) for i in chosen])
        with torch.autocast(device.type, torch.bfloat16):
            said = model.prefix(_pictures(data.features[chosen].float()).to(device))
        loss = _loss(said.float(), counts.to(device), words)
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(trained, 1.0)
        optimizer.step()
        yield step + 1, float(loss.detach())
    model.eval()


def _loss(said: Tensor, counts: Tensor, words: Tensor) -> Tensor:
    """Of (B, K, D) projected queries, given how often each word is said of each place, (B, K, words)."""
    error = functional.mse_loss(said, counts @ words)
    shown = counts.sum(-1) > 0
    logits = said[shown] @ words.T * words.shape[1] ** -0.5
    share = counts[shown] / counts[shown].sum(-1, keepdim=True)
    return error + functional.cross_entropy(logits, share)


def _pictures(features: Tensor) -> Batch:
    """(B, N, V) features as a batch without words."""
    nothing = torch.zeros(len(features), 0, dtype=torch.long)
    return Batch(features[:, None], nothing, nothing, nothing, nothing, (), ())

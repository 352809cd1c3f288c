"""A model of a few hundred parameters that keeps the contract of the real one, and data for it."""

from typing import NamedTuple

import torch
from torch import nn

from workbench.batch import Batch
from workbench.data.mixture import Mixture
from workbench.records import Example

WIDTH, VOCABULARY, TOKENS = 8, 12, 3
SIZES = {"okvqa": 40, "vqav2": 160}


class LossSum(NamedTuple):
    loss: torch.Tensor
    tokens: torch.Tensor


class Standin(nn.Module):
    """Answers from picture and prompt, with dropout; one part is frozen."""

    def __init__(self, dropout=0.1):
        super().__init__()
        torch.manual_seed(0)
        self.words = nn.Embedding(VOCABULARY, WIDTH)
        self.project = nn.Linear(WIDTH, WIDTH)
        self.norm = nn.LayerNorm(WIDTH)
        self.head = nn.Linear(WIDTH, VOCABULARY).requires_grad_(False)
        self.dropout = nn.Dropout(dropout)

    def trainable(self):
        return {name: p for name, p in self.named_parameters() if p.requires_grad}

    def forward(self, batch):
        prompt = (self.words(batch.prompt_ids) * batch.prompt_mask[..., None]).sum(1)
        seen = self.dropout(self.norm(self.project(batch.features.mean((1, 2)) + prompt)))
        logits = self.head(seen)[:, None].expand(-1, batch.target_ids.shape[1], -1)
        chosen = logits.log_softmax(-1).gather(2, batch.target_ids[..., None])[..., 0]
        return LossSum(-(chosen * batch.target_mask).sum(), batch.target_mask.sum())


def example(dataset, index):
    return Example(dataset, f"{dataset}-{index}", f"image {index}", (f"{index}.png",), ("yes",))


def collate(examples, entropies):
    """Targets of one to four tokens, so that examples differ in weight."""
    rows = len(examples)
    draws = [torch.Generator().manual_seed(entropy >> 1) for entropy in entropies]
    numbers = torch.stack([torch.randint(1, VOCABULARY, (8,), generator=draw) for draw in draws])
    features = torch.stack([torch.randn(1, TOKENS, WIDTH, generator=draw) for draw in draws])
    mask = (torch.arange(4) < numbers[:, 7:] % 4 + 1).long()
    ones = torch.ones(rows, 3, dtype=torch.long)
    return Batch(
        features, numbers[:, :3], ones, numbers[:, :3], ones, tuple(examples), ("",) * rows,
        target_ids=numbers[:, 3:7] * mask, target_mask=mask,
    )  # fmt: skip


def batches(seed=1, batch_size=12, accumulate=1, rank=0, world=1, mixing="batch"):
    """The loop's `batches`, as train/feed.py makes them."""
    mixture = Mixture(SIZES, mixing=mixing)
    size = batch_size // world // accumulate

    def at(step):
        draws = mixture.draw(seed, step, batch_size, rank, world)
        for start in range(0, len(draws), size):
            part = draws[start : start + size]
            yield collate([example(d.dataset, d.index) for d in part], [d.entropy for d in part])

    return at

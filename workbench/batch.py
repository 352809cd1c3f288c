"""What a model reads: tensors made by data/collate.py, the only caller of tokenizers."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Any

import torch
from torch import Tensor

from workbench.records import Example


@dataclass(frozen=True, slots=True)
class Batch:
    """B examples with their cached vision features and their text, padded.

    Shapes: B examples, F frames (1 or 4), N vision tokens of width V, Tq / Tp / Tt tokens of
    Q-Former text, prompt and target; M candidates of at most Tc tokens over all examples.

    Attributes:
        features: (B, F, N, V) output of the frozen encoder before its post layer norm.
        qformer_ids, qformer_mask: (B, Tq) the instruction in the Q-Former's vocabulary, right-padded.
        prompt_ids, prompt_mask: (B, Tp) the same instruction in the language model's vocabulary;
            right-padded for encoder-decoders, left-padded for decoders.
        target_ids, target_mask: (B, Tt) the answer and its end token, right-padded; absent at
            inference.
        candidate_ids, candidate_mask: (M, Tc) every distinct candidate of each example with its end
            token, right-padded; absent where nothing is ranked.
        candidate_owner: (M,) the row each candidate belongs to, ascending.
        examples, instructions: where the rows came from, in order.
    """

    features: Tensor
    qformer_ids: Tensor
    qformer_mask: Tensor
    prompt_ids: Tensor
    prompt_mask: Tensor
    examples: tuple[Example, ...]
    instructions: tuple[str, ...]
    target_ids: Tensor | None = None
    target_mask: Tensor | None = None
    candidate_ids: Tensor | None = None
    candidate_mask: Tensor | None = None
    candidate_owner: Tensor | None = None

    def to(self, device: torch.device | str) -> Batch:
        """The same batch with every tensor on the device."""
        moved: dict[str, Any] = {
            f.name: value.to(device)
            for f in fields(self)
            if isinstance(value := getattr(self, f.name), Tensor)
        }
        return replace(self, **moved)

    def __len__(self) -> int:
        return len(self.examples)

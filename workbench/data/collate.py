"""Examples and their texts to one padded Batch; with tokens.py the only place that tokenises."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, Protocol

import torch
from torch import Tensor

from workbench.batch import Batch
from workbench.data.tokens import Ids, Tokenizers
from workbench.records import Example


class Features(Protocol):
    """What collation needs of a FeatureStore."""

    @property
    def blank(self) -> Tensor:
        """(N, V) features of an empty grey canvas."""

    def take(self, refs: Sequence[str]) -> Tensor:
        """(len(refs), N, V) float32 features of the pictures."""


class Collator:
    """Makes batches for training, generation and ranking."""

    def __init__(
        self, tokenizers: Tokenizers, store: Features, instruction_form: Literal["text", "empty"] = "text"
    ) -> None:
        """
        Args:
            instruction_form: what the Q-Former reads; "empty" is the unaware form `constant`: only the
                special tokens of an empty text. The language model reads the instruction either way.
        """
        self.tokenizers, self.store, self.instruction_form = tokenizers, store, instruction_form

    def train(
        self,
        examples: Sequence[Example],
        instructions: Sequence[str],
        targets: Sequence[str],
        features: Tensor | None = None,
    ) -> Batch:
        """A batch with targets; instructions and targets belong to the examples one by one.

        Args:
            features: (B, F, N, V) of the pictures; by default the store's.

        Raises:
            ValueError: for no or unequally many examples, or different numbers of frames.
        """
        ids, mask = self._pad(list(map(self.tokenizers.target_ids, targets)))
        seen = self._features(examples) if features is None else features
        return self._batch(examples, instructions, seen, target_ids=ids, target_mask=mask)

    def infer(self, examples: Sequence[Example], instructions: Sequence[str], blind: bool = False) -> Batch:
        """A batch without targets, with the distinct candidates of the examples that have any.

        Args:
            blind: an empty grey canvas in place of every picture and frame.

        Raises:
            ValueError: as `train`.
        """
        features = self._features(examples, blind)
        ranked = [(row, text) for row, e in enumerate(examples) for text in dict.fromkeys(e.candidates)]
        if not ranked:
            return self._batch(examples, instructions, features)
        ids, mask = self._pad([self.tokenizers.target_ids(text) for _, text in ranked])
        owner = torch.tensor([row for row, _ in ranked])
        return self._batch(
            examples, instructions, features, candidate_ids=ids, candidate_mask=mask, candidate_owner=owner
        )

    def _batch(
        self, examples: Sequence[Example], instructions: Sequence[str], features: Tensor, **answers: Tensor
    ) -> Batch:
        targets = answers.get("target_ids")
        if len(instructions) != len(examples) or (targets is not None and len(targets) != len(examples)):
            raise ValueError(
                f"{len(examples)} examples came with {len(instructions)} instructions"
                + ("" if targets is None else f" and {len(targets)} targets")
                + "; pass one of each per example"
            )
        read = [text if self.instruction_form == "text" else "" for text in instructions]
        qformer_ids, qformer_mask = _pad(
            list(map(self.tokenizers.qformer_ids, read)), self.tokenizers.qformer.pad_token_id
        )
        prompts = self.tokenizers.asked_ids if targets is None else self.tokenizers.prompt_ids
        prompt_ids, prompt_mask = self._pad(
            list(map(prompts, instructions)), left=self.tokenizers.decoder_only
        )
        return Batch(
            features, qformer_ids, qformer_mask, prompt_ids, prompt_mask,
            tuple(examples), tuple(instructions), **answers,
        )  # fmt: skip

    def _features(self, examples: Sequence[Example], blind: bool = False) -> Tensor:
        """(B, F, N, V)"""
        frames = frames_of(examples)
        if blind:
            return self.store.blank.expand(len(examples), frames, -1, -1)
        taken = self.store.take([ref for example in examples for ref in example.images])
        return taken.view(len(examples), frames, *taken.shape[1:])

    def _pad(self, rows: Sequence[Ids], left: bool = False) -> tuple[Tensor, Tensor]:
        return _pad(rows, self.tokenizers.language.pad_token_id, left)


def frames_of(examples: Sequence[Example]) -> int:
    """How many frames each example of a batch has.

    Raises:
        ValueError: for no examples, or different numbers of frames.
    """
    if not examples:
        raise ValueError("a batch needs at least one example; the dataset or the slice of it is empty")
    frames = len(examples[0].images)
    for example in examples:
        if len(example.images) != frames or not frames:
            raise ValueError(
                f"{example.dataset} {example.example_id} has {len(example.images)} frames beside "
                f"{examples[0].dataset} {examples[0].example_id} with {frames}; "
                "a batch holds pictures or clips of one length (data.mixing=batch)"
            )
    return frames


def _pad(rows: Sequence[Ids], pad: int, left: bool = False) -> tuple[Tensor, Tensor]:
    """ids and mask, both int64 (len(rows), longest row)."""
    length = max(map(len, rows), default=0)
    ids, mask = [], []
    for row in rows:
        padding, ones = [pad] * (length - len(row)), [1] * len(row)
        zeros = [0] * len(padding)
        ids.append([*padding, *row] if left else [*row, *padding])
        mask.append(zeros + ones if left else ones + zeros)
    return torch.tensor(ids, dtype=torch.int64), torch.tensor(mask, dtype=torch.int64)

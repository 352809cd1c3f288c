"""The language models' texts as rows of tokens."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from transformers import PreTrainedTokenizerFast

from workbench.data.micro.corpus import HEADERS, Text


@dataclass(frozen=True, slots=True)
class Row:
    """One text as tokens.

    Attributes:
        ids: what the model reads. T5: ``description question </s> question </s> ...``;
            Llama: ``description <s> question answer </s> <s> question answer </s> ...``.
        slots: of each token, the input position to which its embedding is added; one each, except
            where the words about a thing are summed.
        asked: of each turn, where its part of the input starts and ends (exclusive). T5's decoder answers
            a turn from these states alone; where there is one turn, from the description's too.
        answers: of each turn, the answer's tokens and ``</s>``; in a Llama's `ids` they end its part.
    """

    ids: list[int]
    slots: list[int]
    asked: list[tuple[int, int]]
    answers: list[list[int]]

    @property
    def length(self) -> int:
        """Of the input, in positions."""
        return self.slots[-1] + 1 if self.slots else 0

    def add(self, ids: Sequence[int]) -> None:
        """Appends tokens with a position each."""
        self.slots.extend(range(self.length, self.length + len(ids)))
        self.ids.extend(ids)


def causal_row(text: Text, tokenizer: PreTrainedTokenizerFast, summed: bool = False) -> Row:
    """A Llama's: every answer follows its question."""
    row = _described(text.description, tokenizer, summed)
    for instruction, answer in text.turns:
        said, start = [*_ids(answer, tokenizer), tokenizer.eos_token_id], row.length
        row.add([tokenizer.bos_token_id, *_ids(instruction, tokenizer), *said])
        row.asked.append((start, row.length))
        row.answers.append(said)
    return row


def sequence_row(text: Text, tokenizer: PreTrainedTokenizerFast, summed: bool = False) -> Row:
    """A T5's: the encoder reads the description and every question at once, the decoder answers each."""
    row = _described(text.description, tokenizer, summed)
    for instruction, answer in text.turns:
        start = row.length if len(text.turns) > 1 else 0
        row.add([*_ids(instruction, tokenizer), tokenizer.eos_token_id])
        row.asked.append((start, row.length))
        row.answers.append([*_ids(answer, tokenizer), tokenizer.eos_token_id])
    return row


def _described(description: str, tokenizer: PreTrainedTokenizerFast, summed: bool) -> Row:
    row = Row([], [], [], [])
    if not summed or description.startswith(HEADERS):
        row.add(_ids(description, tokenizer))
        return row
    for slot, thing in enumerate(description.removesuffix(" .").split(" , ")):
        ids = _ids(thing, tokenizer)
        row.ids.extend(ids)
        row.slots.extend([slot] * len(ids))
    return row


def embedded(rows: Sequence[Row], words: nn.Embedding, pad: int) -> tuple[Tensor, Tensor]:
    """(rows, longest, D) input embeddings and their (rows, longest) mask, 1 for real positions."""
    device = words.weight.device
    found = words(padded([row.ids for row in rows], pad).to(device))
    lengths = torch.tensor([row.length for row in rows])
    longest = int(lengths.max())
    # what fills up goes to a position of its own, which is cut off
    slots = padded([row.slots for row in rows], longest).to(device)[..., None].expand_as(found)
    summed = found.new_zeros(len(rows), longest + 1, found.shape[-1]).scatter_add(1, slots, found)
    return summed[:, :longest], (torch.arange(longest) < lengths[:, None]).long().to(device)


def _ids(text: str, tokenizer: PreTrainedTokenizerFast) -> list[int]:
    return list(tokenizer(text, add_special_tokens=False).input_ids)


def padded(rows: Sequence[Sequence[int]], value: int) -> Tensor:
    """(rows, longest) int64, filled up on the right."""
    width = max(map(len, rows))
    return torch.tensor([[*row, *[value] * (width - len(row))] for row in rows])

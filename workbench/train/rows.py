"""The language models' texts as rows of tokens."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from transformers import PreTrainedTokenizerFast

from workbench.data.micro.corpus import Text


@dataclass(frozen=True, slots=True)
class Row:
    """One text as tokens.

    Attributes:
        ids: what the model reads. T5: ``description question </s> question </s> ...``;
            Llama: ``description <s> question answer </s> <s> question answer </s> ...``.
        asked: of each turn, where its part of `ids` starts and ends (exclusive). T5's decoder answers
            a turn from these states alone; where there is one turn, from the description's too.
        answers: of each turn, the answer's tokens and ``</s>``; in a Llama's `ids` they end its part.
    """

    ids: list[int]
    asked: list[tuple[int, int]]
    answers: list[list[int]]


def causal_row(text: Text, tokenizer: PreTrainedTokenizerFast) -> Row:
    """A Llama's: every answer follows its question."""
    row = Row(_ids(text.description, tokenizer), [], [])
    for instruction, answer in text.turns:
        said, start = [*_ids(answer, tokenizer), tokenizer.eos_token_id], len(row.ids)
        row.ids.extend([tokenizer.bos_token_id, *_ids(instruction, tokenizer), *said])
        row.asked.append((start, len(row.ids)))
        row.answers.append(said)
    return row


def sequence_row(text: Text, tokenizer: PreTrainedTokenizerFast) -> Row:
    """A T5's: the encoder reads the description and every question at once, the decoder answers each."""
    row = Row(_ids(text.description, tokenizer), [], [])
    for instruction, answer in text.turns:
        start = len(row.ids) if len(text.turns) > 1 else 0
        row.ids.extend([*_ids(instruction, tokenizer), tokenizer.eos_token_id])
        row.asked.append((start, len(row.ids)))
        row.answers.append([*_ids(answer, tokenizer), tokenizer.eos_token_id])
    return row


def _ids(text: str, tokenizer: PreTrainedTokenizerFast) -> list[int]:
    return list(tokenizer(text, add_special_tokens=False).input_ids)


def padded(rows: Sequence[Sequence[int]], value: int) -> Tensor:
    """(rows, longest) int64, filled up on the right."""
    width = max(map(len, rows))
    return torch.tensor([[*row, *[value] * (width - len(row))] for row in rows])

"""Trains the micro language models on text: a T5 in FlanT5's place, a Llama in Vicuna's.

Both start from model/associative_init.py and see dense lookups from the first step, because
in-context lookup is the skill everything later rests on; the datasets' tasks join them after a
warm-up. The loss is averaged within each answer, so that one long caption does not outweigh eight
short answers.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.data import DataLoader, IterableDataset
from transformers import (
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedTokenizerFast,
    T5Config,
    T5ForConditionalGeneration,
)

from workbench.data.micro.corpus import Text, dense, texts
from workbench.model.associative_init import initialise_llama, initialise_t5

IGNORE = -100
LanguageModel = T5ForConditionalGeneration | LlamaForCausalLM
BUCKET = 8  # batches sorted by length together, so that little is padding
GAIN = 0.5


@dataclass(frozen=True, slots=True)
class Schedule:
    """How long and how fast.

    Attributes:
        dense_steps: steps on dense lookups alone; afterwards they make up dense_share.
        ends_from: step from which T5's encoder gathers a cloze's first token at an end token in place of
            a mask, so that the decoder finds answers where every prompt ends.
    """

    steps: int = 6000
    batch_size: int = 64
    learning_rate: float = 1e-3
    warmup_steps: int = 100
    dense_steps: int = 500
    dense_share: float = 0.4
    ends_from: int = 10**9
    seed: int = 7


def new_t5(tokenizer: PreTrainedTokenizerFast) -> T5ForConditionalGeneration:
    """About 2.3 M parameters: 4 encoder and 2 decoder layers, width 128."""
    start: dict[str, Any] = {"decoder_start_token_id": tokenizer.pad_token_id}  # T5Config declares none
    config = T5Config(
        vocab_size=len(tokenizer), d_model=128, d_kv=48, d_ff=512, num_layers=4, num_decoder_layers=2,
        num_heads=6, relative_attention_num_buckets=32, relative_attention_max_distance=128, dropout_rate=0.0,
        feed_forward_proj="gelu", pad_token_id=tokenizer.pad_token_id, eos_token_id=tokenizer.eos_token_id,
        **start,
    )  # fmt: skip
    config._attn_implementation = "eager"  # T5's trained position bias sends SDPA to a slower path
    model = T5ForConditionalGeneration(config)
    initialise_t5(model, GAIN)
    return model


def new_llama(tokenizer: PreTrainedTokenizerFast) -> LlamaForCausalLM:
    """About 1.7 M parameters: 4 layers, width 144."""
    config = LlamaConfig(
        vocab_size=len(tokenizer), hidden_size=144, intermediate_size=448, num_hidden_layers=4,
        num_attention_heads=6, num_key_value_heads=6, head_dim=48, max_position_embeddings=1024,
        attention_bias=True, tie_word_embeddings=False, pad_token_id=tokenizer.pad_token_id,
        eos_token_id=tokenizer.eos_token_id, bos_token_id=tokenizer.bos_token_id,
    )  # fmt: skip
    model = LlamaForCausalLM(config)
    initialise_llama(model, GAIN)
    return model


# ---------------------------------------------------------------- texts to tensors


# input, labels of the input, turn of each, decoder labels
Row = tuple[list[int], list[int], list[int], list[int]]


def causal_row(text: Text, tokenizer: PreTrainedTokenizerFast) -> Row:
    """description <s> instruction answer </s> <s> ...; answers and their end are labelled."""
    ids = _ids(text.description, tokenizer)
    labels, turns = [IGNORE] * len(ids), [0] * len(ids)
    for number, (instruction, answer) in enumerate(text.turns):
        asked = [tokenizer.bos_token_id, *_ids(instruction, tokenizer)]
        said = [*_ids(answer, tokenizer), tokenizer.eos_token_id]
        ids += asked + said
        labels += [IGNORE] * len(asked) + said
        turns += [number] * (len(asked) + len(said))
    return ids, labels, turns, []


def cloze_row(text: Text, tokenizer: PreTrainedTokenizerFast, at_end: bool = False) -> Row:
    """description, then every question with a mask per answer token; the encoder fills them in.

    Args:
        at_end: the first of these tokens is the end token.
    """
    ids = _ids(text.description, tokenizer)
    labels, turns = [IGNORE] * len(ids), [0] * len(ids)
    for number, (instruction, answer) in enumerate(text.turns):
        asked, said = _ids(instruction, tokenizer), _ids(answer, tokenizer)
        blanks = [tokenizer.mask_token_id] * len(said)
        if at_end:
            blanks[0] = tokenizer.eos_token_id
        ids += asked + blanks
        labels += [IGNORE] * len(asked) + said
        turns += [number] * (len(asked) + len(said))
    return ids, labels, turns, []


def sequence_row(text: Text, tokenizer: PreTrainedTokenizerFast) -> Row:
    """description instruction </s> for the encoder, answer </s> for the decoder; the first turn only."""
    instruction, answer = text.turns[0]
    ids = [*_ids(text.description, tokenizer), *_ids(instruction, tokenizer), tokenizer.eos_token_id]
    return ids, [], [], [*_ids(answer, tokenizer), tokenizer.eos_token_id]


def _ids(text: str, tokenizer: PreTrainedTokenizerFast) -> list[int]:
    return list(tokenizer(text, add_special_tokens=False).input_ids)


def _pad(rows: Sequence[Sequence[int]], value: int) -> Tensor:
    width = max(map(len, rows))
    return torch.tensor([[*row, *[value] * (width - len(row))] for row in rows])


class TextBatches(IterableDataset[list[Row]]):
    """Endless lists of rows of similar length; pure function of family, schedule and first step."""

    def __init__(
        self, family: str, tokenizer: PreTrainedTokenizerFast, schedule: Schedule, first: int
    ) -> None:
        self.family, self.tokenizer, self.schedule, self.first = family, tokenizer, schedule, first

    def __iter__(self) -> Iterator[list[Row]]:
        torch.set_num_threads(1)
        step, plan = self.first, self.schedule
        while True:
            share = 1.0 if step < plan.dense_steps else plan.dense_share
            source = texts(plan.seed * 1_000_000 + step, share)
            found = list(islice(source, BUCKET * plan.batch_size))
            rows = [self._row(text, step) for text in found]
            rows.sort(key=lambda row: (bool(row[3]), len(row[0])))
            order = np.random.default_rng(step).permutation(BUCKET)
            for i in order:
                yield rows[int(i) * plan.batch_size : (int(i) + 1) * plan.batch_size]
            step += BUCKET

    def _row(self, text: Text, step: int) -> Row:
        if self.family == "llama":
            return causal_row(text, self.tokenizer)
        if text.task == "dense":
            return cloze_row(text, self.tokenizer, step >= self.schedule.ends_from)
        return sequence_row(text, self.tokenizer)


def _turn_loss(logits: Tensor, labels: Tensor, turn: Tensor) -> Tensor:
    """Mean over turns of the mean cross-entropy within each; `turn` numbers each label's turn."""
    loss = F.cross_entropy(logits.float(), labels, reduction="none")
    _, index, counts = torch.unique(turn, return_inverse=True, return_counts=True)
    return (loss / counts[index]).sum() / len(counts)


def loss_of(model: LanguageModel, rows: Sequence[Row], pad: int) -> Tensor:
    """The loss of a batch of rows, which may mix clozes and sequences for T5."""
    labelled = [row for row in rows if not row[3]]
    sequences = [row for row in rows if row[3]]
    parts = []
    if labelled:
        ids, labels = _pad([row[0] for row in labelled], pad), _pad([row[1] for row in labelled], IGNORE)
        turns = _pad([row[2] for row in labelled], 0) + 1000 * torch.arange(len(labelled))[:, None]
        parts.append((len(labelled), _labelled_loss(model, ids, labels, turns, pad)))
    if sequences:
        ids, labels = _pad([row[0] for row in sequences], pad), _pad([row[3] for row in sequences], IGNORE)
        logits = model(input_ids=ids, attention_mask=(ids != pad).long(), labels=labels).logits
        kept = labels != IGNORE
        rows_of = torch.arange(len(sequences))[:, None].expand_as(labels)[kept]
        parts.append((len(sequences), _turn_loss(logits[kept], labels[kept], rows_of)))
    return sum((weight * part for weight, part in parts), torch.zeros(())) / len(rows)


def _labelled_loss(model: LanguageModel, ids: Tensor, labels: Tensor, turns: Tensor, pad: int) -> Tensor:
    if isinstance(model, T5ForConditionalGeneration):
        kept = labels != IGNORE
        hidden = model.encoder(input_ids=ids, attention_mask=(ids != pad).long()).last_hidden_state[kept]
        return _turn_loss(
            hidden @ model.shared.weight.T * model.config.d_model**-0.5, labels[kept], turns[kept]
        )
    # padding lies on the right, where a causal model's labelled tokens do not look
    hidden = model.model(input_ids=ids).last_hidden_state[:, :-1]
    kept = labels[:, 1:] != IGNORE
    return _turn_loss(model.lm_head(hidden[kept]), labels[:, 1:][kept], turns[:, 1:][kept])


# ---------------------------------------------------------------- training and examination


def optimizer(model: nn.Module, schedule: Schedule) -> torch.optim.AdamW:
    """AdamW; query and key projections at a tenth of the rate.

    They start small and right (model/associative_init.py): full-sized Adam steps would overwrite them.
    """
    parts = (".q.", ".k.", "q_proj", "k_proj")
    lookup = [p for name, p in model.named_parameters() if any(part in name for part in parts)]
    known = {id(p) for p in lookup}
    rest = [p for p in model.parameters() if id(p) not in known]
    groups = [
        {"params": rest, "peak": schedule.learning_rate},
        {"params": lookup, "peak": schedule.learning_rate / 10},
    ]
    return torch.optim.AdamW(groups, lr=schedule.learning_rate, betas=(0.9, 0.98), weight_decay=0.01)


def train(
    model: T5ForConditionalGeneration | LlamaForCausalLM,
    tokenizer: PreTrainedTokenizerFast,
    schedule: Schedule,
    updates: torch.optim.AdamW,
    first: int = 0,
) -> Iterator[tuple[int, float]]:
    """Trains in place from step `first` on, with an optimizer of `optimizer`; yields (step, loss)."""
    family = "t5" if isinstance(model, T5ForConditionalGeneration) else "llama"
    loader = DataLoader(TextBatches(family, tokenizer, schedule, first), batch_size=None, num_workers=1)
    for step, rows in zip(range(first, schedule.steps), loader, strict=False):
        part = min(1.0, (step + 1) / schedule.warmup_steps)
        part *= 0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * step / schedule.steps))
        for group in updates.param_groups:
            group["lr"] = group["peak"] * part
        loss = loss_of(model, rows, tokenizer.pad_token_id)
        updates.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        updates.step()
        yield step + 1, float(loss.detach())


@torch.no_grad()
def examine(
    model: LanguageModel, tokenizer: PreTrainedTokenizerFast, seed: int, count: int
) -> dict[str, float]:
    """Exact match per task on fresh texts: every token of an answer has to be the most likely one.

    With greedy decoding that is the same as generating the answer. Dense questions are asked one at a
    time about scenes of five objects, and counted by kind of question under ``dense``.
    """
    right: dict[str, list[bool]] = defaultdict(list)
    stream = texts(seed, 0.0)
    asked = [Text("dense", t.description, t.turns[:1]) for t in (dense(seed, i, 1, 5) for i in range(count))]
    asked += list(islice(stream, count * 8))
    for start in range(0, len(asked), 64):
        part = asked[start : start + 64]
        for text, ok in zip(part, _answers_right(model, tokenizer, part), strict=True):
            right[text.task].append(ok)
    return {task: float(np.mean(found)) for task, found in sorted(right.items())}


def _answers_right(
    model: LanguageModel, tokenizer: PreTrainedTokenizerFast, part: Sequence[Text]
) -> list[bool]:
    pad = tokenizer.pad_token_id
    if isinstance(model, T5ForConditionalGeneration):
        rows = [sequence_row(text, tokenizer) for text in part]
        ids, labels = _pad([row[0] for row in rows], pad), _pad([row[3] for row in rows], IGNORE)
        said = model(input_ids=ids, attention_mask=(ids != pad).long(), labels=labels).logits.argmax(-1)
    else:
        rows = [causal_row(text, tokenizer) for text in part]
        ids, labels = _pad([row[0] for row in rows], pad), _pad([row[1] for row in rows], IGNORE)[:, 1:]
        said = model(input_ids=ids, attention_mask=(ids != pad).long()).logits.argmax(-1)[:, :-1]
    return [bool(ok) for ok in ((said == labels) | (labels == IGNORE)).all(1)]

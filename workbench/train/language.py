"""Trains the micro language models on text: a T5 in FlanT5's place, a Llama in Vicuna's.

Both start from model/associative_init.py and see dense lookups first, because in-context lookup is
the skill everything later rests on: one-hop questions alone, then every kind of question, then the
datasets' tasks as well. The loss is averaged within each answer, so that one long caption does not
outweigh eight short answers. Forward and backward run in bf16 on a copy of the weights, which are
updated in fp32: about half of the time for a T5 on a processor with bf16 matrix units, less for a Llama
(benchmarks/language_step.py).
"""

from __future__ import annotations

import copy
import math
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, count, islice
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.data import DataLoader, IterableDataset, get_worker_info
from transformers import (
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedTokenizerFast,
    T5Config,
    T5ForConditionalGeneration,
)

from workbench.data.micro.corpus import ONE_HOP, Text, course, dense, texts
from workbench.model.associative_init import initialise_llama, initialise_t5
from workbench.train.rows import Row, causal_row, embedded, padded, sequence_row

IGNORE = -100
LanguageModel = T5ForConditionalGeneration | LlamaForCausalLM
BUCKET = 8  # batches sorted by length together, so that little is padding
GAIN = 0.5


@dataclass(frozen=True, slots=True)
class Schedule:
    """How long and how fast.

    Attributes:
        cycles: lengths in steps of cosines of the rate, each but the first from half the peak
            (warm restarts, arXiv 1608.03983). From the second on, tasks that lag are drawn more often.
        one_hop_steps: first steps, on dense one-hop lookups alone.
        dense_steps: step from which the datasets' tasks join in; dense texts make up dense_share then.
        summed_share: of the descriptions from the second cycle on, in which the words about a thing are
            summed into one embedding. A Q-Former's queries say a thing that way. A language model of
            billions of parameters reads such a prompt although it has only read words; one of two
            million does not.
        course: whether all texts are those of corpus.course, which ends with the first cycle.
    """

    cycles: tuple[int, ...] = (6000,)
    batch_size: int = 64
    learning_rate: float = 1e-3
    warmup_steps: int = 100
    one_hop_steps: int = 400
    dense_steps: int = 1200
    dense_share: float = 0.35
    summed_share: float = 0.5
    course: bool = False
    seed: int = 7

    @property
    def steps(self) -> int:
        """Of all cycles together."""
        return sum(self.cycles)

    def rate_share(self, step: int) -> float:
        """Share of the peak rate: linear warm-up and cosine to 2 % in each cycle."""
        peak = 1.0
        for length in self.cycles:
            if step < length:
                break
            step, peak = step - length, 0.5
        warm = min(1.0, (step + 1) / self.warmup_steps)
        return peak * warm * (0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * step / length)))


def new_t5(tokenizer: PreTrainedTokenizerFast) -> T5ForConditionalGeneration:
    """About 2.3 M parameters: 4 encoder and 2 decoder layers, width 128."""
    start: dict[str, Any] = {"decoder_start_token_id": tokenizer.pad_token_id}  # T5Config declares none
    config = T5Config(
        vocab_size=len(tokenizer), d_model=128, d_kv=48, d_ff=512, num_layers=4, num_decoder_layers=2,
        num_heads=6, relative_attention_num_buckets=32, relative_attention_max_distance=128, dropout_rate=0.0,
        feed_forward_proj="gelu", pad_token_id=tokenizer.pad_token_id, eos_token_id=tokenizer.eos_token_id,
        **start,
    )  # fmt: skip
    config._attn_implementation = "eager"  # on a CPU the fused attention's backward pass is slower
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
    config._attn_implementation = "eager"
    model = LlamaForCausalLM(config)
    initialise_llama(model, GAIN)
    return model


class TextBatches(IterableDataset[list[list[Row]]]):
    """Endless buckets: the next BUCKET batches, each of rows of similar length.

    A pure function of family, schedule and first step. Several workers of a loader take turns, a bucket
    each, so the order does not depend on how many there are.
    """

    def __init__(
        self, family: str, tokenizer: PreTrainedTokenizerFast, schedule: Schedule, first: int
    ) -> None:
        self.family, self.tokenizer, self.schedule, self.first = family, tokenizer, schedule, first

    def __iter__(self) -> Iterator[list[list[Row]]]:
        torch.set_num_threads(1)
        size, worker = self.schedule.batch_size, get_worker_info()
        row_of = causal_row if self.family == "llama" else sequence_row
        turn, turns = (worker.id, worker.num_workers) if worker else (0, 1)
        for step in count(self.first + turn * BUCKET, turns * BUCKET):
            rng, share = np.random.default_rng(step), self.schedule.summed_share * self._restarted(step)
            rows = [
                row_of(text, self.tokenizer, bool(rng.random() < share))
                for text in islice(self._texts(step), BUCKET * size)
            ]
            rows.sort(key=lambda row: (len(row.asked), row.length))
            yield [rows[int(i) * size : (int(i) + 1) * size] for i in rng.permutation(BUCKET)]

    def _texts(self, step: int) -> Iterator[Text]:
        plan = self.schedule
        seed = plan.seed * 1_000_000 + step
        if plan.course:
            return course(seed, step / plan.cycles[0])
        if step < plan.one_hop_steps:
            return (dense(seed, i, kinds=ONE_HOP) for i in count())
        if step < plan.dense_steps:
            return texts(seed, 1.0)
        return texts(seed, plan.dense_share, lagging_more=self._restarted(step))

    def _restarted(self, step: int) -> bool:
        return self.schedule.course or step >= self.schedule.cycles[0]


def _answer_loss(logits: Tensor, labels: Tensor) -> Tensor:
    """Mean over answers of the mean cross-entropy within each.

    Args:
        logits: (number of labels that are not IGNORE, vocabulary).
        labels: (answers, T) on the CPU, IGNORE behind an answer's end.
    """
    kept = labels != IGNORE
    weight = (kept / kept.sum(1, keepdim=True))[kept].to(logits.device)
    loss = F.cross_entropy(logits.float(), labels[kept].to(logits.device), reduction="none")
    return (loss * weight).sum() / len(labels)


def loss_of(model: LanguageModel, rows: Sequence[Row], pad: int) -> Tensor:
    """The loss of a batch of rows, a mean over answers."""
    answers = padded([answer for row in rows for answer in row.answers], IGNORE)
    parts = [(number, *part) for number, row in enumerate(rows) for part in row.asked]
    if isinstance(model, T5ForConditionalGeneration):
        return _encoder_decoder_loss(model, *embedded(rows, model.shared, pad), parts, answers)
    # padding lies on the right, where a causal model's labelled tokens do not look
    read, _ = embedded(rows, model.model.embed_tokens, pad)
    hidden = model.model(inputs_embeds=read).last_hidden_state
    ends = torch.tensor([end for _, _, end in parts])
    kept = answers != IGNORE
    lengths = kept.sum(1)
    where = (ends - lengths - 1)[:, None] + torch.arange(answers.shape[1])
    number = torch.tensor([number for number, _, _ in parts])[:, None].expand_as(where)
    said = hidden[number[kept].to(hidden.device), where[kept].to(hidden.device)]
    return _answer_loss(model.lm_head(said), answers)


def _encoder_decoder_loss(
    model: T5ForConditionalGeneration,
    read: Tensor,
    mask: Tensor,
    parts: Sequence[tuple[int, int, int]],
    answers: Tensor,
) -> Tensor:
    """The decoder's loss, plus the encoder's own: the state at each question's end names the answer's
    first token, which is how lookups get a gradient before the decoder has learnt to listen."""
    hidden = model.encoder(inputs_embeds=read, attention_mask=mask).last_hidden_state
    device = hidden.device
    where = padded([range(start, end) for _, start, end in parts], IGNORE).to(device)
    number = torch.tensor([number for number, _, _ in parts], device=device)
    states = hidden[number[:, None], where.clamp(min=0)]
    heard = (where != IGNORE).long()
    said = model(encoder_outputs=(states,), attention_mask=heard, labels=answers.to(device)).logits
    ends = hidden[number, torch.tensor([end - 1 for _, _, end in parts], device=device)]
    named = ends @ model.shared.weight.T * model.config.d_model**-0.5
    answered = (answers != IGNORE).to(device)
    return _answer_loss(said[answered], answers) + _answer_loss(named, answers[:, :1])


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
    helpers: int = 1,
) -> Iterator[tuple[int, float]]:
    """Trains in place from step `first` on, with an optimizer of `optimizer`; yields (step, loss).

    Args:
        first: a multiple of BUCKET.
        helpers: processes that write the texts; no result depends on their number.
    """
    family = "t5" if isinstance(model, T5ForConditionalGeneration) else "llama"
    fast = copy.deepcopy(model).bfloat16()
    pairs = list(zip(model.parameters(), fast.parameters(), strict=True))
    texts_ahead = TextBatches(family, tokenizer, schedule, first)
    buckets = DataLoader(texts_ahead, batch_size=None, num_workers=helpers)
    for step, rows in zip(range(first, schedule.steps), chain.from_iterable(buckets), strict=False):
        for group in updates.param_groups:
            group["lr"] = group["peak"] * schedule.rate_share(step)
        loss = loss_of(fast, rows, tokenizer.pad_token_id)
        loss.backward()
        for weight, copied in pairs:
            weight.grad, copied.grad = (None if copied.grad is None else copied.grad.float()), None
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        updates.step()
        with torch.no_grad():
            for weight, copied in pairs:
                copied.copy_(weight)
        yield step + 1, float(loss.detach())


@torch.no_grad()
def examine(
    model: LanguageModel, tokenizer: PreTrainedTokenizerFast, seed: int, number: int
) -> dict[str, float]:
    """Exact match per task on fresh texts, by `answers_right`.

    Dense questions are asked one at a time about scenes of five objects and counted under ``dense``.
    """
    right: dict[str, list[bool]] = defaultdict(list)
    stream = texts(seed, 0.0)
    asked = [Text("dense", t.description, t.turns[:1]) for t in (dense(seed, i, 1, 5) for i in range(number))]
    asked += list(islice(stream, number * 8))
    for start in range(0, len(asked), 64):
        part = asked[start : start + 64]
        for text, ok in zip(part, answers_right(model, tokenizer, part), strict=True):
            right[text.task].append(ok)
    return {task: float(np.mean(found)) for task, found in sorted(right.items())}


@torch.no_grad()
def answers_right(
    model: LanguageModel, tokenizer: PreTrainedTokenizerFast, part: Sequence[Text]
) -> list[bool]:
    """Whether each text's first answer is what greedy decoding says: every token the most likely one."""
    pad = tokenizer.pad_token_id
    if isinstance(model, T5ForConditionalGeneration):
        rows = [sequence_row(text, tokenizer) for text in part]
        ids = padded([row.ids for row in rows], pad).to(model.device)
        labels = padded([row.answers[0] for row in rows], IGNORE).to(model.device)
        said = model(input_ids=ids, attention_mask=(ids != pad).long(), labels=labels).logits.argmax(-1)
    else:
        rows = [causal_row(text, tokenizer) for text in part]
        ids = padded([row.ids for row in rows], pad).to(model.device)
        asked = [len(row.ids) - len(row.answers[0]) for row in rows]
        whole = padded([[IGNORE] * n + row.answers[0] for n, row in zip(asked, rows, strict=True)], IGNORE)
        labels = whole[:, 1:].to(model.device)
        said = model(input_ids=ids, attention_mask=(ids != pad).long()).logits.argmax(-1)[:, :-1]
    return [bool(ok) for ok in ((said == labels) | (labels == IGNORE)).all(1)]

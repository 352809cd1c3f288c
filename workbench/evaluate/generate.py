"""Answers by generation: transformers' greedy and beam search with a KV cache, for both families."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from torch import Tensor

from workbench.batch import Batch
from workbench.data.catalog import Entry
from workbench.model.instructblip import InstructBlip
from workbench.records import Prediction


class Decodes(Protocol):
    """The part of a transformers tokenizer that is needed here."""

    def batch_decode(self, sequences: Tensor, *, skip_special_tokens: bool) -> Sequence[str]: ...


def generate(
    model: InstructBlip,
    batch: Batch,
    tokenizer: Decodes,
    entry: Entry,
    num_beams: int,
    repetition_penalty: float = 1.0,
) -> list[Prediction]:
    """One answer for each example, the same at every batch size.

    Args:
        tokenizer: the language model's.
        entry: gives max_new_tokens and, for beams, length_penalty (LAVIS: 1 for captions; for short
            answers -1 under T5, which is what it says, and 0 under Vicuna).
        num_beams: 1 is greedy.
        repetition_penalty: above 1 makes tokens of the answer so far less likely; a dataset may have its own.
    """
    settings: dict[str, Any] = {"max_new_tokens": entry.max_new_tokens, "num_beams": num_beams}
    settings["do_sample"] = False
    if num_beams > 1:
        lowest = 0.0 if model.hf.config.use_decoder_only_language_model else -1.0
        settings["length_penalty"] = max(entry.length_penalty, lowest)
    if entry.min_new_tokens:
        settings["min_new_tokens"] = entry.min_new_tokens
    if repetition_penalty != 1.0:
        settings["repetition_penalty"] = entry.repetition_penalty or repetition_penalty
    with model.answering():
        embeds, mask = model.inputs(batch.to(model.device))
        ids = model.hf.language_model.generate(inputs_embeds=embeds, attention_mask=mask, **settings)
    texts = tokenizer.batch_decode(ids, skip_special_tokens=True)
    return [
        Prediction(example, instruction, text.strip())
        for example, instruction, text in zip(batch.examples, batch.instructions, texts, strict=True)
    ]

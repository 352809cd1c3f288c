"""One question to one picture: the answer, what else might be said, and where the Q-Former looks."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from workbench.batch import Batch
from workbench.data.catalog import Entry
from workbench.data.collate import Collator
from workbench.evaluate.generate import generate
from workbench.evaluate.rank import rank
from workbench.model.instructblip import InstructBlip
from workbench.records import Example

BEAMS = 5


def answer(model: InstructBlip, batch: Batch, collator: Collator, entry: Entry) -> tuple[str, Tensor]:
    """The greedy answer to a batch of one, and the attention (N,) over its vision tokens.

    The attention is the Q-Former's cross-attention averaged over layers, heads and queries; N tokens,
    the class token first, sum to 1.
    """
    with watching(model) as maps:
        text = generate(model, batch, collator.tokenizers.language, entry, num_beams=1)[0].text
    return text, torch.stack([weights.mean(dim=(0, 1, 2)) for weights in maps]).mean(0)


def alternatives(
    model: InstructBlip, batch: Batch, collator: Collator, example: Example, entry: Entry
) -> list[tuple[str, float]]:
    """Candidates with their summed log-likelihood in nats, the likeliest first.

    They are the example's own or, where it has none, the answers that beam search comes upon.
    """
    if not example.candidates:
        settings: dict[str, Any] = {"num_beams": BEAMS, "num_return_sequences": BEAMS, "do_sample": False}
        with model.answering():
            embeds, mask = model.inputs(batch.to(model.device))
            ids = model.hf.language_model.generate(
                inputs_embeds=embeds, attention_mask=mask, max_new_tokens=entry.max_new_tokens, **settings
            )
        texts = collator.tokenizers.language.batch_decode(ids, skip_special_tokens=True)
        example = replace(example, candidates=tuple(dict.fromkeys(text.strip() for text in texts)))
    said = rank(model, collator.infer([example], list(batch.instructions)))[0]
    return sorted(zip(example.candidates, said.candidate_scores, strict=True), key=lambda pair: -pair[1])


@contextmanager
def watching(model: InstructBlip) -> Iterator[list[Tensor]]:
    """Collects each cross-attention's weights (B*F, heads, K, N) while the block runs.

    They are computed again from queries and keys: fused attention does not give its weights out.
    """
    maps: list[Tensor] = []
    hooks = []

    def listen(attention: Any) -> None:
        seen: dict[str, Tensor] = {}

        def keep_queries(module: nn.Module, given: Any, out: Tensor) -> None:
            seen["queries"] = out

        def compare(module: nn.Module, given: Any, out: Tensor) -> None:
            heads, width = attention.num_attention_heads, attention.attention_head_size
            queries = seen["queries"].unflatten(-1, (heads, width)).transpose(1, 2)
            keys = out.unflatten(-1, (heads, width)).transpose(1, 2)
            maps.append((queries @ keys.mT / math.sqrt(width)).softmax(-1).detach().cpu())

        hooks.append(attention.query.register_forward_hook(keep_queries))
        hooks.append(attention.key.register_forward_hook(compare))

    for layer in model.hf.qformer.encoder.layer:
        if layer.has_cross_attention:
            listen(layer.crossattention.attention)
    try:
        yield maps
    finally:
        for hook in hooks:
            hook.remove()

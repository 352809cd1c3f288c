"""The frozen language model's side: reading a prefix and a prompt, and scoring what may follow.

Two families with one set of methods (`Language`). Both take the prefix (B, P, D) of projected query
tokens ahead of the prompt. Padding never changes a result: encoder-decoders mask it on the right,
decoders get it moved to the far left, with explicit masks and position ids.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor
from transformers import DynamicCache, EncoderDecoderCache, PreTrainedModel

Layers = Sequence[tuple[Tensor | None, ...]]  # keys and values per layer, as transformers' caches iterate


@dataclass(frozen=True, slots=True)
class Reading:
    """What the language model remembers of B read prefixes and prompts.

    Attributes:
        state: (B, D) the hidden state that predicts the first answer token.
        mask: (B, L) over the read positions.
        layers: the key-value cache; never written to, so it can be expanded again and again.
        encoded: (B, L, D) encoder output; None for decoders.
    """

    state: Tensor
    mask: Tensor
    layers: Layers
    encoded: Tensor | None = None


class Language(Protocol):
    """What InstructBlip, generation and ranking ask of a language model."""

    def inputs(self, prefix: Tensor, ids: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """Embeddings (B, L, D) and mask (B, L) of ``[prefix | prompt]``, ready for transformers' generate."""
        ...

    def answer_states(self, embeds: Tensor, mask: Tensor, ids: Tensor, answer_mask: Tensor) -> Tensor:
        """(B, T, D): the states that predict each of the answer's T right-padded tokens."""
        ...

    def read(self, embeds: Tensor, mask: Tensor) -> Reading:
        """Reads inputs once, to be continued by many answers."""
        ...

    def proceed(self, reading: Reading, rows: Tensor, ids: Tensor, mask: Tensor) -> Tensor:
        """(R, T, D): the states after each of the T tokens that follow the readings `rows` (R,)."""
        ...

    def logits(self, states: Tensor) -> Tensor:
        """(..., vocabulary) in fp32."""
        ...


@dataclass(frozen=True, slots=True)
class EncoderDecoder:
    """T5: the encoder reads prefix and prompt, the decoder answers."""

    lm: PreTrainedModel

    def inputs(self, prefix: Tensor, ids: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        return _joined(self.lm, prefix, ids, mask)

    def answer_states(self, embeds: Tensor, mask: Tensor, ids: Tensor, answer_mask: Tensor) -> Tensor:
        # no mask over the answer: its padding is on the right, where causal attention never looks
        return self.lm.get_decoder()(
            input_ids=torch.cat([self._start(ids), ids[:, :-1]], dim=1),
            encoder_hidden_states=self._encoded(embeds, mask),
            encoder_attention_mask=mask,
            use_cache=False,
        ).last_hidden_state

    def read(self, embeds: Tensor, mask: Tensor) -> Reading:
        encoded = self._encoded(embeds, mask)
        cache = EncoderDecoderCache(DynamicCache(), DynamicCache())
        out = self.lm.get_decoder()(
            input_ids=self._start(mask),
            encoder_hidden_states=encoded,
            encoder_attention_mask=mask,
            past_key_values=cache,
            use_cache=True,
        )
        return Reading(out.last_hidden_state[:, -1], mask, tuple(cache), encoded)

    def proceed(self, reading: Reading, rows: Tensor, ids: Tensor, mask: Tensor) -> Tensor:
        assert reading.encoded is not None
        return self.lm.get_decoder()(
            input_ids=ids,
            encoder_hidden_states=reading.encoded[rows],  # its keys and values come from the cache
            encoder_attention_mask=reading.mask[rows],
            past_key_values=EncoderDecoderCache(_expanded(reading.layers, rows)),
            use_cache=True,
        ).last_hidden_state

    def logits(self, states: Tensor) -> Tensor:
        if self.lm.config.scale_decoder_outputs:  # T5 with tied embeddings; FLAN-T5 is untied
            states = states * self.lm.config.d_model**-0.5
        return self.lm.get_output_embeddings()(states).float()

    def _encoded(self, embeds: Tensor, mask: Tensor) -> Tensor:
        return self.lm.get_encoder()(inputs_embeds=embeds, attention_mask=mask).last_hidden_state

    def _start(self, like: Tensor) -> Tensor:
        return torch.full((len(like), 1), self.lm.config.decoder_start_token_id, device=like.device)


@dataclass(frozen=True, slots=True)
class DecoderOnly:
    """Llama and its kin: one sequence ``[padding | prefix | prompt | answer]``."""

    lm: PreTrainedModel

    def inputs(self, prefix: Tensor, ids: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        embeds, mask = _joined(self.lm, prefix, ids, mask)
        # the prompt's left padding would lie between prefix and prompt, and the last column would be
        # padding where a prompt is empty: move it ahead of the prefix
        order = mask.argsort(dim=1, stable=True)
        return embeds.gather(1, order[..., None].expand_as(embeds)), mask.gather(1, order)

    def answer_states(self, embeds: Tensor, mask: Tensor, ids: Tensor, answer_mask: Tensor) -> Tensor:
        answer = self.lm.get_input_embeddings()(ids[:, :-1])
        whole = torch.cat([mask, answer_mask[:, :-1]], dim=1)
        hidden = self.lm.get_decoder()(
            inputs_embeds=torch.cat([embeds, answer], dim=1),
            attention_mask=whole,
            position_ids=_positions(whole),
            use_cache=False,
        ).last_hidden_state
        return hidden[:, mask.shape[1] - 1 :]

    def read(self, embeds: Tensor, mask: Tensor) -> Reading:
        out = self.lm.get_decoder()(
            inputs_embeds=embeds, attention_mask=mask, position_ids=_positions(mask), use_cache=True
        )
        return Reading(out.last_hidden_state[:, -1], mask, tuple(out.past_key_values))

    def proceed(self, reading: Reading, rows: Tensor, ids: Tensor, mask: Tensor) -> Tensor:
        whole = torch.cat([reading.mask[rows], mask], dim=1)
        return self.lm.get_decoder()(
            input_ids=ids,
            attention_mask=whole,
            position_ids=_positions(whole)[:, -ids.shape[1] :],
            past_key_values=DynamicCache(_expanded(reading.layers, rows)),
            use_cache=True,
        ).last_hidden_state

    def logits(self, states: Tensor) -> Tensor:
        return self.lm.get_output_embeddings()(states).float()


def language_of(lm: PreTrainedModel) -> Language:
    """The family a transformers language model belongs to."""
    return EncoderDecoder(lm) if lm.config.is_encoder_decoder else DecoderOnly(lm)


def _joined(lm: PreTrainedModel, prefix: Tensor, ids: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
    embeds = torch.cat([prefix, lm.get_input_embeddings()(ids).to(prefix.dtype)], dim=1)
    return embeds, torch.cat([mask.new_ones(prefix.shape[:2]), mask], dim=1)


def _positions(mask: Tensor) -> Tensor:
    """(B, L): counted over real tokens only, as transformers' generate does."""
    return (mask.long().cumsum(dim=1) - 1).clamp(min=0)


def _expanded(layers: Layers, rows: Tensor) -> list[tuple[Tensor | None, ...]]:
    """The cache of the given rows. A sliding-window size, stored as a scalar beside them, stays as it is."""
    return [
        tuple(part[rows] if part is not None and part.dim() == 4 else part for part in layer)
        for layer in layers
    ]

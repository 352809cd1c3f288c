"""The frozen language model's side: reading a prefix and a prompt, and scoring what may follow.

Two families with one set of methods (`Language`). Both take the prefix (B, P, D) of projected query
tokens ahead of the prompt. Padding never changes a result: encoder-decoders mask it on the right,
decoders get it moved to the far left, with explicit masks and position ids.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor
from torch.nn import functional
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

    def of(self, rows: Tensor) -> Reading:
        """The readings of the given rows (R,)."""
        return Reading(
            self.state[rows],
            self.mask[rows],
            # a sliding-window size, stored as a scalar beside keys and values, stays as it is
            [tuple(x[rows] if x is not None and x.dim() == 4 else x for x in layer) for layer in self.layers],
            None if self.encoded is None else self.encoded[rows],
        )


@dataclass(frozen=True, slots=True)
class Trees:
    """What may follow R readings: for each the distinct beginnings of its answers, at most N, right-padded.

    A node is a token after its ancestors. The nodes of a reading lie side by side in one sequence, so that
    one pass computes each exactly once and no reading is copied (tree attention of SpecInfer, 2305.09781).

    Attributes:
        ids: (R, N) the nodes' tokens.
        mask: (R, N) bool; which are nodes and not padding.
        sees: (R, N, N) bool; the nodes that each one attends to: its ancestors and itself.
    """

    ids: Tensor
    mask: Tensor
    sees: Tensor

    @property
    def lengths(self) -> Tensor:
        """(R, N) the tokens from the reading to each node, itself included; 0 for padding."""
        return self.sees.sum(dim=-1)


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

    def proceed(self, reading: Reading, trees: Trees) -> Tensor:
        """(R, N, D): the state after each node of the trees that follow the R readings."""
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

    def proceed(self, reading: Reading, trees: Trees) -> Tensor:
        start = reading.mask.new_ones(len(reading.mask), 1)
        return self.lm.get_decoder()(
            input_ids=trees.ids,
            attention_mask=_tree_mask(start, trees.sees, reading.state.dtype) + self._moved(trees.lengths),
            encoder_hidden_states=reading.encoded,  # its keys and values come from the cache
            encoder_attention_mask=reading.mask,
            past_key_values=EncoderDecoderCache(reading.layers),
            use_cache=True,
        ).last_hidden_state

    def logits(self, states: Tensor) -> Tensor:
        if self.lm.config.scale_decoder_outputs:  # T5 with tied embeddings; FLAN-T5 is untied
            states = states * self.lm.config.d_model**-0.5
        return self.lm.get_output_embeddings()(states).float()

    def _moved(self, lengths: Tensor) -> Tensor:
        """(R, H, N, 1 + N): what turns the position bias of a sequence into that of the trees.

        The decoder takes no positions: it adds a bias by the distance of indices. It adds the mask as well,
        which brings the difference to the bias by depth; exact but for the rounding of the sum.
        """
        places = functional.pad(lengths, (1, 0))  # the start token, read before, is at 0
        decoder: Any = self.lm.get_decoder()
        attention = decoder.block[0].layer[0].SelfAttention  # its bias serves all layers
        bias = attention.compute_bias(places.shape[1], places.shape[1])[0]
        in_trees = bias[:, places[:, 1:, None], places[:, None, :]].transpose(0, 1)
        return in_trees - bias[:, 1:]

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

    def proceed(self, reading: Reading, trees: Trees) -> Tensor:
        return self.lm.get_decoder()(
            input_ids=trees.ids,
            attention_mask=_tree_mask(reading.mask, trees.sees, reading.state.dtype),
            position_ids=reading.mask.sum(dim=1, keepdim=True) + trees.lengths - 1,
            past_key_values=DynamicCache(reading.layers),
            use_cache=True,
        ).last_hidden_state

    def logits(self, states: Tensor) -> Tensor:
        return self.lm.get_output_embeddings()(states).float()


def language_of(lm: PreTrainedModel) -> Language:
    """The family a transformers language model belongs to."""
    return EncoderDecoder(lm) if lm.config.is_encoder_decoder else DecoderOnly(lm)


def _joined(lm: PreTrainedModel, prefix: Tensor, ids: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
    prompt = lm.get_input_embeddings()(ids)
    # a language model held in bf16 reads bf16; one in fp32 reads what it is given, which autocast may halve
    dtype = prefix.dtype if prompt.dtype == torch.float32 else prompt.dtype
    embeds = torch.cat([prefix.to(dtype), prompt.to(dtype)], dim=1)
    return embeds, torch.cat([mask.new_ones(prefix.shape[:2]), mask], dim=1)


def _positions(mask: Tensor) -> Tensor:
    """(B, L): counted over real tokens only, as transformers' generate does."""
    return (mask.long().cumsum(dim=1) - 1).clamp(min=0)


def _tree_mask(mask: Tensor, sees: Tensor, dtype: torch.dtype) -> Tensor:
    """(R, 1, N, L + N): 0 where a node attends, to what was read (R, L) or nodes (R, N, N); else the least.

    To be added to the scores: both of transformers' attentions that take such a mask, eager and sdpa, do so.
    A sliding window is not cut out of what was read, which has to be shorter than it.
    """
    hidden = torch.cat([mask[:, None].expand(-1, sees.shape[1], -1) == 0, ~sees], dim=2)
    return torch.zeros(hidden.shape, dtype=dtype, device=mask.device).masked_fill(
        hidden, torch.finfo(dtype).min
    )[:, None]

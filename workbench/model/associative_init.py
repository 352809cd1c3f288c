"""Initial weights that let tiny models look: language models in their context, a Q-Former at a picture.

In-context lookup ("what color is the dog ?" -> the colour beside "dog") is known to be learnt only
after a long plateau: associative-recall studies need some 0.5-2 million sequences at this size. The
circuit that ends the plateau is known too, so we start from it instead of waiting for it: heads that
look at a near neighbour, heads whose query and key projections are equal and so attend from a token
to the same token elsewhere, and value/output projections that copy what they see (in the spirit of
Trockman & Kolter 2023, "Mimetic initialization of self-attention layers"). With it, one-hop lookup
among five objects is learnt from some 30 thousand sequences; without it,
earlier trials stood at chance after 190 thousand.
A Q-Former has a plateau of its own: as long as its queries attend to all patches alike they learn what
is in the picture, but not what is where, which is why DETR (arXiv 2005.12872) learns so slowly. BERT's
weights, from which BLIP-2 starts, are not at hand here, so each query starts by looking at one place.
Only initial values are set: the result is an ordinary T5, Llama or Q-Former.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn
from transformers import InstructBlipQFormerModel, LlamaForCausalLM, T5ForConditionalGeneration

LOCAL_SHARPNESS = 5.0  # attention logit of the favoured neighbour
MATCH_GAIN = 0.5  # scale of equal query and key projections
SELF_PENALTY = -10.0  # keeps matching heads from finding the token itself
T5_OFFSETS = (-1, -2, -3, -4)  # neighbours the first heads look at; the rest match
LLAMA_OFFSETS = (1, 2, 3, 4)
LOOK_SHARPNESS = 12.0  # attention logit of a patch of the query's own place; 0 for all others


def orthonormal(rows: int, columns: int) -> Tensor:
    """(rows, columns) with orthonormal rows."""
    return torch.linalg.qr(torch.randn(columns, rows))[0].T


def _copying(value: nn.Linear, output: nn.Linear, heads: int, gain: float) -> None:
    """Value and output projections of each head become a projection onto a random subspace."""
    size = value.out_features // heads
    for head in range(heads):
        rows = slice(head * size, (head + 1) * size)
        basis = orthonormal(size, value.in_features)
        value.weight[rows] = basis
        output.weight[:, rows] = basis.T * gain


@torch.no_grad()
def initialise_t5(model: T5ForConditionalGeneration, gain: float = 1.0) -> None:
    """Sets the encoder's attention, in place.

    Raises:
        ValueError: when the model has fewer heads than neighbours to look at plus one to match.
    """
    config: Any = model.config
    heads, size, local = config.num_heads, config.d_kv, len(T5_OFFSETS)
    if heads <= local:
        raise ValueError(f"{heads} heads are too few: {local} look at neighbours and at least one matches")
    blocks: Any = model.encoder.block  # nn.ModuleList does not say what it holds
    bias = blocks[0].layer[0].SelfAttention.relative_attention_bias.weight
    bias.zero_()
    half = config.relative_attention_num_buckets // 2
    for head, offset in enumerate(T5_OFFSETS):
        bias[abs(offset) + (half if offset > 0 else 0), head] = LOCAL_SHARPNESS
    bias[0, local:] = SELF_PENALTY
    for block in blocks:
        attention = block.layer[0].SelfAttention
        for head in range(local, heads):
            rows = slice(head * size, (head + 1) * size)
            basis = orthonormal(size, config.d_model) * MATCH_GAIN
            attention.q.weight[rows] = basis
            attention.k.weight[rows] = basis
        _copying(attention.v, attention.o, heads, gain)


@torch.no_grad()
def initialise_llama(model: LlamaForCausalLM, gain: float = 1.0) -> None:
    """Sets the attention, in place; it needs attention_bias and untied embeddings.

    Rotary positions turn equal biases on query and key into a score that depends on the distance
    alone: sum_i cos((distance - offset) w_i). Neighbour heads use it to look `offset` tokens back,
    matching heads to look away from the token itself; those match in the slowly turning dimensions,
    which distance hardly changes.

    Raises:
        ValueError: when the configuration lacks attention biases or heads.
    """
    config: Any = model.config
    heads, size, local = config.num_attention_heads, config.head_dim, len(LLAMA_OFFSETS)
    if not config.attention_bias or heads <= local or config.num_key_value_heads != heads:
        raise ValueError(f"attention_bias, equal key and query heads and more than {local} heads are needed")
    half = size // 2
    frequencies = config.rope_parameters["rope_theta"] ** (-torch.arange(half) / half)
    fast = int((frequencies > 0.03).sum())
    model.model.embed_tokens.weight.normal_()
    model.lm_head.weight.copy_(model.model.embed_tokens.weight / math.sqrt(config.hidden_size))
    for layer in model.model.layers:
        attention: Any = layer.self_attn
        attention.q_proj.bias.zero_()
        attention.k_proj.bias.zero_()
        for head in range(heads):
            start = head * size
            rows = slice(start, start + size)
            if head < local:
                sharp = math.sqrt(LOCAL_SHARPNESS * math.sqrt(size))
                angle = LLAMA_OFFSETS[head] * frequencies
                attention.q_proj.bias[start : start + half] = sharp
                attention.k_proj.bias[rows] = sharp * torch.cat([angle.cos(), angle.sin()])
                attention.q_proj.weight[rows] *= 0.5
                attention.k_proj.weight[rows] *= 0.5
                continue
            basis = orthonormal(size, config.hidden_size) * (MATCH_GAIN * size**0.25)
            basis[:fast] = 0.0
            basis[half : half + fast] = 0.0
            attention.q_proj.weight[rows] = basis
            attention.k_proj.weight[rows] = basis
            away = math.sqrt(-SELF_PENALTY * math.sqrt(size) / fast)
            attention.q_proj.bias[start : start + fast] = away
            attention.k_proj.bias[start : start + fast] = -away
        attention.v_proj.bias.zero_()
        attention.o_proj.bias.zero_()
        _copying(attention.v_proj, attention.o_proj, heads, gain)


@torch.no_grad()
def initialise_looking(
    qformer: InstructBlipQFormerModel, query_tokens: nn.Parameter, seen: Tensor, place: Tensor
) -> None:
    """Each query starts by averaging the patches of one place, in every layer that looks at the picture.

    Keys say, by least squares, of which place a patch is; each query asks for its own.

    Args:
        query_tokens: (1, K, D), set to orthogonal vectors of the length that a layer norm gives.
        seen: (N, 1 + P, V) pictures as the Q-Former sees them, with a [CLS] token in front; V = D.
        place: (P,) which of the K places each patch belongs to.

    Raises:
        ValueError: when a head has fewer dimensions than there are places, or V is not D.
    """
    count, width = query_tokens.shape[1:]
    heads = qformer.config.num_attention_heads
    size = width // heads
    if size < count or seen.shape[2] != width:
        raise ValueError(f"{count} places need heads as wide as that, and features of width {width}")
    patches = seen[:, 1:].flatten(0, 1)
    one = torch.cat([patches, torch.ones(len(patches), 1)], 1)
    wanted = nn.functional.one_hot(place, count).float().repeat(len(seen), 1)
    found = torch.linalg.lstsq(one, wanted).solution.T
    asking = orthonormal(count, width)
    query_tokens.copy_(asking[None] * math.sqrt(width))
    layers: Any = qformer.encoder.layer
    for layer in layers:
        if not layer.has_cross_attention:
            continue
        attention: Any = layer.crossattention.attention
        output: Any = layer.crossattention.output
        for part in (attention.query, attention.key):
            part.weight.zero_()
        for head in range(heads):
            rows = slice(head * size, head * size + count)
            attention.query.weight[rows] = asking * LOOK_SHARPNESS * math.sqrt(size / width)
            attention.key.weight[rows], attention.key.bias[rows] = found[:, :-1], found[:, -1]
        attention.value.weight.copy_(torch.eye(width))
        output.dense.weight.copy_(torch.eye(width))

"""Weights by the names that transformers' InstructBLIP has for them, from those of LAVIS, BLIP-2 and BERT."""

from __future__ import annotations

import re
from collections.abc import Mapping

import torch
from torch import Tensor

State = dict[str, Tensor]

# LAVIS to transformers, in this order; what no rule touches keeps its name. Which modules correspond is
# known from transformers' conversion script for InstructBLIP.
_LAYER = r"vision_model.encoder.layers.\1."
_LAVIS = (
    (r"^visual_encoder\.cls_token$", "vision_model.embeddings.class_embedding"),
    (r"^visual_encoder\.pos_embed$", "vision_model.embeddings.position_embedding"),
    (r"^visual_encoder\.patch_embed\.proj\.", "vision_model.embeddings.patch_embedding."),
    (r"^visual_encoder\.blocks\.(\d+)\.norm([12])\.", _LAYER + r"layer_norm\2."),
    (r"^visual_encoder\.blocks\.(\d+)\.attn\.proj\.", _LAYER + "self_attn.projection."),
    (r"^visual_encoder\.blocks\.(\d+)\.attn\.", _LAYER + "self_attn."),
    (r"^visual_encoder\.blocks\.(\d+)\.mlp\.", _LAYER + "mlp."),
    (r"^ln_vision\.", "vision_model.post_layernorm."),
    (r"^(t5|llm|opt)_proj\.", "language_projection."),
    (r"^(t5|llm|opt)_model\.", "language_model."),
    (r"^Qformer\.bert\.embeddings\.LayerNorm\.", "qformer.embeddings.layernorm."),
    (r"^Qformer\.bert\.", "qformer."),
    (r"^(qformer\..*attention)\.self\.", r"\1.attention."),
)
# What a LAVIS file may hold beyond the model: stage 1's heads, buffers, the momentum copies of training.
_LAVIS_SPARE = r"^(Qformer\.cls|vision_proj|text_proj|itm_head|temp$|logit_scale$)|position_ids$|inv_freq$"
_BLIP2_SPARE = ("vision_projection.", "text_projection.", "itm_head.")
# What stage-2 BLIP-2 checkpoints lack (LAVIS issues 344 and 414): what the instruction goes through.
TEXT_PATH = re.compile(
    r"^qformer\.(embeddings\.(word|position)_embeddings|encoder\.layer\.\d+\.(intermediate|output))\."
)


def from_lavis(state: Mapping[str, Tensor]) -> tuple[State, list[str]]:
    """A LAVIS state dict by transformers' names, and the names that have no place in an InstructBLIP.

    The query and value biases of its ViT become one bias with zeros for the keys.
    """
    renamed: State = {}
    spare: list[str] = []
    for name, tensor in state.items():
        if re.search(_LAVIS_SPARE, name):
            spare.append(name)
            continue
        for pattern, replacement in _LAVIS:
            name = re.sub(pattern, replacement, name)
        renamed[name] = tensor
    for name in [name for name in renamed if name.endswith(".self_attn.q_bias")]:
        query, value = renamed.pop(name), renamed.pop(name.replace("q_bias", "v_bias"))
        bias = torch.cat([query, torch.zeros_like(query), value])
        renamed[name.replace("q_bias", "qkv.bias")] = bias
    return renamed, spare


def from_blip2(state: Mapping[str, Tensor]) -> tuple[State, list[str]]:
    """transformers' BLIP-2, and the names that have no place in an InstructBLIP: stage 1's heads.

    The one layer norm ahead of the Q-Former has another name there, and stage 1's text embeddings lie
    beside the Q-Former.
    """
    renamed = {
        re.sub(r"^(qformer\.(?=layernorm\.)|embeddings\.)", "qformer.embeddings.", name): tensor
        for name, tensor in state.items()
    }
    spare = [name for name in renamed if name.startswith(_BLIP2_SPARE)]
    return {name: tensor for name, tensor in renamed.items() if name not in spare}, spare


def from_bert(state: Mapping[str, Tensor]) -> State:
    """A BertModel as a Q-Former that has not seen a picture yet.

    The queries' feed-forwards start as copies of the text's, as in LAVIS' blip2_qformer.py. BERT adds an
    embedding for the first segment to every token, which the Q-Former has no place for: it goes into
    the word embeddings.
    """
    renamed: State = {}
    segment = state["embeddings.token_type_embeddings.weight"][0]
    for name, tensor in state.items():
        if name.startswith("pooler.") or "token_type" in name or name.endswith("position_ids"):
            continue
        if name == "embeddings.word_embeddings.weight":
            tensor = tensor + segment
        name = "qformer." + name.replace("embeddings.LayerNorm.", "embeddings.layernorm.")
        name = name.replace(".attention.self.", ".attention.attention.")
        renamed[name] = tensor
        if re.search(r"layer\.\d+\.(intermediate|output)\.", name):
            renamed[re.sub(r"\.(intermediate|output)\.", r".\1_query.", name, count=1)] = tensor.clone()
    return renamed

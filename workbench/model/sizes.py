"""The models of the presets as configurations: what they would be, without their weights.

EVA ViT-g and BERT-base's Q-Former are the defaults of transformers' InstructBLIP; its vocabulary is
BERT's with LAVIS' [DEC]. FLAN-T5 with the activation that LAVIS gives it, Vicuna with LAVIS' [PAD], SmolLM2
with the <image> that `workbench start` gives it.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from transformers import (
    InstructBlipConfig,
    InstructBlipForConditionalGeneration,
    InstructBlipQFormerConfig,
    InstructBlipVisionConfig,
    LlamaConfig,
    PreTrainedConfig,
    T5Config,
)

QFORMER_VOCABULARY = 30_523
QUERIES = 32


def _flan(width: int, wide: int, heads: int) -> T5Config:
    more: dict[str, Any] = {  # T5Config declares none of them
        "dense_act_fn": "gelu", "tie_word_embeddings": False, "decoder_start_token_id": 0,
    }  # fmt: skip
    return T5Config(
        vocab_size=32_128, d_model=width, d_kv=64, d_ff=wide, num_layers=24, num_heads=heads,
        feed_forward_proj="gated-gelu", pad_token_id=0, eos_token_id=1, **more,
    )  # fmt: skip


def _vicuna(width: int, wide: int, layers: int, heads: int) -> LlamaConfig:
    return LlamaConfig(
        vocab_size=32_001, hidden_size=width, intermediate_size=wide, num_hidden_layers=layers,
        num_attention_heads=heads, pad_token_id=32_000, bos_token_id=2, eos_token_id=2,
    )  # fmt: skip


def language_models() -> dict[str, PreTrainedConfig]:
    """The language models by the names that the presets have after ``paper-``."""
    return {
        "flant5xl": _flan(2048, 5120, 32),
        "flant5xxl": _flan(4096, 10_240, 64),
        "vicuna7b": _vicuna(4096, 11_008, 32, 32),
        "vicuna13b": _vicuna(5120, 13_824, 40, 40),
    }


def paper_config(language_model: str) -> InstructBlipConfig:
    """One of the four in full."""
    return InstructBlipConfig(
        vision_config=InstructBlipVisionConfig().to_dict(),
        qformer_config=InstructBlipQFormerConfig(vocab_size=QFORMER_VOCABULARY).to_dict(),
        text_config=language_models()[language_model].to_dict(),
        num_query_tokens=QUERIES,
        image_token_index=32_000,
    )


def small_config() -> InstructBlipConfig:
    """The preset `small`: DINOv2-small, SmolLM2-135M-Instruct, and BERT-base as the Q-Former's beginning."""
    vision = InstructBlipVisionConfig(
        hidden_size=384, intermediate_size=1536, num_hidden_layers=12, num_attention_heads=6,
        image_size=224, patch_size=14,
    )  # fmt: skip
    language = LlamaConfig(
        vocab_size=49_153, hidden_size=576, intermediate_size=1536, num_hidden_layers=30,
        num_attention_heads=9, num_key_value_heads=3, tie_word_embeddings=True,
        pad_token_id=2, bos_token_id=1, eos_token_id=2,
    )  # fmt: skip
    return InstructBlipConfig(
        vision_config=vision.to_dict(),
        qformer_config=InstructBlipQFormerConfig(vocab_size=30_522).to_dict(),
        text_config=language.to_dict(),
        num_query_tokens=QUERIES,
    )


def hollow(config: InstructBlipConfig) -> InstructBlipForConditionalGeneration:
    """The model on the meta device: shapes and types without contents, for counting.

    FLAN-T5's output layer is its own; transformers shares it with the embeddings until it reads weights
    that differ.
    """
    with torch.device("meta"):
        model = InstructBlipForConditionalGeneration(config)
        language: Any = model.language_model
        if getattr(language.config, "scale_decoder_outputs", True) is False:
            language.lm_head.weight = nn.Parameter(torch.empty_like(language.lm_head.weight))
    return model

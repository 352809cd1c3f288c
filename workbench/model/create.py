"""A fresh InstructBLIP between a finished vision encoder and a finished language model."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    AutoModelForSeq2SeqLM,
    InstructBlipConfig,
    InstructBlipForConditionalGeneration,
    InstructBlipQFormerConfig,
    InstructBlipVisionModel,
    PreTrainedModel,
)

from workbench.model.folder import ModelError, check_files, reading

UNNAMED = {"_name_or_path": ""}  # where the parts lay on this machine is nobody's business
QUERY_STD = 0.02  # LAVIS; transformers leaves query tokens at zero, so that all queries stay the same


def new(
    vision_folder: Path,
    language_folder: Path,
    qformer: Mapping[str, Any],
    *,
    num_query_tokens: int,
    image_token_id: int,
    seed: int,
) -> InstructBlipForConditionalGeneration:
    """Joins the two by a Q-Former, query tokens and a projection drawn from N(0, 0.02) (LAVIS).

    Args:
        vision_folder: an InstructBlipVisionModel, saved by transformers.
        language_folder: a T5 or a decoder-only model (Llama), saved by transformers; its config names
            eos_token_id and pad_token_id, and decoder_start_token_id for T5.
        qformer: fields of InstructBlipQFormerConfig: vocab_size, hidden_size, num_hidden_layers, ...
            encoder_hidden_size follows from the vision folder.
        image_token_id: where plain transformers expects the prefix, the id of InstructBlipProcessor's
            ``<image>``; it has to lie inside the language model's vocabulary, and may be an unused id.
        seed: of everything that is drawn; the caller's random state stays as it was.

    Returns:
        An fp32 model in eval mode; the finished parts are loaded exactly.

    Raises:
        ModelError: when a folder is not what it should be.
    """
    vision, language = _vision(vision_folder), _language(language_folder)
    vocabulary = int(language.config.vocab_size)
    if not 0 <= image_token_id < vocabulary:
        raise ModelError(
            f"image_token_id {image_token_id} is outside the {vocabulary} tokens of {language_folder}; "
            "train that language model with a spare vocabulary entry for <image>, or enlarge its embedding"
        )
    config = InstructBlipConfig(
        vision_config=vision.config.to_dict() | UNNAMED,
        qformer_config=InstructBlipQFormerConfig(**qformer).to_dict(),
        text_config=language.config.to_dict() | UNNAMED,
        num_query_tokens=num_query_tokens,
        image_token_index=image_token_id,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = InstructBlipForConditionalGeneration(config)
        nn.init.normal_(model.query_tokens, std=QUERY_STD)
    model.vision_model.load_state_dict(vision.state_dict())
    model.language_model.load_state_dict(language.state_dict())
    return model.eval()


def _vision(folder: Path) -> InstructBlipVisionModel:
    check_files(folder, tokenizers=False)
    with reading(folder):
        return InstructBlipVisionModel.from_pretrained(folder, dtype=torch.float32)


def _language(folder: Path) -> PreTrainedModel:
    check_files(folder, tokenizers=False)
    with reading(folder):
        config = AutoConfig.from_pretrained(folder)
        kind = AutoModelForSeq2SeqLM if config.is_encoder_decoder else AutoModelForCausalLM
        model = kind.from_pretrained(folder, dtype=torch.float32)
    needed = ["eos_token_id", "pad_token_id"] + ["decoder_start_token_id"] * config.is_encoder_decoder
    for name in needed:
        if getattr(config, name, None) is None:
            raise ModelError(f"{folder / 'config.json'} has no {name}; write it there, generation needs it")
    return model

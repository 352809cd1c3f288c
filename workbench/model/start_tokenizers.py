"""The two tokenizers of a start, from its sources, with the tokens that a start needs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from transformers import (
    AddedToken,
    AutoTokenizer,
    PreTrainedConfig,
    PreTrainedTokenizerBase,
    PreTrainedTokenizerFast,
)

from workbench.model.folder import ModelError, reading
from workbench.model.naming import State
from workbench.model.sources import STAGE_ONE, Part

IMAGE = "<image>"  # as InstructBlipProcessor calls the placeholder
# BERT's special tokens by their roles; google-bert/bert-base-uncased says nowhere which is which
_BERT = {
    "pad_token": "[PAD]", "unk_token": "[UNK]", "cls_token": "[CLS]", "sep_token": "[SEP]",
    "mask_token": "[MASK]",
}  # fmt: skip
_ROWS = ("embed_tokens.weight", "shared.weight", "lm_head.weight")  # a row for each token


def of_language(parts: Sequence[Part]) -> PreTrainedTokenizerBase:
    """The language model's, of the last source that has one.

    Raises:
        ModelError: when none has, or it cannot be read.
    """
    for part in parts[::-1]:
        if part.kind in ("language", "instructblip", "blip-2") and part.folder is not None:
            own = part.folder / "tokenizer"
            if found := _read(own if own.is_dir() else part.folder):
                return _padded(found)
    raise _lacking("a language model", "its folder or hub id into")


def of_qformer(parts: Sequence[Part]) -> PreTrainedTokenizerBase:
    """The Q-Former's, of the last source that has one.

    Raises:
        ModelError: when none has, or it cannot be read.
    """
    for part in parts[::-1]:
        if part.kind in ("bert", STAGE_ONE, "instructblip") and part.folder is not None:
            folder = part.folder / "qformer_tokenizer" if part.kind == "instructblip" else part.folder
            if found := _read(folder):
                words = found.get_vocab()
                for role, token in _BERT.items():
                    if getattr(found, role) is None and token in words:
                        setattr(found, role, token)
                return _padded(found)
    raise _lacking("the Q-Former", "google-bert/bert-base-uncased first in")


def end_as_configured(language: PreTrainedTokenizerBase, text: PreTrainedConfig) -> None:
    """OPT's answers end in a new line, as BLIP-2 trained them; its tokenizer names another end token."""
    if text.model_type == "opt" and text.eos_token_id != language.eos_token_id:
        language.eos_token = language.convert_ids_to_tokens(text.eos_token_id)


def placeholder(language: PreTrainedTokenizerBase, vocabulary: int, state: State) -> int:
    """The id of a new token <image>, which no text has: transformers puts it where the query tokens go.

    Where the language model has no row for it, as Vicuna with its 32,000, `state` gets one, the mean of the
    others. LAVIS adds one there too, for padding.

    Args:
        vocabulary: the language model's rows.
    """
    language.add_tokens([AddedToken(IMAGE, normalized=False, special=True)], special_tokens=True)
    found = int(language.get_vocab()[IMAGE])
    lacking = found + 1 - vocabulary
    for name, tensor in state.items():
        if lacking > 0 and name.startswith("language_model.") and name.endswith(_ROWS):
            mean = tensor.float().mean(dim=0, keepdim=True).to(tensor.dtype)
            state[name] = torch.cat([tensor, mean.expand(lacking, -1)])
    return found


def _read(folder: Path) -> PreTrainedTokenizerBase | None:
    """A folder's tokenizer; that of a tokenizer.model alone is made from it."""
    if not (folder / "tokenizer_config.json").is_file():
        return None
    with reading(folder):
        loader = PreTrainedTokenizerFast if (folder / "tokenizer.json").is_file() else AutoTokenizer
        found: PreTrainedTokenizerBase = loader.from_pretrained(folder)
    return found


def _padded(tokenizer: PreTrainedTokenizerBase) -> PreTrainedTokenizerBase:
    if tokenizer.pad_token_id is None:  # padding is masked, so any token does
        tokenizer.pad_token = tokenizer.unk_token or tokenizer.eos_token
    return tokenizer


def _lacking(whose: str, needed: str) -> ModelError:
    return ModelError(f"no source of model.checkpoint has a tokenizer for {whose}; put {needed} the list")

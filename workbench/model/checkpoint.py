"""A start from the sources of model.checkpoint: each puts its weights over those before it.

What comes out is the folder that the workbench and plain transformers read, and an account of it: which
weights came from which source, which were drawn at random, which had no place, and what was missing.
Missing weights are an error. Only a model that no BLIP has been part of draws its Q-Former, and only one
whose sources know no projection draws that.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from transformers import (
    InstructBlipConfig,
    InstructBlipForConditionalGeneration,
    InstructBlipQFormerConfig,
    InstructBlipVisionConfig,
    PreTrainedConfig,
    PreTrainedTokenizerBase,
)

from workbench.model import start_tokenizers
from workbench.model.create import QUERY_STD, UNNAMED
from workbench.model.folder import ModelError, set_queries
from workbench.model.naming import TEXT_PATH, State
from workbench.model.sources import STAGE_ONE, Part, preprocessing

SEED = 2023  # of what is drawn: the same start whoever makes it
BLIPS = ("instructblip", "blip-2", STAGE_ONE, "lavis", "trained")
_GONE = {"language": ("language_model.", "language_projection."), "vision": ("vision_model.",)}
_QFORMER = ("qformer.", "query_tokens", "language_projection.")


def assemble(parts: Sequence[Part], queries: int, target: Path) -> dict[str, Any]:
    """Writes `target`/blip2-<family> and `target`/vision, each whole or not at all.

    Args:
        queries: how many query tokens a model from scratch gets; others keep theirs.

    Returns:
        The account: family, for each source its revision, checksums and the weights it gave, and the
        lists `drawn`, `unexpected` and `spare`.

    Raises:
        ModelError: when parts are missing or do not fit together.
    """
    state, giver = _merged(parts)
    language, reader = start_tokenizers.of_language(parts), start_tokenizers.of_qformer(parts)
    config = _config(parts, state, language, len(reader), queries)
    with torch.device("meta"):
        model = InstructBlipForConditionalGeneration(config)
    tied = set(model.all_tied_weights_keys)
    wanted = {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}
    unexpected = sorted(state.keys() - wanted.keys())
    state = {name: tensor for name, tensor in state.items() if name in wanted}
    absent = wanted.keys() - state.keys()
    drawn = _drawn(parts, sorted(absent - tied), wanted)
    state |= drawn
    for name, tensor in state.items():
        if tuple(tensor.shape) != wanted[name]:
            raise ModelError(
                f"{giver[name]} has {name} of shape {tuple(tensor.shape)} where {wanted[name]} is needed; "
                "the sources of model.checkpoint do not belong together"
            )
    model.load_state_dict(state, strict=False, assign=True)
    # what is there twice and differs stays apart: FLAN-T5's output layer, whatever its config says
    model.tie_weights(missing_keys=set(absent - drawn.keys()), recompute_mapping=False)
    family = "llama" if config.use_decoder_only_language_model else "t5"
    _write(model, language, reader, _pixels(parts, config), target, family)
    return {
        "family": family,
        "drawn": sorted(drawn),
        "unexpected": unexpected,
        "spare": [name for part in parts for name in part.spare],
        "sources": [_account(part, giver) for part in parts],
    }


def _merged(parts: Sequence[Part]) -> tuple[State, dict[str, str]]:
    """The weights, later sources over earlier ones, and which source each is from.

    A language model or vision encoder on its own takes the place of an earlier one whole, and the
    projection into an earlier language model goes with it.
    """
    state: State = {}
    giver: dict[str, str] = {}
    for part in parts:
        state = {
            name: tensor for name, tensor in state.items() if not name.startswith(_GONE.get(part.kind, ()))
        }
        state |= part.state
        giver |= dict.fromkeys(part.state, part.name)
    return state, {name: giver[name] for name in state}


def _config(
    parts: Sequence[Part], state: State, language: PreTrainedTokenizerBase, reading_words: int, queries: int
) -> InstructBlipConfig:
    """The last source that knows a part decides how it is built; sizes follow from the weights.

    `language` and `state` may get a token <image>.
    """
    vision = _last(parts, "vision", "vision_config")
    text = _last(parts, "language", "text_config")
    if vision is None or text is None:
        lacks = "vision encoder" if vision is None else "language model"
        raise ModelError(
            f"no source of model.checkpoint has a {lacks}; name one that does, by folder or hub id"
        )
    of_lavis = any(part.kind == "lavis" for part in parts)
    if not text.is_encoder_decoder and of_lavis:
        # LAVIS trained its Vicunas with </s> where Llama has <s>; with the latter they answer badly
        language.bos_token = language.eos_token
    start_tokenizers.end_as_configured(language, text)
    image = start_tokenizers.placeholder(language, text.vocab_size, state)
    given = _last(parts, "bert", "qformer_config")
    shared = (
        "hidden_size", "num_hidden_layers", "num_attention_heads", "intermediate_size", "hidden_act",
        "hidden_dropout_prob", "attention_probs_dropout_prob", "max_position_embeddings", "layer_norm_eps",
        "pad_token_id", "cross_attention_frequency",
    )  # fmt: skip
    qformer = {} if given is None else {n: getattr(given, n) for n in shared if hasattr(given, n)}
    words = state.get("qformer.embeddings.word_embeddings.weight")
    rows = reading_words if words is None else len(words)
    if rows < reading_words:
        raise ModelError(f"the Q-Former's tokenizer has {reading_words} tokens, its embeddings only {rows}")
    ids = {name: getattr(language, name) for name in ("pad_token_id", "eos_token_id", "bos_token_id")}
    fields = text.to_dict() | UNNAMED | {name: value for name, value in ids.items() if value is not None}
    fields["vocab_size"] = max(text.vocab_size, image + 1)
    if of_lavis and fields.get("dense_act_fn") == "gelu_new":
        fields["dense_act_fn"] = "gelu"  # LAVIS trained around a FLAN-T5 that it had given this activation
    if text.is_encoder_decoder and fields.get("decoder_start_token_id") is None:
        fields["decoder_start_token_id"] = fields["pad_token_id"]
    tokens = state.get("query_tokens")
    return InstructBlipConfig(
        vision_config=InstructBlipVisionConfig(
            **{k: v for k, v in vision.to_dict().items() if k != "model_type"} | UNNAMED
        ).to_dict(),
        qformer_config=InstructBlipQFormerConfig(vocab_size=rows, **qformer).to_dict(),
        text_config=fields,
        num_query_tokens=queries if tokens is None else tokens.shape[1],
        image_token_index=image,
    )


def _last(parts: Sequence[Part], kind: str, section: str) -> PreTrainedConfig | None:
    known = [part for part in parts if not (part.kind == STAGE_ONE and kind == "language")]
    found = [part.config if part.kind == kind else getattr(part.config, section, None) for part in known]
    return next((config for config in found[::-1] if config is not None), None)


def _drawn(parts: Sequence[Part], missing: Sequence[str], shapes: dict[str, tuple[int, ...]]) -> State:
    """Fresh weights for what may be fresh.

    Raises:
        ModelError: for anything else; the text path that BLIP-2 checkpoints lack gets its own sentence.
    """
    from_scratch = not any(part.kind in BLIPS for part in parts)
    fresh = _QFORMER if from_scratch else ("language_projection.",)
    wrong = [name for name in missing if not name.startswith(fresh)]
    if text := [name for name in wrong if TEXT_PATH.match(name)]:
        raise ModelError(
            f"no source of model.checkpoint has the Q-Former's text path ({text[0]} and {len(text) - 1} "
            "more): BLIP-2 checkpoints of stage 2 lack it, and instructions would go through random weights; "
            "put a stage-1 file (LAVIS blip2_pretrained.pth) or a BERT (google-bert/bert-base-uncased) first"
        )
    if wrong:
        raise ModelError(f"no source of model.checkpoint has {wrong[0]} and {len(wrong) - 1} more weights")
    draw = torch.Generator().manual_seed(SEED)
    return {name: _fresh(name, shapes[name], draw) for name in missing}


def _fresh(name: str, shape: tuple[int, ...], draw: torch.Generator) -> Tensor:
    if name.endswith(".bias"):
        return torch.zeros(shape)
    if "layernorm" in name.lower():
        return torch.ones(shape)
    return torch.randn(shape, generator=draw) * QUERY_STD


def _pixels(parts: Sequence[Part], config: InstructBlipConfig) -> dict[str, Any]:
    """preprocessor_config.json: pictures squashed to the encoder's size, its own mean and deviation."""
    known = [
        preprocessing(part.folder)
        for part in parts
        if part.folder and part.kind in ("vision", "instructblip", "blip-2", STAGE_ONE)
    ]
    found = next((fields for fields in known[::-1] if fields), None)
    if found is None:
        raise ModelError("no source says how its pictures are normalised; add its preprocessor_config.json")
    vision: Any = config.vision_config
    side = vision.image_size
    return {"resample": 3, **found, "size": {"height": side, "width": side}, "do_center_crop": False}


def _write(
    model: InstructBlipForConditionalGeneration,
    language: PreTrainedTokenizerBase,
    reader: PreTrainedTokenizerBase,
    pixels: dict[str, Any],
    target: Path,
    family: str,
) -> None:
    making = target / ".making"
    shutil.rmtree(making, ignore_errors=True)
    whole, vision = making / f"blip2-{family}", making / "vision"
    model.save_pretrained(whole)
    set_queries(whole, model.config.num_query_tokens)
    model.vision_model.save_pretrained(vision)
    language.save_pretrained(whole)
    reader.save_pretrained(whole / "qformer_tokenizer")
    for folder in (whole, vision):
        (folder / "preprocessor_config.json").write_text(
            json.dumps(pixels, indent=2) + "\n", encoding="utf-8"
        )
    for made in (vision, whole):
        shutil.rmtree(target / made.name, ignore_errors=True)
        made.rename(target / made.name)
    making.rmdir()


def _account(part: Part, giver: dict[str, str]) -> dict[str, Any]:
    used = sorted(name for name in part.state if giver.get(name) == part.name)
    return {
        "source": part.name,
        "kind": part.kind,
        "revision": part.revision,
        "sha256": dict(part.files),
        "loaded": used,
        "replaced": sorted(part.state.keys() - set(used)),
    }

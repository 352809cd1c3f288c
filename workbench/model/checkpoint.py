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
_SECTION = {"vision": "vision_config", "language": "text_config", "bert": "qformer_config"}
_PROJECTION = "language_projection.weight"


def assemble(parts: Sequence[Part], queries: int, target: Path) -> dict[str, Any]:
    """Writes `target`/blip2-<family> and `target`/vision, each whole or not at all.

    Args:
        queries: how many query tokens a model from scratch gets; others keep theirs.

    Returns:
        The account: family, for each source its revision, checksums and the weights it gave, the sources
        of the Q-Former's text path, and the lists `drawn`, `unexpected` and `spare`.

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
    giver = {name: giver[name] for name in state}
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
        "text_path": list(dict.fromkeys(giver[name] for name in giver if TEXT_PATH.match(name))),
        "drawn": sorted(drawn),
        "unexpected": unexpected,
        "spare": [name for part in parts for name in part.spare],
        "sources": [_account(part, giver, unexpected) for part in parts],
    }


def _merged(parts: Sequence[Part]) -> tuple[State, dict[str, str]]:
    """The weights, later sources over earlier ones, and which source each is from.

    A language model or vision encoder on its own takes the place of an earlier one whole, and the
    projection into an earlier language model goes with it.

    Raises:
        ModelError: when a source would undo what one before it was trained to.
    """
    state: State = {}
    giver: dict[str, Part] = {}
    lost = None  # the sentence about a projection, which a later source may still make good
    for part in parts:
        taught = next((giver[n] for n in state if n.startswith("qformer.") and giver[n].kind != "bert"), None)
        if part.kind == "bert" and taught:
            raise ModelError(
                f"{part.name} would go over the Q-Former of {taught.name}: a BERT is what one begins as; "
                "put it first in model.checkpoint"
            )
        lost = _lost(part, giver[_PROJECTION], state) if _PROJECTION in state else lost
        state = {
            name: tensor for name, tensor in state.items() if not name.startswith(_GONE.get(part.kind, ()))
        }
        state |= part.state
        giver |= dict.fromkeys(part.state, part)
    if lost and _PROJECTION not in state:
        raise ModelError(lost)
    return state, {name: giver[name].name for name in state}


def _lost(part: Part, giver: Part, state: State) -> str | None:
    """What to say when a language model comes after the projection that was trained into it.

    A file's projection is taken to be into any model of its width; a BLIP's, which has a language model of
    its own, into one of the same type as well.
    """
    language: Any = part.config
    own = getattr(giver.config, "text_config", language)
    if part.kind != "language" or own.model_type != language.model_type:
        return None
    if len(state[_PROJECTION]) != language.hidden_size:
        return None
    return (
        f"{part.name} would throw away the projection into a language model that {giver.name} gives; "
        f"name {part.name} ahead of {giver.name} in model.checkpoint, or leave it out"
    )


def _config(
    parts: Sequence[Part], state: State, language: PreTrainedTokenizerBase, reading_words: int, queries: int
) -> InstructBlipConfig:
    """The last source that knows a part decides how it is built; sizes follow from the weights.

    `language` and `state` may get a token <image>.
    """
    vision, text = _needed(parts, "vision"), _needed(parts, "language")
    of_lavis = any(part.kind == "lavis" for part in parts)
    if not text.is_encoder_decoder and of_lavis:
        # LAVIS trained its Vicunas with </s> where Llama has <s>; with the latter they answer badly
        language.bos_token = language.eos_token
        language.update_post_processor()  # which puts it ahead of a text for plain transformers
    start_tokenizers.end_as_configured(language, text)
    image = start_tokenizers.placeholder(language, text.vocab_size, state)
    given = next((config for _, config in _known(parts, "bert")), None)
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
    fields = _spoken(text, language, image)
    if of_lavis and fields.get("dense_act_fn") == "gelu_new":
        fields["dense_act_fn"] = "gelu"  # LAVIS trained around a FLAN-T5 that it had given this activation
    tokens = state.get("query_tokens")
    unaware: dict[str, Any] = {} if _reads(parts) else {"reads_instruction": False}  # as InstructBlip says it
    return InstructBlipConfig(
        vision_config=InstructBlipVisionConfig(
            **{k: v for k, v in vision.to_dict().items() if k != "model_type"} | UNNAMED
        ).to_dict(),
        qformer_config=InstructBlipQFormerConfig(vocab_size=rows, **qformer).to_dict(),
        text_config=fields,
        num_query_tokens=queries if tokens is None else tokens.shape[1],
        image_token_index=image,
        **unaware,
    )


def _known(parts: Sequence[Part], kind: str) -> list[tuple[Part, PreTrainedConfig]]:
    """The sources that know how a part is built, with their configuration of it; the first one decides."""
    known = [part for part in parts[::-1] if not (part.kind == STAGE_ONE and kind == "language")]
    section = _SECTION[kind]
    found = [part.config if part.kind == kind else getattr(part.config, section, None) for part in known]
    return [(part, config) for part, config in zip(known, found, strict=True) if config is not None]


def _needed(parts: Sequence[Part], kind: str) -> PreTrainedConfig:
    for _, config in _known(parts, kind):
        return config
    what = {"vision": "vision encoder", "language": "language model"}[kind]
    for part in parts:
        if any(name.startswith(f"{kind}_model.") for name in part.state):
            raise ModelError(
                f"{part.name} has weights of a {what} but no config.json; name a folder or hub id that has "
                "one (Salesforce/instructblip-..., Salesforce/blip2-...) ahead of it in model.checkpoint"
            )
    raise ModelError(f"no source of model.checkpoint has a {what}; name one that does, by folder or hub id")


def _spoken(text: PreTrainedConfig, language: PreTrainedTokenizerBase, image: int) -> dict[str, Any]:
    """The language model's configuration with its tokenizer's special tokens and a row for <image>."""
    ids = {name: getattr(language, name) for name in ("pad_token_id", "eos_token_id", "bos_token_id")}
    fields = text.to_dict() | UNNAMED | {name: value for name, value in ids.items() if value is not None}
    fields["vocab_size"] = max(text.vocab_size, image + 1)
    if text.is_encoder_decoder and fields.get("decoder_start_token_id") is None:
        fields["decoder_start_token_id"] = fields["pad_token_id"]
    return fields


def _reads(parts: Sequence[Part]) -> bool:
    """False where the Q-Former was last tuned by us without its text path, which no longer fits it."""
    givers = [part for part in parts if any(name.startswith("qformer.") for name in part.state)]
    if givers and givers[-1].kind == "trained":
        return any(TEXT_PATH.match(name) for name in givers[-1].state)
    return not givers or getattr(givers[-1].config, "reads_instruction", True) is not False


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
    """preprocessor_config.json: pictures squashed to the encoder's size, its own mean and deviation.

    They are of the source whose encoder it is; a file over that, of LAVIS or ours, is of the same encoder.
    """
    encoder, _ = _known(parts, "vision")[0]
    found = preprocessing(encoder.folder) if encoder.folder else None
    if found is None:
        raise ModelError(
            f"{encoder.name} gives the vision encoder and does not say how its pictures are normalised; "
            "add its preprocessor_config.json"
        )
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


def _account(part: Part, giver: dict[str, str], unexpected: Sequence[str]) -> dict[str, Any]:
    used = sorted(name for name in part.state if giver.get(name) == part.name)
    return {
        "source": part.name,
        "kind": part.kind,
        "revision": part.revision,
        "sha256": dict(part.files),
        "loaded": used,
        "replaced": sorted(part.state.keys() - {*used, *unexpected}),
    }

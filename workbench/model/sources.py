"""What a start can be made of: a hub id or folder of transformers, a LAVIS file, or our trained weights."""

from __future__ import annotations

import os
import pickle
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from huggingface_hub import snapshot_download
from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError
from safetensors.torch import load_file
from transformers import (
    AutoConfig,
    AutoModel,
    AutoModelForCausalLM,
    AutoModelForSeq2SeqLM,
    BertModel,
    Blip2ForConditionalGeneration,
    Blip2ForImageTextRetrieval,
    InstructBlipForConditionalGeneration,
    PreTrainedConfig,
)

from workbench.files import file_sha256, read_json
from workbench.model.folder import ModelError, reading
from workbench.model.naming import State, from_bert, from_blip2, from_lavis
from workbench.model.vit import KNOWN, UNUSED, as_instructblip

# a revision is a commit, a tag or a branch, such as refs/pr/3
_HUB_ID = re.compile(r"(?P<name>[\w.-]+/[\w.-]+)(@(?P<revision>\w[\w.-]*(/\w[\w.-]*)*))?")
_WANTED = ["*.json", "*.txt", "*.model", "*.safetensors"]
_SAFE, _PICKLED = ("model", ".safetensors"), ("pytorch_model", ".bin")  # what transformers calls its weights
STAGE_ONE = "blip-2 stage 1"  # Salesforce/blip2-itm-*: Q-Former with its text path, no language model
_PICKLES = (".pth", ".pt", ".bin")
# Loss and ranking through model/language.py are transformers' own: tests/model/test_language_models.py.
# Others scale or cap their logits (Granite, Cohere, Gemma 2), or place their tokens otherwise (GPT-2).
LANGUAGES = (
    "llama", "longt5", "mistral", "olmo2", "opt", "phi3", "qwen2", "qwen3", "smollm3", "t5",
)  # fmt: skip
LONGEST = 1024  # tokens of a text: four pictures, 512 of prompt, 256 of answer
_WHOLE: dict[str, Any] = {
    "instructblip": InstructBlipForConditionalGeneration,
    "blip-2": Blip2ForConditionalGeneration,
    STAGE_ONE: Blip2ForImageTextRetrieval,
}


@dataclass(frozen=True, slots=True)
class Part:
    """The weights that one source gives, by InstructBLIP's names.

    Attributes:
        name: as it is written in model.checkpoint.
        kind: instructblip, blip-2, blip-2 stage 1, vision, language, bert, lavis or trained.
        folder: where its configuration, tokenizers and preprocessing lie; None for a single file.
        config: transformers' configuration, of the whole or of the part; None for a single file.
        revision: the commit of a hub id.
        files: name -> SHA-256 of what the weights were read from.
        spare: names in the source that have no place in an InstructBLIP.
    """

    name: str
    kind: str
    state: State
    files: Mapping[str, str]
    folder: Path | None = None
    config: PreTrainedConfig | None = None
    revision: str = ""
    spare: list[str] = field(default_factory=list)


def read(name: str, root: Path, allow_pickle: bool, pinned: str = "") -> Part:
    """Reads one source of model.checkpoint, in the precision that it has on disk.

    Args:
        name: a path, absolute or below root, or a hub id, ``owner/model`` or ``owner/model@revision``.
        allow_pickle: whether .pth and .bin files are read at all; they are read as bare tensors, and
            nothing in them is run.
        pinned: the commit that a hub id was read at before, which a branch may have left since; what the
            id names, or else the newest, if empty.

    Raises:
        ModelError: naming the source and the remedy.
    """
    path = root / name
    if path.is_file():
        return _file(name, path, allow_pickle)
    if path.is_dir():
        return _folder(name, path, allow_pickle)
    found = _HUB_ID.fullmatch(name)
    if not found or path.suffix in (*_PICKLES, ".safetensors"):
        raise ModelError(f"model.checkpoint names {name}, which is no file, folder or hub id; check the path")
    folder = _from_hub(found["name"], pinned or found["revision"] or None, allow_pickle)
    return _folder(name, folder, allow_pickle, revision=folder.name)


def _from_hub(name: str, revision: str | None, allow_pickle: bool) -> Path:
    """The snapshot in the hub's cache, whose name is the commit; downloaded unless HF_HUB_OFFLINE is set."""
    try:
        folder = Path(snapshot_download(name, revision=revision, allow_patterns=_WANTED))
        if allow_pickle and not any(path.is_file() for path in _places(folder, *_SAFE)):
            folder = Path(snapshot_download(name, revision=folder.name, allow_patterns=[*_WANTED, "*.bin"]))
        return folder
    except (LocalEntryNotFoundError, HfHubHTTPError, HFValidationError, OSError) as error:
        pinned = name + (f" at {revision}" if revision else "")
        offline = os.environ.get("HF_HUB_OFFLINE", "").upper() in ("1", "ON", "YES", "TRUE")
        why = (
            "is not in the hub's cache and HF_HUB_OFFLINE is set; unset it to download the model"
            if offline
            else f"cannot be had from the hub ({type(error).__name__}); check its name and the network"
        )
        raise ModelError(f"model.checkpoint: {pinned} {why}, or name a local folder") from error


def _folder(name: str, folder: Path, allow_pickle: bool, revision: str = "") -> Part:
    files = _weights(name, folder, allow_pickle)
    hashes = {path.name: file_sha256(path) for path in files}
    with reading(folder):
        config = AutoConfig.from_pretrained(folder)
    if getattr(config, "transformers_weights", None) or (folder / "adapter_config.json").is_file():
        raise ModelError(
            f"{name} names more weights than {files[0].name} (an adapter, or transformers_weights in "
            "config.json); load it with transformers and save the whole model"
        )
    known: dict[str, Any] = {"name": name, "files": hashes, "folder": folder, "revision": revision}
    safe = files[0].suffix == _SAFE[1]
    kind = config.model_type
    if Blip2ForImageTextRetrieval.__name__ in (config.architectures or ()):
        kind = STAGE_ONE
    if kind in _WHOLE:
        if kind != STAGE_ONE:
            refuse_unknown(name, config.text_config)
        state, _, spare = _loaded(_WHOLE[kind], folder, safe)
        if kind != "instructblip":
            state, heads = from_blip2(state)
            spare += heads
        return Part(kind=kind, state=state, config=config, spare=spare, **known)
    if kind == "bert":
        state, _, spare = _loaded(BertModel, folder, safe)
        return Part(kind="bert", state=from_bert(state), config=config, spare=spare, **known)
    if kind in KNOWN or hasattr(config, "patch_size"):
        there, model, spare = _loaded(AutoModel, folder, safe, torch.float32)
        lacking = sorted(n for n in model.state_dict().keys() - there.keys() if not n.startswith(UNUSED))
        if lacking:
            raise ModelError(
                f"{name} lacks {len(lacking)} weights of its vision encoder ({', '.join(lacking[:3])}, ...), "
                "which would be random; get the folder again"
            )
        vision = as_instructblip(model)
        state = {f"vision_model.{key}": tensor for key, tensor in vision.state_dict().items()}
        return Part(kind="vision", state=state, config=vision.config, spare=spare, **known)
    if hasattr(config, "vision_config"):
        raise ModelError(
            f"{name} is a {config.model_type}, whose vision encoder does not fit; name a BLIP-2, an "
            "InstructBLIP, a ViT, a DINOv2 or a language model"
        )
    refuse_unknown(name, config)
    loader = AutoModelForSeq2SeqLM if config.is_encoder_decoder else AutoModelForCausalLM
    state, _, spare = _loaded(loader, folder, safe)
    state = {f"language_model.{key}": tensor for key, tensor in state.items()}
    return Part(kind="language", state=state, config=config, spare=spare, **known)


def _weights(name: str, folder: Path, allow_pickle: bool) -> list[Path]:
    """The files that transformers reads weights from: one, or the shards of an index.

    Raises:
        ModelError: when there are none, or an index names something else than such files beside it.
    """
    for stem, suffix in (_SAFE, _PICKLED) if allow_pickle else (_SAFE,):
        single, index = _places(folder, stem, suffix)
        if not (folder / "config.json").is_file() or not (single.is_file() or index.is_file()):
            continue
        files = [single]
        if not single.is_file():
            with reading(index):
                files = [folder / shard for shard in sorted(set(read_json(index)["weight_map"].values()))]
        if not all(p.parent == folder and p.suffix == suffix and p.is_file() for p in files) or not files:
            raise ModelError(f"{index} names something else than *{suffix} files beside it; get it again")
        for path in files:
            refuse_disguise(path)
        return files
    asked = "" if allow_pickle else " (model.allow_pickle=true reads pytorch_model.bin as well)"
    raise ModelError(
        f"{name} has no config.json beside model.safetensors or its index{asked}; check model.checkpoint"
    )


def _places(folder: Path, stem: str, suffix: str) -> tuple[Path, Path]:
    """Where weights may lie: all in one file, or in shards that an index names."""
    return folder / f"{stem}{suffix}", folder / f"{stem}{suffix}.index.json"


def _loaded(
    loader: Any, folder: Path, safe: bool, dtype: torch.dtype | str = "auto"
) -> tuple[State, Any, list[str]]:
    """The weights that are really there (what from_pretrained would draw at random is left out), the model,
    and the names of the weights that it has no place for."""
    try:
        with reading(folder):
            model, report = loader.from_pretrained(
                folder, dtype=dtype, use_safetensors=safe, output_loading_info=True, low_cpu_mem_usage=True
            )
    except pickle.UnpicklingError as error:
        raise ModelError(
            f"a .bin file in {folder} holds something else than tensors or is damaged; get it again"
        ) from error
    missing = report["missing_keys"]
    state = {name: tensor for name, tensor in model.state_dict().items() if name not in missing}
    return state, model.eval(), sorted(report["unexpected_keys"])


def _file(name: str, path: Path, allow_pickle: bool) -> Part:
    hashes = {path.name: file_sha256(path)}
    if path.suffix == ".safetensors":
        refuse_disguise(path)
        with reading(path):
            return Part(name, "trained", load_file(path), hashes)
    if path.suffix not in _PICKLES:
        raise ModelError(f"{path} is neither safetensors nor a LAVIS .pth file; check model.checkpoint")
    if not allow_pickle:
        raise ModelError(
            f"{path} is a pickle; if you trust where it comes from, set model.allow_pickle=true "
            "(it is read as bare tensors, code in it is refused)"
        )
    try:
        raw = torch.load(path, map_location="cpu", weights_only=True, mmap=zipped(path))
    except (pickle.UnpicklingError, RuntimeError, EOFError, OSError, ValueError) as error:
        raise ModelError(
            f"{path} holds something else than tensors or is damaged; get the file again from its source"
        ) from error
    content = raw.get("model", raw) if isinstance(raw, dict) else None
    if not isinstance(content, dict) or not all(torch.is_tensor(value) for value in content.values()):
        raise ModelError(f"{path} is not a state dict, plain or under 'model'; name a LAVIS checkpoint")
    state, spare = from_lavis(content)
    return Part(name, "lavis", state, hashes, spare=spare)


def refuse_unknown(name: str, language: Any) -> None:
    """Refuses a language model whose answers would be wrong, by its configuration.

    Raises:
        ModelError: naming those that are known to work.
    """
    window = getattr(language, "sliding_window", None)
    works = ", ".join(LANGUAGES)
    if language.model_type not in LANGUAGES:
        raise ModelError(
            f"{name} is a language model of type {language.model_type}, which is not known to work here; "
            f"name one of type {works}"
        )
    if window and window < LONGEST:
        raise ModelError(
            f"{name} attends to the last {window} tokens only (sliding_window in its config.json), and texts "
            f"have up to {LONGEST}; name a language model with a longer window, or none"
        )
    if getattr(language, "word_embed_proj_dim", language.hidden_size) != language.hidden_size:
        raise ModelError(
            f"{name} has embeddings of another width than its layers (word_embed_proj_dim in its "
            "config.json), which queries do not fit between; name another language model"
        )


def zipped(path: Path) -> bool:
    """Whether torch wrote the file in its zip format, which can be mapped instead of read."""
    with path.open("rb") as opened:
        return opened.read(4) == b"PK\x03\x04"


def refuse_disguise(path: Path) -> None:
    """Refuses a pickle or zip under the name of a safetensors file, before anything reads it.

    Raises:
        ModelError: naming the file.
    """
    if path.suffix != ".safetensors":
        return
    with path.open("rb") as opened:
        size, first = int.from_bytes(opened.read(8), "little"), opened.read(1)
    if first != b"{" or size > path.stat().st_size:
        raise ModelError(f"{path} is named like safetensors but is not (a pickle, or damaged); get it again")


def preprocessing(folder: Path) -> dict[str, Any] | None:
    """A folder's image_mean and image_std, with how it resamples; None where it says nothing."""
    for name in ("preprocessor_config.json", "processor_config.json"):
        if (folder / name).is_file():
            raw = read_json(folder / name)
            raw = raw.get("image_processor", raw)
            if "image_mean" in raw and "image_std" in raw:
                return {key: raw[key] for key in ("image_mean", "image_std", "resample") if key in raw}
    return None

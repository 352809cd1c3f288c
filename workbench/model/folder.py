"""Model folders as transformers writes them: what has to lie in one, and what travels with the weights."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from safetensors import SafetensorError

# what InstructBlipProcessor.save_pretrained writes beside the weights
_COMPANIONS = (
    "tokenizer",
    "qformer_tokenizer",
    "tokenizer.json",
    "tokenizer.model",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "preprocessor_config.json",
    "processor_config.json",
)


class ModelError(ValueError):
    """A model folder is missing something or does not fit what it is used with."""


def check_files(folder: Path, tokenizers: bool) -> None:
    """Refuses a folder without config, safetensors weights or (on request) its two tokenizers.

    Raises:
        ModelError: naming the folder, what is missing and the remedy.
    """
    if not folder.is_dir():
        raise ModelError(f"model folder {folder} does not exist; check model.start or run `dvc pull`")
    remedy = "save the model there with save_pretrained"
    if not (folder / "config.json").is_file():
        raise ModelError(f"{folder} has no config.json; {remedy}")
    if not any(folder.glob("*.safetensors")):
        raise ModelError(f"{folder} has no *.safetensors weights; {remedy}")
    if not tokenizers:
        return
    remedy = "save the model's InstructBlipProcessor, or its tokenizers, there"
    if not any((place / "tokenizer_config.json").is_file() for place in (folder, folder / "tokenizer")):
        raise ModelError(f"{folder} has no tokenizer for its language model; {remedy}")
    if not (folder / "qformer_tokenizer" / "tokenizer_config.json").is_file():
        raise ModelError(f"{folder} has no qformer_tokenizer/; {remedy}")


@contextmanager
def reading(folder: Path) -> Iterator[None]:
    """Turns what transformers and safetensors raise over a broken folder into a ModelError."""
    try:
        yield
    except (OSError, RuntimeError, ValueError, KeyError, SafetensorError) as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise ModelError(f"{folder} cannot be loaded ({reason}); restore or save the model again") from error


def copy_companions(source: Path, target: Path, num_query_tokens: int | None = None) -> None:
    """Copies tokenizers and processor files beside saved weights, so that the folder is complete.

    Args:
        num_query_tokens: of the saved model, where they differ from the source's.
    """
    target.mkdir(parents=True, exist_ok=True)
    for name in _COMPANIONS:
        if (source / name).is_dir():
            shutil.copytree(source / name, target / name, dirs_exist_ok=True)
        elif (source / name).is_file():
            shutil.copyfile(source / name, target / name)
    if num_query_tokens is not None:
        set_queries(target, num_query_tokens)


def set_queries(folder: Path, count: int) -> None:
    """Tells transformers' processor, in processor_config.json, how many placeholders go before a prompt."""
    path = folder / "processor_config.json"
    fields = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    fields = {"processor_class": "InstructBlipProcessor", **fields, "num_query_tokens": count}
    path.write_text(json.dumps(fields, indent=2) + "\n", encoding="utf-8")

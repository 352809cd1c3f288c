"""A repository in miniature for tests: prepared data, a tiny random start, features; `import small_world`."""

from __future__ import annotations

import json
from pathlib import Path

import tiny
import torch
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformers import InstructBlipVisionConfig, InstructBlipVisionModel, PreTrainedTokenizerFast

from workbench.config import Config, changed
from workbench.data.features import build
from workbench.data.prepare import prepare
from workbench.model.create import new

WIDTH, QUERIES = 32, 4
SETTINGS = {
    "data.size_scale": 0.004,
    "data.eval_examples": 2,
    "data.mixing": "example",  # as in micro
    "model.num_query_tokens": QUERIES,
    "train.steps": 6,
    "train.batch_size": 4,
    "train.warmup_steps": 2,
    "train.eval_every_steps": 3,
    "train.checkpoint_every_steps": 2,
    "train.validation_examples": 2,
    "evaluate.batch_size": 4,
    "tracking.uri": "http://127.0.0.1:9",  # away: a database takes seconds to make
}
CONFIG = changed(Config(), SETTINGS)
CHARACTERS = "abcdefghijklmnopqrstuvwxyz ?:.,()[]0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"


def write(root: Path, workers: int = 1) -> Path:
    """data/prepared, backbones/micro/{vision,blip2-t5} and data/features below `root`."""
    prepare(CONFIG, root / "data/prepared", workers)
    start(root / "backbones/micro")
    build(root / "data/prepared", root / "backbones/micro/vision", root / "data/features")
    return root


def start(folder: Path) -> None:
    """A random ViT for 64-pixel pictures, a random T5, and a BLIP-2 of both that reads letters."""
    torch.manual_seed(11)
    config = InstructBlipVisionConfig(
        hidden_size=WIDTH, intermediate_size=64, num_hidden_layers=2, num_attention_heads=4,
        image_size=64, patch_size=16, initializer_range=0.2,
    )  # fmt: skip
    InstructBlipVisionModel(config).save_pretrained(folder / "vision")
    processor = {"size": {"height": 64, "width": 64}, "image_mean": [0.5] * 3, "image_std": [0.5] * 3}
    (folder / "vision/preprocessor_config.json").write_text(json.dumps(processor))
    tiny.language_folder(folder / "language-t5", "t5")
    qformer = {
        "vocab_size": tiny.QFORMER_VOCABULARY, "hidden_size": WIDTH, "num_hidden_layers": 2,
        "num_attention_heads": 4, "intermediate_size": 64, "max_position_embeddings": 256,
        "cross_attention_frequency": 2, "initializer_range": 0.2,
    }  # fmt: skip
    blip2 = folder / "blip2-t5"
    new(
        folder / "vision", folder / "language-t5", qformer,
        num_query_tokens=QUERIES, image_token_id=tiny.IMAGE, seed=13,
    ).save_pretrained(blip2)  # fmt: skip
    letters(["<pad>", "</s>", "<unk>"], 90).save_pretrained(blip2 / "tokenizer")
    reader = letters(["[PAD]", "[UNK]", "[CLS]", "[SEP]"], tiny.QFORMER_VOCABULARY)
    reader.backend_tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    reader.save_pretrained(blip2 / "qformer_tokenizer")


def letters(special: list[str], size: int) -> PreTrainedTokenizerFast:
    """A tokenizer of single characters; what is beyond its vocabulary is unknown."""
    unknown = next(token for token in special if "unk" in token.lower())
    vocabulary = {token: i for i, token in enumerate([*special, *CHARACTERS][:size])}
    model = Tokenizer(models.WordLevel(vocabulary, unk_token=unknown))
    model.pre_tokenizer = pre_tokenizers.Split("", "isolated")
    names = {"pad_token": special[0], "unk_token": unknown}
    names |= {"eos_token": special[1]} if "</s>" in special else {"cls_token": "[CLS]", "sep_token": "[SEP]"}
    return PreTrainedTokenizerFast(tokenizer_object=model, **names)

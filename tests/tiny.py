"""Tiny random models, tokenizer files and batches for tests; `import tiny` (tests/ is on pytest's path)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Literal

import torch
from transformers import (
    InstructBlipForConditionalGeneration,
    InstructBlipVisionConfig,
    InstructBlipVisionModel,
    LlamaConfig,
    LlamaForCausalLM,
    T5Config,
    T5ForConditionalGeneration,
)

from workbench.batch import Batch
from workbench.model.create import new
from workbench.records import Example

Family = Literal["t5", "llama"]
WIDTH, VOCABULARY, QFORMER_VOCABULARY, QUERIES = 32, 100, 60, 4
PAD, END, IMAGE = 0, 1, 99
IMAGE_SIZE, PATCH = 16, 8  # 2 x 2 patches and the class token: N = 5
TOKENS = (IMAGE_SIZE // PATCH) ** 2 + 1
FAMILIES: tuple[Family, ...] = ("t5", "llama")


def vision_folder(folder: Path) -> Path:
    """A random ViT of visible scale (transformers' own initial weights are 1e-10)."""
    torch.manual_seed(11)
    config = InstructBlipVisionConfig(
        hidden_size=WIDTH, intermediate_size=64, num_hidden_layers=2, num_attention_heads=4,
        image_size=IMAGE_SIZE, patch_size=PATCH, initializer_range=0.2,
    )  # fmt: skip
    InstructBlipVisionModel(config).save_pretrained(folder)
    return folder


def language_folder(folder: Path, family: Family, tied: bool = True) -> Path:
    """A random T5 or Llama with hidden 32 and two layers, its weights large enough to prefer tokens."""
    torch.manual_seed(12)
    if family == "t5":
        config = T5Config(
            vocab_size=VOCABULARY, d_model=WIDTH, d_kv=8, d_ff=64, num_layers=2, num_heads=4,
            relative_attention_num_buckets=8, relative_attention_max_distance=20,
            pad_token_id=PAD, eos_token_id=END, decoder_start_token_id=PAD, tie_word_embeddings=tied,
        )  # fmt: skip
        model = T5ForConditionalGeneration(config)
        for block in model.decoder.block:  # else answers hardly depend on what the encoder read
            for part in (block.layer[1].EncDecAttention, block.layer[2].DenseReluDense):
                for weight in part.parameters():
                    weight.data.mul_(3.0)
    else:
        llama = LlamaConfig(
            vocab_size=VOCABULARY, hidden_size=WIDTH, intermediate_size=64, num_hidden_layers=2,
            num_attention_heads=4, max_position_embeddings=256, initializer_range=0.3,
            pad_token_id=PAD, bos_token_id=END, eos_token_id=END, tie_word_embeddings=False,
        )  # fmt: skip
        model = LlamaForCausalLM(llama)
    model.save_pretrained(folder)
    return folder


def fresh(
    folder: Path, family: Family, tied: bool = True, positions: int = 64
) -> InstructBlipForConditionalGeneration:
    """An InstructBLIP around them: Q-Former of two layers and `positions` tokens of text, four queries."""
    model = new(
        vision_folder(folder / "vision"),
        language_folder(folder / family, family, tied),
        {
            "vocab_size": QFORMER_VOCABULARY, "hidden_size": WIDTH, "num_hidden_layers": 2,
            "num_attention_heads": 4, "intermediate_size": 64, "max_position_embeddings": positions,
            "cross_attention_frequency": 2, "initializer_range": 0.2,
        },
        num_query_tokens=QUERIES, image_token_id=IMAGE, seed=13,
    )  # fmt: skip
    torch.manual_seed(14)
    torch.nn.init.normal_(model.query_tokens, std=1.0)
    torch.nn.init.normal_(model.language_projection.weight, std=0.3)
    return model


def start(folder: Path, family: Family, tied: bool = True, positions: int = 64) -> Path:
    """A complete start folder: weights and (empty) tokenizer files, as InstructBlip.load wants it."""
    target = folder / f"blip2-{family}"
    fresh(folder, family, tied, positions).save_pretrained(target)
    for name in ("tokenizer", "qformer_tokenizer"):
        (target / name).mkdir()
        (target / name / "tokenizer_config.json").write_text("{}")
    (target / "processor_config.json").write_text(json.dumps({"num_query_tokens": QUERIES}))
    return target


class Letters:
    """Decodes ids into words such as ``w17``; skips special ids."""

    def batch_decode(self, ids: torch.Tensor, skip_special_tokens: bool = True) -> list[str]:
        return [" ".join(f"w{i}" for i in row if i not in (PAD, END)) for row in ids.tolist()]


def batch(
    family: Family, rows: int = 5, frames: int = 1, seed: int = 0, candidates: tuple[int, ...] = ()
) -> Batch:
    """Random features and texts of ragged length.

    Args:
        candidates: how many candidates each row ranks, repeated over the rows; empty means targets.
    """
    draw = torch.Generator().manual_seed(seed)

    def texts(count: int, low: int, high: int, vocabulary: int, end: bool) -> list[list[int]]:
        lengths = torch.randint(low, high + 1, (count,), generator=draw).tolist()
        rows = [torch.randint(3, vocabulary - 2, (n,), generator=draw).tolist() for n in lengths]
        return [row + [END] * end for row in rows]

    prompts, targets = texts(rows, 1, 7, VOCABULARY, False), texts(rows, 1, 5, VOCABULARY, True)
    qformer_ids, qformer_mask = padded(texts(rows, 1, 7, QFORMER_VOCABULARY, False))
    prompt_ids, prompt_mask = padded(prompts, left=family == "llama")
    target_ids, target_mask = padded(targets)
    counts = [candidates[i % len(candidates)] if candidates else 0 for i in range(rows)]
    answers = [texts(n, 1, 4, VOCABULARY, True) for n in counts]
    ranked = bool(candidates)
    candidate_ids, candidate_mask = padded([a for row in answers for a in row]) if ranked else (None, None)
    owner = torch.tensor([i for i, n in enumerate(counts) for _ in range(n)]) if ranked else None
    examples = tuple(
        Example(
            dataset="vqav2", example_id=str(i), image_id=str(i), images=("x.png",) * frames,
            references=("w3",), candidates=tuple(f"candidate {i}.{j}" for j in range(counts[i])),
        )
        for i in range(rows)
    )  # fmt: skip
    return Batch(
        features=torch.randn(rows, frames, TOKENS, WIDTH, generator=draw),
        qformer_ids=qformer_ids, qformer_mask=qformer_mask, prompt_ids=prompt_ids, prompt_mask=prompt_mask,
        examples=examples, instructions=tuple(f"instruction {i}" for i in range(rows)),
        target_ids=None if ranked else target_ids, target_mask=None if ranked else target_mask,
        candidate_ids=candidate_ids, candidate_mask=candidate_mask, candidate_owner=owner,
    )  # fmt: skip


def padded(rows: list[list[int]], left: bool = False) -> tuple[torch.Tensor, torch.Tensor]:
    """ids and mask, (rows, longest)."""
    length = max(map(len, rows))
    ids, mask = torch.full((len(rows), length), PAD), torch.zeros(len(rows), length, dtype=torch.long)
    for i, row in enumerate(rows):
        where = slice(length - len(row), length) if left else slice(0, len(row))
        ids[i, where], mask[i, where] = torch.tensor(row), 1
    return ids, mask

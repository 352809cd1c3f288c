"""Each type of language model that a start accepts, against plain transformers; others are refused."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import checkpoint_folders as made
import pytest
import tiny
import torch
from torch import Tensor
from torch.nn import functional
from transformers import AutoConfig, AutoModelForCausalLM, AutoModelForSeq2SeqLM

from workbench.config import Model
from workbench.evaluate.rank import candidate_scores
from workbench.model.folder import ModelError
from workbench.model.instructblip import InstructBlip
from workbench.model.sources import LANGUAGES, LONGEST, read

CLOSE: dict[str, Any] = {"rtol": 1e-5, "atol": 1e-5}
TOKENS: dict[str, Any] = {"vocab_size": tiny.VOCABULARY, "pad_token_id": 0, "eos_token_id": 1}
DECODER = TOKENS | {
    "bos_token_id": 3, "hidden_size": tiny.WIDTH, "intermediate_size": 64, "num_hidden_layers": 2,
    "num_attention_heads": 4, "num_key_value_heads": 2,
}  # fmt: skip
T5 = TOKENS | {
    "d_model": tiny.WIDTH, "d_kv": 8, "d_ff": 64, "num_layers": 2, "num_heads": 4,
    "decoder_start_token_id": 0, "relative_attention_num_buckets": 8, "relative_attention_max_distance": 20,
}  # fmt: skip
OPT = TOKENS | {
    "bos_token_id": 3, "hidden_size": tiny.WIDTH, "ffn_dim": 64, "num_hidden_layers": 2,
    "num_attention_heads": 4, "max_position_embeddings": 256, "word_embed_proj_dim": tiny.WIDTH,
}  # fmt: skip
SIZES = {name: DECODER for name in LANGUAGES} | {"t5": T5, "longt5": T5, "opt": OPT}
SIZES |= {"mistral": DECODER | {"sliding_window": None}, "qwen3": DECODER | {"head_dim": 8}}
MORE = [("mistral", DECODER | {"sliding_window": LONGEST}),
        ("longt5", T5 | {"encoder_attention_type": "transient-global"}),
        ("opt", OPT | {"do_layer_norm_before": False})]  # fmt: skip


def language(folder: Path, kind: str, sizes: dict[str, Any]) -> tiny.Family:
    """A random language model with its tokenizer; which family it is of."""
    config = AutoConfig.for_model(kind, **sizes)
    loader = AutoModelForSeq2SeqLM if config.is_encoder_decoder else AutoModelForCausalLM
    made.randomised(loader.from_config(config), 6).save_pretrained(folder)
    family: tiny.Family = "t5" if config.is_encoder_decoder else "llama"
    made.letters(folder, family)
    return family


def plain(lm: Any, embeds: Tensor, mask: Tensor, ids: Tensor, real: Tensor) -> tuple[Tensor, Tensor]:
    """transformers' own loss of answers after what was read, and its logits (rows, tokens, vocabulary)."""
    labels = ids.masked_fill(real == 0, -100)
    if lm.config.is_encoder_decoder:
        out = lm(inputs_embeds=embeds, attention_mask=mask, labels=labels)
        return out.loss, out.logits
    length = embeds.shape[1]
    out = lm(
        inputs_embeds=torch.cat([embeds, lm.get_input_embeddings()(ids)], dim=1),
        attention_mask=torch.cat([mask, real], dim=1),
        labels=functional.pad(labels, (length, 0), value=-100),
    )
    return out.loss, out.logits[:, length - 1 : -1]


@pytest.mark.parametrize(("kind", "sizes"), [*SIZES.items(), *MORE])
@torch.no_grad()
def test_loss_logits_and_ranking_are_those_of_plain_transformers(kind, sizes, tmp_path):
    made.vit(tmp_path / "eye")
    made.bert(tmp_path / "bert")
    family = language(tmp_path / "lm", kind, sizes)
    made.make(tmp_path, "eye", "lm", "bert")
    switches = Model(language_model=family, num_query_tokens=tiny.QUERIES)
    ours = InstructBlip.load(tmp_path / f"start/blip2-{family}", switches)
    batch = tiny.batch(family)
    read_before, lm = ours.inputs(batch), ours.hf.language_model
    wanted = batch.target_mask.bool()
    loss, logits = plain(lm, *read_before, batch.target_ids, batch.target_mask)
    total, tokens = ours(batch)
    torch.testing.assert_close(total / tokens, loss, **CLOSE)
    states = ours.language.answer_states(*read_before, batch.target_ids, batch.target_mask)
    torch.testing.assert_close(ours.language.logits(states)[wanted], logits[wanted], **CLOSE)
    answers = [[7, 8, tiny.END], [7, tiny.END], [7, 8, 9, tiny.END], [9, 8, tiny.END]]  # shared beginnings
    ids, mask = tiny.padded(answers * len(batch))
    ranked = dataclasses.replace(
        tiny.batch(family, candidates=(len(answers),)), candidate_ids=ids, candidate_mask=mask
    )
    scores = candidate_scores(ours, ranked).view(len(batch), len(answers))
    read_before = ours.inputs(ranked)
    for column, answer in enumerate(answers):
        alone = torch.tensor([answer] * len(batch))
        _, logits = plain(lm, *read_before, alone, torch.ones_like(alone))
        losses = functional.cross_entropy(logits.transpose(1, 2), alone, reduction="none")
        torch.testing.assert_close(scores[:, column], -losses.sum(dim=1), **CLOSE)


OTHERS = {
    "mt5": T5, "umt5": T5, "switch_transformers": T5, "granite": DECODER | {"logits_scaling": 8.0},
    "cohere": DECODER, "gemma2": DECODER | {"head_dim": 8}, "gpt2": TOKENS | {"n_embd": 32, "n_head": 4},
}  # fmt: skip


@pytest.mark.parametrize(("kind", "sizes"), OTHERS.items())
def test_a_language_model_that_is_not_known_to_work_is_refused(kind, sizes, tmp_path):
    language(tmp_path / "lm", kind, sizes)
    with pytest.raises(
        ModelError, match=rf"lm is a language model of type {kind}, .* name one of type llama, l"
    ):
        read("lm", tmp_path, allow_pickle=False)


def test_a_window_shorter_than_the_texts_is_refused(tmp_path):
    language(tmp_path / "lm", "mistral", DECODER | {"sliding_window": 6})
    with pytest.raises(ModelError, match=r"lm attends to the last 6 tokens only .* up to 1024"):
        read("lm", tmp_path, allow_pickle=False)


def test_an_opt_that_projects_its_embeddings_is_refused(tmp_path):
    language(tmp_path / "lm", "opt", OPT | {"word_embed_proj_dim": 16})
    with pytest.raises(ModelError, match="lm has embeddings of another width than its layers"):
        read("lm", tmp_path, allow_pickle=False)


def test_the_language_model_of_a_blip2_is_looked_at_as_well(tmp_path):
    made.opt(tmp_path / "blip2", end=50)
    path = tmp_path / "blip2/config.json"
    path.write_text(path.read_text().replace('"model_type": "opt"', '"model_type": "gpt2"'))
    with pytest.raises(ModelError, match="blip2 is a language model of type gpt2"):
        read("blip2", tmp_path, allow_pickle=False)

"""Training the language models on text: what is labelled, what is masked, and that a handful is learnt."""

from __future__ import annotations

import math
import re
from itertools import islice

import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM, T5Config, T5ForConditionalGeneration

from workbench.data.micro import vocabulary
from workbench.data.micro.corpus import Text, dense
from workbench.train import language
from workbench.train.language import (
    IGNORE,
    Schedule,
    TextBatches,
    causal_row,
    cloze_row,
    examine,
    loss_of,
    sequence_row,
)

TEXT = Text(
    "dense",
    "a big red dog at the top left .",
    (("what color is the dog ?", "red"), ("where is the dog ?", "top left"), ("how big is the dog ?", "big")),
)
HANDFUL = (
    Text("vqav2", "a big red dog .", (("what color is the dog ?", "red"),)),
    Text("vqav2", "a small blue cat .", (("what color is the cat ?", "blue"),)),
    Text("gqa", "a small blue cat .", (("where is the cat ?", "top left"),)),
    Text("gqa", "a big red dog .", (("where is the dog ?", "at the middle right"),)),
)


@pytest.fixture(scope="module")
def tokenizer():
    """The project's own tokenizer over the few words these texts use."""
    lines = [line for text in (TEXT, *HANDFUL) for turn in text.turns for line in (text.description, *turn)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(vocabulary, "UNUSED", 0)
        patch.setattr(vocabulary, "words", lambda: sorted(set(re.findall(r"[a-z]+", " ".join(lines)))))
        return vocabulary.language_tokenizer()


def tiny(family, tokenizer):
    torch.manual_seed(5)
    shared = {"vocab_size": len(tokenizer), "pad_token_id": tokenizer.pad_token_id}
    if family == "t5":
        return T5ForConditionalGeneration(
            T5Config(
                d_model=32, d_kv=16, d_ff=64, num_layers=2, num_heads=2, dropout_rate=0.0,
                eos_token_id=tokenizer.eos_token_id, decoder_start_token_id=tokenizer.pad_token_id, **shared,
            )
        )  # fmt: skip
    return LlamaForCausalLM(
        LlamaConfig(
            hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=2,
            initializer_range=0.1, eos_token_id=tokenizer.eos_token_id, bos_token_id=tokenizer.bos_token_id,
            **shared,
        )
    )  # fmt: skip


def row_of(family, text, tokenizer):
    return (sequence_row if family == "t5" else causal_row)(text, tokenizer)


# ---------------------------------------------------------------- rows


def test_a_causal_row_labels_answers_and_their_ends_alone(tokenizer):
    ids, labels, turns, decoder = causal_row(TEXT, tokenizer)
    assert not decoder
    assert tokenizer.decode(ids) == (
        f"{TEXT.description} <s> what color is the dog ? red </s> <s> where is the dog ? top left </s>"
        " <s> how big is the dog ? big </s>"
    )
    kept = [(token, turn) for token, label, turn in zip(ids, labels, turns, strict=True) if label != IGNORE]
    assert all(label in (IGNORE, token) for token, label in zip(ids, labels, strict=True))
    assert tokenizer.convert_ids_to_tokens([token for token, _ in kept]) == [
        "red", "</s>", "top", "left", "</s>", "big", "</s>"
    ]  # fmt: skip
    assert [turn for _, turn in kept] == [0, 0, 1, 1, 1, 2, 2]


@pytest.mark.parametrize("at_end", [False, True])
def test_a_cloze_has_one_mask_for_each_answer_token(tokenizer, at_end):
    ids, labels, turns, decoder = cloze_row(TEXT, tokenizer, at_end)
    assert not decoder
    hidden = [i for i, label in enumerate(labels) if label != IGNORE]
    assert tokenizer.convert_ids_to_tokens([labels[i] for i in hidden]) == ["red", "top", "left", "big"]
    masks = {tokenizer.mask_token_id}
    if at_end:
        masks.add(tokenizer.eos_token_id)
        assert [ids[i] == tokenizer.eos_token_id for i in hidden] == [True, True, False, True]
    assert {ids[i] for i in hidden} == masks
    assert hidden == [i for i, token in enumerate(ids) if token in masks]
    assert [turns[i] for i in hidden] == [0, 1, 1, 2]


def test_a_sequence_is_asked_of_the_encoder_and_answered_by_the_decoder(tokenizer):
    ids, labels, turns, decoder = sequence_row(TEXT, tokenizer)
    assert not labels
    assert not turns
    assert tokenizer.decode(ids) == f"{TEXT.description} what color is the dog ? </s>"
    assert tokenizer.decode(decoder) == "red </s>"


# ---------------------------------------------------------------- loss


@pytest.mark.parametrize("family", ["t5", "llama"])
def test_padding_and_company_do_not_change_a_loss(family, tokenizer):
    model = tiny(family, tokenizer).eval()
    rows = [row_of(family, text, tokenizer) for text in (*HANDFUL, TEXT)]
    with torch.no_grad():
        alone = [float(loss_of(model, [row], tokenizer.pad_token_id)) for row in rows]
        together = float(loss_of(model, rows, tokenizer.pad_token_id))
    if family == "t5":
        assert together == pytest.approx(sum(alone) / 5, rel=1e-4)
    else:  # three turns of the last row weigh as much as three rows
        assert together == pytest.approx((sum(alone) + 2 * alone[-1]) / 7, rel=1e-4)


def test_clozes_and_sequences_may_share_a_batch(tokenizer):
    model = tiny("t5", tokenizer).eval()
    rows = [cloze_row(TEXT, tokenizer), *(sequence_row(text, tokenizer) for text in HANDFUL)]
    with torch.no_grad():
        alone = [float(loss_of(model, [row], tokenizer.pad_token_id)) for row in rows]
        assert float(loss_of(model, rows, tokenizer.pad_token_id)) == pytest.approx(sum(alone) / 5, rel=1e-4)


def test_a_long_answer_weighs_no_more_than_a_short_one():
    logits = torch.zeros(4, 10)
    logits[0, 3] = 100.0  # the one-token answer is right, the three tokens of the other are guesses
    loss = language._turn_loss(logits, torch.tensor([3, 1, 2, 4]), torch.tensor([0, 1, 1, 1]))
    assert float(loss) == pytest.approx(math.log(10) / 2)


@pytest.mark.parametrize("family", ["t5", "llama"])
def test_a_handful_of_texts_is_learnt_by_heart(family, tokenizer, monkeypatch):
    model = tiny(family, tokenizer)
    rows = [row_of(family, text, tokenizer) for text in HANDFUL]
    monkeypatch.setattr(language, "texts", lambda seed, share: iter(HANDFUL * 2))
    monkeypatch.setattr(language, "dense", lambda seed, index, turns, lowest: HANDFUL[0])
    before = examine(model, tokenizer, seed=1, count=1)
    assert max(before.values()) < 1.0
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    losses = []
    for _ in range(60):
        loss = loss_of(model, rows, tokenizer.pad_token_id)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < 0.1 < losses[0]
    assert examine(model.eval(), tokenizer, seed=1, count=1) == {"dense": 1.0, "gqa": 1.0, "vqav2": 1.0}


# ---------------------------------------------------------------- batches and the loop


@pytest.mark.parametrize("family", ["t5", "llama"])
def test_batches_are_a_pure_function_of_the_step(family, tokenizer):
    plan = Schedule(steps=16, batch_size=2, dense_steps=8, dense_share=0.5)
    stream = iter(TextBatches(family, tokenizer, plan, 0))
    first = [next(stream) for _ in range(16)]
    assert all(len(rows) == 2 for rows in first)
    later = iter(TextBatches(family, tokenizer, plan, 8))
    assert [next(later) for _ in range(8)] == first[8:]
    assert not any(row[3] for rows in first[:8] for row in rows)  # dense lookups alone to begin with


@pytest.mark.parametrize("family", ["t5", "llama"])
def test_training_yields_every_step_and_changes_the_model(family, tokenizer):
    model = tiny(family, tokenizer)
    before = {name: weight.clone() for name, weight in model.state_dict().items()}
    plan = Schedule(steps=3, batch_size=2, warmup_steps=1, dense_steps=8)
    found = list(language.train(model, tokenizer, plan, language.optimizer(model, plan)))
    assert [step for step, _ in found] == [1, 2, 3]
    assert all(math.isfinite(loss) for _, loss in found)
    changed = [name for name, weight in model.state_dict().items() if not torch.equal(weight, before[name])]
    assert any("embed" in name or "shared" in name for name in changed)


def test_training_continues_where_it_stopped(tokenizer):
    plan = Schedule(steps=2 * language.BUCKET, batch_size=1, warmup_steps=4, dense_steps=8)
    whole, stopped, resumed = (tiny("t5", tokenizer) for _ in range(3))
    losses = list(language.train(whole, tokenizer, plan, language.optimizer(whole, plan)))
    updates, later = language.optimizer(stopped, plan), language.optimizer(resumed, plan)
    first = list(islice(language.train(stopped, tokenizer, plan, updates), language.BUCKET))
    resumed.load_state_dict(stopped.state_dict())
    later.load_state_dict(updates.state_dict())
    assert first + list(language.train(resumed, tokenizer, plan, later, language.BUCKET)) == losses
    assert all(map(torch.equal, resumed.state_dict().values(), whole.state_dict().values()))


@pytest.mark.parametrize("family", ["t5", "llama"])
def test_lookup_projections_learn_at_a_tenth_of_the_rate(family, tokenizer):
    model = tiny(family, tokenizer)
    rest, lookup = language.optimizer(model, Schedule(learning_rate=1e-3)).param_groups
    assert (rest["peak"], lookup["peak"]) == (1e-3, pytest.approx(1e-4))
    assert len(rest["params"]) + len(lookup["params"]) == len(list(model.parameters()))
    layers = 2 + 2 * 2 if family == "t5" else 2  # the decoder's have cross-attention too
    assert len(lookup["params"]) == 2 * layers


def test_fresh_models_are_of_the_stated_size(tokenizer):
    for new, base in ((language.new_t5, 2.3e6), (language.new_llama, 1.7e6)):
        model = new(tokenizer)
        words = sum(p.numel() for p in {id(e.weight): e.weight for e in embeddings(model)}.values())
        body = sum(p.numel() for p in model.parameters()) - words
        assert 0.6 * base < body < 1.2 * base
        text = dense(1, 2)
        row = row_of("t5" if new is language.new_t5 else "llama", text, tokenizer)
        assert math.isfinite(float(loss_of(model, [row], tokenizer.pad_token_id).detach()))


def embeddings(model):
    return [e for e in (model.get_input_embeddings(), model.get_output_embeddings()) if e is not None]

"""Training the language models on text: what is labelled, what is masked, and that a handful is learnt."""

from __future__ import annotations

import math
import re
from itertools import islice

import pytest
import torch
from torch.utils.data import DataLoader
from transformers import LlamaConfig, LlamaForCausalLM, T5Config, T5ForConditionalGeneration

from workbench.data.micro import vocabulary
from workbench.data.micro.corpus import HEADERS, LAGGING, Text, dense
from workbench.train import language
from workbench.train.language import IGNORE, Schedule, TextBatches, examine, loss_of
from workbench.train.rows import causal_row, embedded, sequence_row

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


def test_a_causal_row_ends_every_part_with_its_answer(tokenizer):
    row = causal_row(TEXT, tokenizer)
    assert tokenizer.decode(row.ids) == (
        f"{TEXT.description} <s> what color is the dog ? red </s> <s> where is the dog ? top left </s>"
        " <s> how big is the dog ? big </s>"
    )
    assert [tokenizer.decode(answer) for answer in row.answers] == ["red </s>", "top left </s>", "big </s>"]
    parts = [tokenizer.decode(row.ids[start:end]) for start, end in row.asked]
    assert parts == [f"<s> {question} {answer} </s>" for question, answer in TEXT.turns]


def test_a_sequence_row_asks_everything_at_once_and_keeps_each_question_s_place(tokenizer):
    row = sequence_row(TEXT, tokenizer)
    questions = [question for question, _ in TEXT.turns]
    assert (
        tokenizer.decode(row.ids)
        == " </s> ".join([f"{TEXT.description} {questions[0]}", *questions[1:]]) + " </s>"
    )
    parts = [tokenizer.decode(row.ids[start:end]) for start, end in row.asked]
    assert parts == [f"{question} </s>" for question in questions]
    assert [tokenizer.decode(answer) for answer in row.answers] == ["red </s>", "top left </s>", "big </s>"]


def test_a_single_question_is_answered_from_the_description_as_well(tokenizer):
    row = sequence_row(HANDFUL[0], tokenizer)
    assert row.asked == [(0, len(row.ids))]
    assert tokenizer.decode(row.ids) == "a big red dog . what color is the dog ? </s>"


# ---------------------------------------------------------------- loss


@pytest.mark.parametrize("family", ["t5", "llama"])
def test_padding_and_company_do_not_change_a_loss(family, tokenizer):
    model = tiny(family, tokenizer).eval()
    rows = [row_of(family, text, tokenizer) for text in (*HANDFUL, TEXT)]
    with torch.no_grad():
        alone = [float(loss_of(model, [row], tokenizer.pad_token_id)) for row in rows]
        together = float(loss_of(model, rows, tokenizer.pad_token_id))
    # three turns of the last row weigh as much as three rows
    assert together == pytest.approx((sum(alone) + 2 * alone[-1]) / 7, rel=1e-4)


def test_a_causal_loss_is_transformers_own(tokenizer):
    model, text = tiny("llama", tokenizer).eval(), HANDFUL[0]
    row = causal_row(text, tokenizer)
    ids = torch.tensor([row.ids])
    labels = ids.clone()
    labels[:, : -len(row.answers[0])] = IGNORE
    with torch.no_grad():
        expected = float(model(input_ids=ids, labels=labels).loss)
        assert float(loss_of(model, [row], tokenizer.pad_token_id)) == pytest.approx(expected, rel=1e-5)


def test_an_encoder_decoder_s_loss_is_transformers_own_plus_what_the_end_token_names(tokenizer):
    model, text = tiny("t5", tokenizer).eval(), HANDFUL[0]
    row = sequence_row(text, tokenizer)
    ids, labels = torch.tensor([row.ids]), torch.tensor([row.answers[0]])
    with torch.no_grad():
        decoded = float(model(input_ids=ids, labels=labels).loss)
        state = model.encoder(input_ids=ids).last_hidden_state[0, -1]
        named = (model.shared.weight @ state * model.config.d_model**-0.5).log_softmax(0)[row.answers[0][0]]
        found = float(loss_of(model, [row], tokenizer.pad_token_id))
    assert found == pytest.approx(decoded - float(named), rel=1e-5)


def test_a_question_among_others_is_decoded_from_its_own_states_alone(tokenizer):
    model, row = tiny("t5", tokenizer).eval(), sequence_row(TEXT, tokenizer)
    heard = []
    model.decoder.register_forward_pre_hook(
        lambda module, args, kwargs: heard.append(kwargs["encoder_hidden_states"]), with_kwargs=True
    )
    with torch.no_grad():
        loss_of(model, [row], tokenizer.pad_token_id)
        hidden = model.encoder(input_ids=torch.tensor([row.ids])).last_hidden_state[0]
    for states, (start, end) in zip(heard[0], row.asked, strict=True):
        torch.testing.assert_close(states[: end - start], hidden[start:end])


def test_a_long_answer_weighs_no_more_than_a_short_one():
    logits = torch.zeros(4, 10)
    logits[0, 3] = 100.0  # the one-token answer is right, the three tokens of the other are guesses
    labels = torch.tensor([[3, IGNORE, IGNORE], [1, 2, 4]])
    assert float(language._answer_loss(logits, labels)) == pytest.approx(math.log(10) / 2)


@pytest.mark.parametrize("family", ["t5", "llama"])
def test_a_handful_of_texts_is_learnt_by_heart(family, tokenizer, monkeypatch):
    model = tiny(family, tokenizer)
    rows = [row_of(family, text, tokenizer) for text in HANDFUL]
    monkeypatch.setattr(language, "texts", lambda seed, share: iter(HANDFUL * 2))
    monkeypatch.setattr(language, "dense", lambda *_, **__: HANDFUL[0])
    before = examine(model, tokenizer, seed=1, number=1)
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
    assert examine(model.eval(), tokenizer, seed=1, number=1) == {"dense": 1.0, "gqa": 1.0, "vqav2": 1.0}


# ---------------------------------------------------------------- batches and the loop


@pytest.mark.parametrize("family", ["t5", "llama"])
def test_batches_are_a_pure_function_of_the_step(family, tokenizer):
    plan = Schedule(cycles=(16,), batch_size=2, one_hop_steps=0, dense_steps=8, dense_share=0.5)
    first = list(islice(TextBatches(family, tokenizer, plan, 0), 4))
    assert {len(bucket) for bucket in first} == {language.BUCKET}
    assert {len(rows) for bucket in first for rows in bucket} == {2}
    assert next(iter(TextBatches(family, tokenizer, plan, 8))) == first[1]
    assert {len(row.asked) for rows in first[0] for row in rows} == {12}  # dense alone to begin with
    shared = DataLoader(TextBatches(family, tokenizer, plan, 0), batch_size=None, num_workers=2)
    assert list(islice(shared, 4)) == first


def test_training_starts_with_lookups_of_one_hop(tokenizer):
    plan = Schedule(batch_size=1, one_hop_steps=8, dense_steps=16)
    stream = TextBatches("llama", tokenizer, plan, 0)
    lookups, everything = list(islice(stream._texts(0), 50)), list(islice(stream._texts(8), 50))

    def told(texts):
        return " ".join(question for text in texts for question, _ in text.turns)

    assert "how many" not in told(lookups)
    assert "true or false" not in told(lookups)
    assert "how many" in told(everything)
    assert "true or false" in told(everything)


def test_a_second_cycle_starts_at_half_the_rate_and_draws_what_lags_more_often(tokenizer):
    plan = Schedule(cycles=(80, 40), warmup_steps=8, one_hop_steps=0, dense_steps=8, dense_share=0.0)
    assert plan.steps == 120
    rates = [plan.rate_share(step) for step in range(plan.steps)]
    assert max(rates[:80]) == rates[7] > 0.95
    assert rates[79] < 0.03
    assert max(rates[80:]) == rates[87] == pytest.approx(0.5, abs=0.05)
    stream = TextBatches("t5", tokenizer, plan, 0)

    def share(step):
        drawn = [text.task for text in islice(stream._texts(step), 300)]
        return sum(task in LAGGING for task in drawn) / len(drawn)

    # six closed tasks (twice each) and six that list things (once); four shares more for each of them after
    assert share(72) == pytest.approx(18 / 41, abs=0.08)
    assert share(80) == pytest.approx(66 / 89, abs=0.08)


@pytest.mark.parametrize("row_of", [sequence_row, causal_row])
def test_a_summed_description_has_one_position_for_each_thing(row_of, tokenizer):
    told = "dog top left big red dog , cat top left small blue cat ."
    text = Text("dense", told, (("where ?", "left"),))
    plain, summed = row_of(text, tokenizer), row_of(text, tokenizer, summed=True)
    assert summed.length == plain.length - 14 + 2  # the comma and the full stop go as well
    words = torch.nn.Embedding(len(tokenizer), 8)
    read, mask = embedded([summed, plain], words, tokenizer.pad_token_id)
    ids = torch.tensor(tokenizer("dog top left big red dog", add_special_tokens=False).input_ids)
    assert torch.allclose(read[0, 0], words(ids).sum(0), atol=1e-6)
    assert torch.equal(read[0, 2 : summed.length], read[1, 14 : plain.length])
    assert mask.sum(1).tolist() == [summed.length, plain.length]
    (start, end) = summed.asked[0]
    assert end - start == plain.asked[0][1] - plain.asked[0][0] - (12 if row_of is sequence_row else 0)


def test_descriptions_are_summed_from_the_second_cycle_on_and_clips_never(tokenizer):
    plan = Schedule(cycles=(16, 16), batch_size=32, one_hop_steps=0, dense_steps=0, summed_share=0.5)

    def summed(first):
        rows = [row for rows in next(iter(TextBatches("t5", tokenizer, plan, first))) for row in rows]
        return sum(len(row.ids) > row.length for row in rows) / len(rows)

    assert summed(0) == 0
    assert 0.3 < summed(16) < 0.5  # half of those that are not clips
    clip = Text("msvd_qa", f"{HEADERS[0]} dog top left big red dog .", (("what ?", "dog"),))
    assert sequence_row(clip, tokenizer, summed=True) == sequence_row(clip, tokenizer)


@pytest.mark.parametrize("family", ["t5", "llama"])
def test_training_yields_every_step_and_changes_the_model(family, tokenizer):
    model = tiny(family, tokenizer)
    before = {name: weight.clone() for name, weight in model.state_dict().items()}
    plan = Schedule(cycles=(3,), batch_size=2, warmup_steps=1, dense_steps=8)
    found = list(language.train(model, tokenizer, plan, language.optimizer(model, plan)))
    assert [step for step, _ in found] == [1, 2, 3]
    assert all(math.isfinite(loss) for _, loss in found)
    changed = [name for name, weight in model.state_dict().items() if not torch.equal(weight, before[name])]
    assert any("embed" in name or "shared" in name for name in changed)


def test_training_continues_where_it_stopped(tokenizer):
    plan = Schedule(cycles=(2 * language.BUCKET,), batch_size=1, warmup_steps=4, dense_steps=8)
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

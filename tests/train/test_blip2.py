"""BLIP-2's pre-training: who sees whom in stage 1, and that a handful of pairs is learnt."""

from __future__ import annotations

import numpy as np
import pytest
import tiny
import torch
from transformers import (
    InstructBlipQFormerConfig,
    InstructBlipQFormerModel,
    InstructBlipVisionConfig,
    InstructBlipVisionModel,
)

from workbench import code
from workbench.records import Example
from workbench.train import blip2, pairs, vision

WIDTH, SEEN, QUERIES, TOKENS, LENGTH = 32, 16, 3, 5, 6
PAD, CLS, DEC = 0, 1, 2
WORDS = "a red blue green big small dog cat car tree and bus".split()


def qformer():
    torch.manual_seed(1)
    config = InstructBlipQFormerConfig(
        vocab_size=40, hidden_size=WIDTH, num_hidden_layers=2, num_attention_heads=4, intermediate_size=32,
        cross_attention_frequency=2, encoder_hidden_size=SEEN, pad_token_id=PAD, initializer_range=0.3,
        hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0,
    )  # fmt: skip
    return InstructBlipQFormerModel(config).eval()


def parts():
    config = InstructBlipVisionConfig(
        hidden_size=SEEN, intermediate_size=16, num_hidden_layers=1, num_attention_heads=2, image_size=16,
        patch_size=8, initializer_range=0.2,
    )  # fmt: skip
    return blip2.Parts(qformer(), InstructBlipVisionModel(config), QUERIES)


# ---------------------------------------------------------------- masks, by what changes what


class Reader:
    """A tiny Q-Former over `[queries | contrast text | generation text]`; the second text ends in padding."""

    def __init__(self):
        self.model = qformer()
        draw = torch.Generator().manual_seed(2)
        self.ids = torch.randint(3, 40, (2, 2 * LENGTH), generator=draw)
        self.text = torch.ones(2, LENGTH, dtype=torch.long)
        self.text[1, -1] = 0
        self.queries = torch.randn(2, QUERIES, WIDTH, generator=draw)
        self.image = torch.randn(2, TOKENS, SEEN, generator=draw)

    @torch.no_grad()
    def read(self, ids=None, queries=None, image=None):
        return self.model(
            input_ids=self.ids if ids is None else ids,
            attention_mask=blip2.shared_masks(QUERIES, self.text),
            position_ids=torch.arange(LENGTH).repeat(2)[None],
            query_embeds=self.queries if queries is None else queries,
            encoder_hidden_states=self.image if image is None else image,
        ).last_hidden_state

    def changed(self, **inputs):
        """(2, queries + 2 LENGTH) booleans: where the output differs after a change of inputs."""
        return ((self.read(**inputs) - self.read()).abs() > 1e-5).any(-1)

    def after_word(self, place):
        """What changes with the text token at a place of `[contrast | generation]`."""
        ids = self.ids.clone()
        ids[:, place] = (ids[:, place] - 3 + 7) % 37 + 3
        return self.changed(ids=ids)


@pytest.fixture(scope="module")
def reader():
    return Reader()


ONE, TWO = slice(QUERIES, QUERIES + LENGTH), slice(QUERIES + LENGTH, QUERIES + 2 * LENGTH)


@pytest.mark.parametrize("place", range(2 * LENGTH))
def test_queries_see_no_text(reader, place):
    assert not reader.after_word(place)[:, :QUERIES].any()


@pytest.mark.parametrize("place", range(LENGTH))
def test_contrast_text_is_read_both_ways_and_by_itself_alone(reader, place):
    changed = reader.after_word(place)
    assert changed[0, ONE].all()
    assert not changed[:, TWO].any()


@pytest.mark.parametrize("place", range(LENGTH))
def test_generation_text_is_read_from_left_to_right(reader, place):
    changed = reader.after_word(LENGTH + place)
    assert not changed[:, ONE].any()
    assert changed[0, TWO].tolist() == [other >= place for other in range(LENGTH)]


@pytest.mark.parametrize("place", [LENGTH - 1, 2 * LENGTH - 1])
def test_padding_is_seen_by_nothing_but_itself(reader, place):
    changed = reader.after_word(place)[1].tolist()
    assert [i for i, differs in enumerate(changed) if differs] == [QUERIES + place]


def test_contrast_text_sees_neither_queries_nor_picture_and_generation_text_sees_both(reader):
    for inputs in ({"queries": reader.queries.flip(0)}, {"image": reader.image.flip(0)}):
        changed = reader.changed(**inputs)
        assert changed[:, :QUERIES].all()
        assert not changed[:, ONE].any()
        assert changed[0, TWO].all()


def test_gradients_agree(reader):
    queries = reader.queries.clone().requires_grad_()
    hidden = reader.model(
        input_ids=reader.ids, attention_mask=blip2.shared_masks(QUERIES, reader.text),
        position_ids=torch.arange(LENGTH).repeat(2)[None], query_embeds=queries,
        encoder_hidden_states=reader.image,
    ).last_hidden_state  # fmt: skip
    (of_contrast,) = torch.autograd.grad(hidden[:, ONE].square().sum(), queries, retain_graph=True)
    (of_generation,) = torch.autograd.grad(hidden[:, TWO].square().sum(), queries)
    assert not of_contrast.any()
    assert (of_generation.abs().sum(-1) > 0).all()


def test_contrast_text_reads_as_if_it_were_alone(reader):
    alone = reader.model(input_ids=reader.ids[:1, :LENGTH], attention_mask=reader.text[:1]).last_hidden_state
    assert torch.allclose(reader.read()[:1, ONE], alone, atol=1e-5)


# ---------------------------------------------------------------- stage 1


def ids(text):
    return [CLS, *(3 + WORDS.index(word) for word in text.split())]


@pytest.fixture(scope="module")
def data():
    draw = torch.Generator().manual_seed(3)
    captions = ("a red dog", "a blue cat", "a big green car", "a small tree", "a bus and a dog", "a red cat")
    examples = tuple(
        Example("coco_caption", str(i), str(i), ("x.png",), (text,)) for i, text in enumerate(captions)
    )
    return pairs.Pairs(torch.randn(6, TOKENS, SEEN, generator=draw).half(), examples)


@pytest.fixture(scope="module")
def learnt(data):
    """A model that has seen six pairs often, and its losses."""
    torch.manual_seed(4)
    model = blip2.Stage1(parts(), DEC, PAD)
    return model, [losses for _, losses in blip2.stage1(model, data, ids, 80, 6, 8e-3, 1)]


@pytest.mark.parametrize("name", ["contrast", "matching", "generation"])
def test_the_losses_fall(learnt, name):
    _, losses = learnt
    assert len(losses) == 80
    first, last = (np.mean([step[name] for step in part]) for part in (losses[:5], losses[-5:]))
    assert last < 0.7 * first


def test_a_pair_matches_itself(learnt, data):
    model, _ = learnt
    assert blip2.retrieval(model, data, ids) == {"recall@1/image_to_text": 1.0, "recall@1/text_to_image": 1.0}


@torch.no_grad()
def test_the_matching_head_tells_pairs_from_strangers(learnt, data):
    model, _ = learnt
    image = model.parts.post_layernorm(data.features.float())
    odds = torch.zeros(6, 6)
    for j, example in enumerate(data.examples):
        text = torch.tensor([ids(example.references[0])]).expand(6, -1)
        hidden = model.parts.qformer(
            input_ids=text, attention_mask=torch.ones(6, QUERIES + text.shape[1]),
            query_embeds=model.parts.query_tokens.expand(6, -1, -1), encoder_hidden_states=image,
        ).last_hidden_state[:, :QUERIES]  # fmt: skip
        no, yes = model.match_head(hidden).mean(1).T
        odds[:, j] = yes - no
    assert (odds.argmax(0) == torch.arange(6)).float().mean() > 0.8
    assert odds.diagonal().mean() > 0 > odds[~torch.eye(6, dtype=torch.bool)].mean()


def test_every_part_learns_from_some_loss(data):
    torch.manual_seed(4)
    model = blip2.Stage1(parts(), DEC, PAD)
    rows = [ids(example.references[0]) for example in data.examples]
    width = max(map(len, rows))
    losses = model(data.features.float(), torch.tensor([row + [PAD] * (width - len(row)) for row in rows]))
    assert set(losses) == {"contrast", "generation", "matching"}
    torch.stack(list(losses.values())).sum().backward()
    idle = [name for name, p in model.named_parameters() if p.grad is None or not p.grad.any()]
    # a bias of keys shifts all scores alike
    assert all(name.endswith("key.bias") for name in idle if "post_layernorm" not in name), idle


# ---------------------------------------------------------------- pairs


def test_pairs_are_drawn_by_seed_and_step_without_repetition(data):
    drawn, captions = pairs.pick_pairs(data, 1, 5, 4)
    assert (drawn, captions) == pairs.pick_pairs(data, 1, 5, 4)
    assert len(set(drawn)) == 4
    assert captions == [data.examples[i].references[0] for i in drawn]
    assert len({tuple(pairs.pick_pairs(data, 1, step, 4)[0]) for step in range(20)}) > 10


def test_pairs_stand_in_for_a_feature_store(data):
    numbered = [data.numbered(i) for i in (4, 1)]
    taken = data.take([ref for example in numbered for ref in example.images])
    assert taken.dtype == torch.float32
    assert torch.equal(taken, data.features[[4, 1]].float())
    assert [example.references for example in numbered] == [("a bus and a dog",), ("a blue cat",)]
    with pytest.raises(AttributeError, match="no blank picture"):
        _ = data.blank


def test_pictures_are_encoded_in_order():
    torch.manual_seed(6)
    config = InstructBlipVisionConfig(
        hidden_size=8, intermediate_size=8, num_hidden_layers=1, num_attention_heads=2, image_size=64,
        patch_size=8,
    )  # fmt: skip
    made = pairs.pairs(InstructBlipVisionModel(config).eval(), 3, 2, seed=1)
    assert made.features.shape == (5, vision.GRID**2 + 1, 8)
    assert made.features.dtype == torch.float16
    assert [example.dataset for example in made.examples] == ["web_capfilt"] * 3 + ["coco_caption"] * 2


def test_kept_features_are_found_by_encoder_pictures_and_code_alone(tmp_path, monkeypatch):
    config = InstructBlipVisionConfig(
        hidden_size=8, intermediate_size=8, num_hidden_layers=1, num_attention_heads=2, image_size=64,
        patch_size=8,
    )  # fmt: skip
    one, other = (InstructBlipVisionModel(config).eval() for _ in range(2))
    made = pairs.pairs(one, 2, 1, seed=1, kept=tmp_path)
    monkeypatch.setattr(pairs, "encode", lambda *_: pytest.fail("encoded again"))
    again = pairs.pairs(one, 2, 1, seed=1, kept=tmp_path)
    assert torch.equal(again.features, made.features)
    assert again.examples == made.examples
    for encoder, seed in ((other, 1), (one, 2)):
        with pytest.raises(pytest.fail.Exception, match="encoded again"):
            pairs.pairs(encoder, 2, 1, seed=seed, kept=tmp_path)
    monkeypatch.setattr(code, "digest", lambda modules: f"edited {modules}")
    with pytest.raises(pytest.fail.Exception, match="encoded again"):
        pairs.pairs(one, 2, 1, seed=1, kept=tmp_path)


def test_the_state_has_the_names_of_an_instructblip(tmp_path):
    there = {name.removeprefix("model.") for name in tiny.fresh(tmp_path, "t5").state_dict()}
    mine = parts()
    state = blip2.qformer_state(mine)
    assert set(state) <= there
    assert torch.equal(state["vision_model.post_layernorm.weight"], mine.post_layernorm.weight)
    assert {name for name in there if name.startswith(("qformer", "query_tokens"))} <= set(state)


def test_the_rate_warms_up_and_falls_to_nothing():
    rates = [blip2.cosine(step, 1000, 100) for step in range(1001)]
    assert rates[0] == pytest.approx(0.01)
    assert max(rates) == pytest.approx(rates[99], rel=0.01)
    assert rates[1000] == pytest.approx(0.0, abs=1e-12)


def test_object_recall_by_head():
    said, shown = ["a red dog and a cat", "a bus"], [["dog", "car"], ["bus"]]
    assert blip2.object_recall(said, shown) == pytest.approx(0.75)
    assert blip2.object_recall(["a hotdog"], [["dog"]]) == 0.0

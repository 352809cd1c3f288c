"""Tokenizers as the hub has them, and the tokens that a start needs beyond theirs."""

from __future__ import annotations

import json

import checkpoint_folders as made
import pytest
import tiny
import torch
from PIL import Image
from transformers import AutoConfig, InstructBlipForConditionalGeneration, InstructBlipProcessor

from workbench.config import Model
from workbench.data.tokens import Tokenizers
from workbench.model.checkpoint import assemble
from workbench.model.folder import ModelError
from workbench.model.instructblip import InstructBlip
from workbench.model.sources import read


def make(root, *sources):
    assemble([read(name, root, True) for name in sources], tiny.QUERIES, root / "start")


def test_a_bert_that_does_not_name_its_special_tokens(tmp_path):
    made.bert(tmp_path / "bert")
    made.blip2(tmp_path / "blip2", "t5")
    # all that google-bert/bert-base-uncased says
    (tmp_path / "bert/tokenizer_config.json").write_text('{"do_lower_case": true, "model_max_length": 512}')
    (tmp_path / "bert/special_tokens_map.json").unlink(missing_ok=True)
    make(tmp_path, "bert", "blip2")
    tokens = Tokenizers.load(tmp_path / "start/blip2-t5")
    roles = ("pad_token_id", "unk_token_id", "cls_token_id", "sep_token_id")
    assert [getattr(tokens.qformer, role) for role in roles] == [0, 1, 2, 3]
    assert tokens.qformer_ids("") == (2, 3)


def test_a_vicuna_gets_a_token_for_the_picture(tmp_path):
    speaker = made.vicuna(tmp_path / "vicuna")
    made.bert(tmp_path / "bert")
    made.blip2(tmp_path / "blip2", "t5")
    make(tmp_path, "bert", "blip2", "vicuna")
    folder, rows = tmp_path / "start/blip2-llama", speaker.config.vocab_size
    config = AutoConfig.from_pretrained(folder)
    assert (config.image_token_index, config.text_config.vocab_size) == (rows, rows + 1)
    got = InstructBlipForConditionalGeneration.from_pretrained(folder).state_dict()
    for name, tensor in speaker.state_dict().items():
        there = got[f"language_model.{name}"]
        if len(tensor) == rows:
            torch.testing.assert_close(there[rows], tensor.mean(0))
        assert torch.equal(there[: len(tensor)], tensor), name
    tokens = Tokenizers.load(folder)
    words = tokens.language
    assert words.convert_tokens_to_ids("<image>") == rows
    assert (words.bos_token, words.eos_token, words.pad_token) == ("<s>", "</s>", "<unk>")
    ids = tokens.target_ids("the cat")
    assert ids[-1] == words.eos_token_id
    assert tokens.decode([ids]) == ["the cat"]
    InstructBlip.load(folder, Model(language_model="llama", num_query_tokens=tiny.QUERIES))


def test_plain_transformers_begins_a_vicunas_prompt_as_we_do(tmp_path):
    made.vicuna(tmp_path / "vicuna")
    path = tmp_path / "vicuna/tokenizer_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"add_bos_token": True}))  # as lmsys' has it
    made.bert(tmp_path / "bert")
    made.blip2(tmp_path / "blip2", "t5")
    tuned = made.whole(tmp_path / "tuned", "llama", seed=9)
    speaks = ("language_model.", "llm_proj.")
    file = {name: w for name, w in made.lavis(tuned, "llama").items() if not name.startswith(speaks)}
    torch.save({"model": file}, tmp_path / "instruct_blip.pth")
    make(tmp_path, "bert", "blip2", "vicuna", "instruct_blip.pth")
    tokens = Tokenizers.load(tmp_path / "start/blip2-llama")
    ours = tokens.prompt_ids("the cat")
    assert ours[0] == tokens.language.eos_token_id
    assert tuple(tokens.language("the cat").input_ids) == ours


def test_shared_embeddings_grow_together(tmp_path):
    made.llama(tmp_path / "lm")
    path = tmp_path / "lm/tokenizer.json"
    written = json.loads(path.read_text())
    words = written["model"]["vocab"]
    words |= {f"w{i}": i for i in range(len(words), tiny.VOCABULARY)}
    path.write_text(json.dumps(written))
    made.bert(tmp_path / "bert")
    made.vit(tmp_path / "eye")
    make(tmp_path, "eye", "lm", "bert")
    model = InstructBlipForConditionalGeneration.from_pretrained(tmp_path / "start/blip2-llama")
    language = model.language_model
    assert len(language.lm_head.weight) == tiny.VOCABULARY + 1
    assert language.lm_head.weight is language.get_input_embeddings().weight


@pytest.mark.parametrize("family", tiny.FAMILIES)
def test_what_is_saved_is_for_plain_transformers(family, tmp_path):
    made.whole(tmp_path / "hub", family)
    make(tmp_path, "hub")
    switches = Model(language_model=family, num_query_tokens=tiny.QUERIES)
    InstructBlip.load(tmp_path / f"start/blip2-{family}", switches).save_pretrained(tmp_path / "saved")
    processor = InstructBlipProcessor.from_pretrained(tmp_path / "saved")
    model = InstructBlipForConditionalGeneration.from_pretrained(tmp_path / "saved").eval()
    picture = Image.new("RGB", (16, 16), "red")
    read = processor(images=picture, text="what is it?", return_tensors="pt")
    assert (read["input_ids"] == model.config.image_token_index).sum() == tiny.QUERIES
    said = model.generate(**read, max_new_tokens=4)
    blank = processor(images=Image.new("RGB", (16, 16)), text="what is it?", return_tensors="pt")
    with torch.no_grad():
        seen, unseen = (model(**one, **decoded(family)).logits for one in (read, blank))
    assert not torch.equal(seen, unseen)
    assert len(processor.batch_decode(said, skip_special_tokens=True)) == 1


def decoded(family):
    return {"decoder_input_ids": torch.zeros(1, 1, dtype=torch.long)} if family == "t5" else {}


def test_flan_t5_has_the_activation_that_lavis_gave_it(tmp_path):
    made.t5(tmp_path / "flan")
    path = tmp_path / "flan/config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"dense_act_fn": "gelu_new"}))
    made.vit(tmp_path / "eye")
    made.bert(tmp_path / "bert")
    torch.save(made.lavis(made.whole(tmp_path / "one", "t5"), "t5"), tmp_path / "instruct_blip.pth")
    for sources, activation in ((("eye", "flan", "bert"), "gelu_new"), (("bert", "eye", "flan"), "gelu")):
        more = ["instruct_blip.pth"] * (activation == "gelu")
        make(tmp_path, *sources, *more)
        found = AutoConfig.from_pretrained(tmp_path / "start/blip2-t5").text_config
        assert found.dense_act_fn == activation


def test_opt_ends_its_answers_as_it_was_trained(tmp_path):
    made.bert(tmp_path / "bert")
    made.opt(tmp_path / "opt", end=50)
    make(tmp_path, "bert", "opt")
    folder = tmp_path / "start/blip2-llama"
    assert AutoConfig.from_pretrained(folder).text_config.eos_token_id == 50
    assert Tokenizers.load(folder).target_ids("a")[-1] == 50


@pytest.mark.parametrize(
    ("sources", "remedy"),
    [(("blip2",), "put google-bert/bert-base-uncased first in the list"), (("bert",), "into the list")],
)
def test_the_remedy_for_a_tokenizer_that_is_lacking_says_where_it_goes(sources, remedy, tmp_path):
    made.blip2(tmp_path / "blip2", "t5")
    made.bert(tmp_path / "bert")
    with pytest.raises(ModelError, match=remedy):
        make(tmp_path, *sources)

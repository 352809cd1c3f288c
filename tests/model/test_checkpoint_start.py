"""A start of hub folders, BLIP-2, BERT, LAVIS files and parts: every weight arrives, or is named."""

from __future__ import annotations

import os
import pickle
from pathlib import Path

import checkpoint_folders as made
import pytest
import small_world
import tiny
import torch
from checkpoint_folders import make, weights
from safetensors.torch import load_file, save_file
from transformers import InstructBlipForConditionalGeneration, InstructBlipProcessor

from workbench.config import Model, changed
from workbench.data.encoder import Encoder, encode
from workbench.data.tokens import Tokenizers
from workbench.experiment.record import RunError, start_folder
from workbench.files import read_json
from workbench.model import sources
from workbench.model.checkpoint import assemble
from workbench.model.folder import ModelError
from workbench.model.instructblip import InstructBlip
from workbench.model.naming import TEXT_PATH
from workbench.model.sources import read
from workbench.stages import start

FAMILIES = tiny.FAMILIES


def same(one: dict[str, torch.Tensor], two: dict[str, torch.Tensor]) -> bool:
    return one.keys() == two.keys() and all(torch.equal(one[name], two[name]) for name in one)


@pytest.mark.parametrize("family", FAMILIES)
def test_an_instructblip_folder_becomes_a_start(family, tmp_path):
    model = made.whole(tmp_path / "hub", family)
    account = make(tmp_path, "hub")
    folder = tmp_path / "start" / f"blip2-{family}"
    assert same(weights(folder), model.state_dict())
    assert (account["family"], account["drawn"], account["unexpected"]) == (family, [], [])
    (source,) = account["sources"]
    assert source["sha256"].keys() == {"model.safetensors"}
    assert source["replaced"] == []
    switches = Model(language_model=family, num_query_tokens=tiny.QUERIES)
    InstructBlip.load(folder, switches)
    assert Tokenizers.load(folder).qformer_ids("") == (2, 3)
    encoder = Encoder.open(tmp_path / "start/vision")
    pixels = torch.randn(2, 3, tiny.IMAGE_SIZE, tiny.IMAGE_SIZE)
    with torch.no_grad():
        wanted = model.vision_model.encoder(inputs_embeds=model.vision_model.embeddings(pixels))
    assert torch.equal(encode(encoder.load(), pixels), wanted.last_hidden_state)
    assert encoder.preprocessing.mean == tuple(made.PIXELS["image_mean"])


@pytest.mark.parametrize("family", FAMILIES)
def test_a_blip2_alone_is_refused_and_with_a_bert_it_is_a_start(family, tmp_path):
    theirs, reader = made.blip2(tmp_path / "blip2", family), made.bert(tmp_path / "bert")
    with pytest.raises(ModelError, match="tokenizer for the Q-Former; put google-bert"):
        make(tmp_path, "blip2")
    account = make(tmp_path, "bert", "blip2")
    got = weights(tmp_path / "start" / f"blip2-{family}")
    state = theirs.state_dict()
    for name, tensor in got.items():
        if not TEXT_PATH.match(name):
            name_there = name.replace("qformer.embeddings.layernorm", "qformer.layernorm")
            assert torch.equal(tensor, state[name_there]), name
    words = reader.embeddings.word_embeddings.weight + reader.embeddings.token_type_embeddings.weight[0]
    assert torch.equal(got["qformer.embeddings.word_embeddings.weight"], words)
    first = reader.encoder.layer[0]
    assert torch.equal(got["qformer.encoder.layer.0.output.dense.weight"], first.output.dense.weight)
    given, over = account["sources"]
    assert any(TEXT_PATH.match(name) for name in given["loaded"])
    assert "qformer.encoder.layer.0.output_query.dense.weight" in given["replaced"]
    assert account["drawn"] == []
    assert over["replaced"] == []


def test_the_text_path_that_is_missing_is_named(tmp_path):
    made.blip2(tmp_path / "blip2", "t5")
    made.whole(tmp_path / "hub", "t5")
    reader = read("hub", tmp_path, False)
    kept = {n: t for n, t in reader.state.items() if n.startswith("language_projection")}
    parts = [type(reader)(**{**fields(reader), "state": kept}), read("blip2", tmp_path, False)]
    with pytest.raises(ModelError, match=r"the Q-Former's text path .* put a stage-1 file .* or a BERT"):
        assemble(parts, tiny.QUERIES, tmp_path / "start")
    assert not (tmp_path / "start").exists()


def fields(part) -> dict:
    return {name: getattr(part, name) for name in part.__dataclass_fields__}


@pytest.mark.parametrize("family", FAMILIES)
def test_a_lavis_file_goes_over_a_folder(family, tmp_path):
    base = made.whole(tmp_path / "hub", family, seed=1)
    tuned = made.whole(tmp_path / "other", family, seed=9)
    for layer in tuned.vision_model.encoder.layers:  # LAVIS' ViT has no bias on the keys
        layer.self_attn.qkv.bias.data[tiny.WIDTH : 2 * tiny.WIDTH] = 0
    spare = {"Qformer.cls.predictions.bias": torch.zeros(3), "temp": torch.zeros(())}
    spare |= {"odd.weight": torch.ones(2)}
    torch.save({"model": made.lavis(tuned, family) | spare}, tmp_path / "instruct_blip.pth")
    with pytest.raises(ModelError, match="is a pickle; if you trust"):
        make(tmp_path, "hub", "instruct_blip.pth")
    account = make(tmp_path, "hub", "instruct_blip.pth", allow_pickle=True)
    got = weights(tmp_path / "start" / f"blip2-{family}")
    speaks = {n: t for n, t in base.state_dict().items() if n.startswith("language_model")}
    expected = tuned.state_dict() | speaks
    assert same(got, expected)
    assert account["spare"] == ["Qformer.cls.predictions.bias", "temp"]
    assert account["unexpected"] == ["odd.weight"]
    tokens = Tokenizers.load(tmp_path / "start" / f"blip2-{family}")
    if family == "llama":  # LAVIS' Vicunas: the end token where Llama has <s>
        assert tokens.prompt_ids("a")[0] == tokens.language.eos_token_id
        text = InstructBlipForConditionalGeneration.config_class.from_pretrained(
            tmp_path / "start/blip2-llama"
        ).text_config
        assert text.bos_token_id == text.eos_token_id == tokens.language.eos_token_id
        assert text.pad_token_id == tokens.language.pad_token_id


def test_stage_one_first_then_a_blip2_is_the_order_of_lavis(tmp_path):
    tuned, theirs = made.whole(tmp_path / "one", "t5", seed=9), made.blip2(tmp_path / "blip2", "t5")
    made.bert(tmp_path / "bert")
    stage_one = {k: v for k, v in made.lavis(tuned, "t5").items() if "proj." not in k}
    torch.save(stage_one, tmp_path / "blip2_pretrained.pth")
    make(tmp_path, "bert", "blip2_pretrained.pth", "blip2", allow_pickle=True)
    got = weights(tmp_path / "start/blip2-t5")
    name = "qformer.encoder.layer.1.intermediate.dense.weight"
    assert torch.equal(got[name], tuned.state_dict()[name])
    name = "qformer.encoder.layer.1.intermediate_query.dense.weight"
    assert torch.equal(got[name], theirs.state_dict()[name])


def test_a_stage_one_of_the_hub_gives_the_whole_text_path(tmp_path):
    theirs = made.stage_one(tmp_path / "itm")
    made.blip2(tmp_path / "blip2", "t5")
    for order in (("itm", "blip2"), ("blip2", "itm")):
        account = make(tmp_path, *order)
        got = weights(tmp_path / "start/blip2-t5")
        words = theirs.embeddings.word_embeddings.weight
        assert torch.equal(got["qformer.embeddings.word_embeddings.weight"], words)
        places = theirs.embeddings.position_embeddings.weight
        assert torch.equal(got["qformer.embeddings.position_embeddings.weight"], places)
        name = "qformer.encoder.layer.0.intermediate.dense.weight"
        assert torch.equal(got[name], theirs.state_dict()[name])
        heads = ("vision_projection", "text_projection", "itm_head")
        assert set(account["spare"]) == {f"{head}.{kind}" for head in heads for kind in ("weight", "bias")}
        assert (account["drawn"], account["unexpected"]) == ([], [])


def test_what_transformers_ignores_is_in_the_account(tmp_path):
    made.whole(tmp_path / "hub", "t5")
    path = tmp_path / "hub/model.safetensors"
    save_file(load_file(path) | {"odd.weight": torch.ones(2)}, path, {"format": "pt"})
    assert make(tmp_path, "hub")["spare"] == ["odd.weight"]


@pytest.mark.parametrize(("vision", "family"), [("dinov2", "llama"), ("vit", "t5")])
def test_a_model_from_scratch(vision, family, tmp_path):
    eye, speaker = getattr(made, vision)(tmp_path / "eye"), getattr(made, family)(tmp_path / "lm")
    reader = made.bert(tmp_path / "bert")
    account = make(tmp_path, "eye", "lm", "bert")
    assert account["family"] == family
    assert {"query_tokens", "language_projection.weight"} <= set(account["drawn"])
    assert all("crossattention" in n for n in account["drawn"] if n.startswith("qformer."))
    model = InstructBlip.load(
        tmp_path / "start" / f"blip2-{family}", Model(language_model=family, num_query_tokens=tiny.QUERIES)
    )
    assert model.hf.query_tokens.detach().std() == pytest.approx(0.02, rel=0.3)
    side = min(224, eye.config.image_size)
    pixels = torch.randn(2, 3, side, side)
    with torch.no_grad():
        ours = model.hf.vision_model(pixel_values=pixels).last_hidden_state
        theirs = eye(pixels, **interpolated(vision)).last_hidden_state
        torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-5)
        ids, mask = torch.tensor([[2, 7, 8, 3], [2, 9, 3, 0]]), torch.tensor([[1, 1, 1, 1], [1, 1, 1, 0]])
        blind = torch.cat([torch.zeros(2, tiny.QUERIES, dtype=torch.long), mask], dim=1)
        text = model.hf.qformer(
            input_ids=ids, attention_mask=blind, query_embeds=model.hf.query_tokens.expand(2, -1, -1),
            encoder_hidden_states=torch.zeros(2, 3, tiny.WIDTH),
        ).last_hidden_state[:, tiny.QUERIES :]  # fmt: skip
        wanted = reader(input_ids=ids, attention_mask=mask).last_hidden_state
        torch.testing.assert_close(text[mask.bool()], wanted[mask.bool()], rtol=1e-5, atol=1e-5)
    own = model.hf.language_model.state_dict()
    if family == "t5":
        assert not torch.equal(own["lm_head.weight"], own["shared.weight"]), "FLAN-T5's are not the same"
    assert same(own, speaker.state_dict())
    assert Encoder.open(tmp_path / "start/vision").preprocessing.height == side
    assert Tokenizers.load(tmp_path / "start" / f"blip2-{family}").language.pad_token_id is not None


def interpolated(vision: str) -> dict[str, bool]:
    return {"interpolate_pos_encoding": True} if vision == "vit" else {}


def test_our_own_trained_weights_go_over_their_start(tmp_path):
    made.whole(tmp_path / "hub", "t5")
    save_file({"query_tokens": torch.full((1, tiny.QUERIES, tiny.WIDTH), 0.5)}, tmp_path / "best.safetensors")
    account = make(tmp_path, "hub", "best.safetensors")
    assert (weights(tmp_path / "start/blip2-t5")["query_tokens"] == 0.5).all()
    assert account["sources"][0]["replaced"] == ["query_tokens"]


@pytest.mark.parametrize("file", ["hub/model.safetensors", "best.safetensors"])
def test_a_pickle_under_another_name_is_refused_unread(file, tmp_path):
    made.whole(tmp_path / "hub", "t5")
    (tmp_path / file).write_bytes(pickle.dumps(Bomb(tmp_path / "boom")))
    with pytest.raises(ModelError, match="is named like safetensors but is not"):
        make(tmp_path, file.split("/")[0])
    assert not (tmp_path / "boom").exists()


def test_code_in_a_bin_file_is_not_run(tmp_path):
    made.whole(tmp_path / "hub", "t5")
    (tmp_path / "hub/model.safetensors").unlink()
    for write in (lambda path: path.write_bytes(pickle.dumps(Bomb(tmp_path / "boom"))),
                  lambda path: torch.save({"query_tokens": Bomb(tmp_path / "boom")}, path)):  # fmt: skip
        write(tmp_path / "hub/pytorch_model.bin")
        with pytest.raises(ModelError, match=r"\.bin file in .* holds something else than tensors"):
            read("hub", tmp_path, allow_pickle=True)
    assert not (tmp_path / "boom").exists()


def test_code_in_a_pickle_is_not_run(tmp_path):
    (tmp_path / "evil.pth").write_bytes(pickle.dumps(Bomb(tmp_path / "boom")))
    torch.save({"model": Bomb(tmp_path / "boom")}, tmp_path / "worse.pth")
    for name in ("evil.pth", "worse.pth"):
        with pytest.raises(ModelError, match="holds something else than tensors"):
            read(name, tmp_path, allow_pickle=True)
    assert not (tmp_path / "boom").exists()


class Bomb:
    def __init__(self, path: Path) -> None:
        self.path = str(path)

    def __reduce__(self):
        return os.mkdir, (self.path,)


@pytest.fixture
def offline(monkeypatch, tmp_path):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def test_a_hub_id_that_is_not_here_while_offline_is_one_sentence(offline, tmp_path):
    with pytest.raises(ModelError, match=r"Salesforce/no-such at 1234 is not in the hub's cache .* unset it"):
        read("Salesforce/no-such@1234", tmp_path, False)
    for name in ("no/such/folder", "missing.pth", "nothing", "a/b@../c", "a/b@refs/../c"):
        with pytest.raises(ModelError, match="no file, folder or hub id"):
            read(name, tmp_path, False)


def test_a_cached_hub_id_is_read_offline_and_its_commit_recorded(offline, tmp_path):
    commit = "0123456789abcdef0123456789abcdef01234567"
    place = offline / "models--Salesforce--instructblip-tiny"
    made.whole(place / "snapshots" / commit, "t5")
    (place / "refs").mkdir()
    (place / "refs/main").write_text(commit)
    proposed = place / "refs/refs/pr"  # where the hub's cache keeps a branch of that name
    proposed.mkdir(parents=True)
    (proposed / "3").write_text(commit)
    for revision in ("", f"@{commit}", "@main", "@refs/pr/3"):
        name = f"Salesforce/instructblip-tiny{revision}"
        assert make(tmp_path, name)["sources"][0]["revision"] == commit


@pytest.mark.parametrize("branch", ["", "@main"])
def test_a_start_that_is_made_again_is_of_the_same_commit(branch, offline, tmp_path, capsys):
    first, newest = "a" * 40, "b" * 40
    place = offline / "models--Salesforce--instructblip-tiny"
    for seed, commit in enumerate((first, newest)):
        made.whole(place / "snapshots" / commit, "t5", seed=seed)
    (place / "refs").mkdir()
    wanted = {"model.start": "made", "model.checkpoint": [f"Salesforce/instructblip-tiny{branch}"]}
    config = changed(small_world.CONFIG, wanted | {"model.num_query_tokens": tiny.QUERIES})

    def commit_of_a_start(main):
        (place / "refs/main").write_text(main)
        start.work(config, tmp_path)
        return read_json(tmp_path / "made/start.json")["sources"][0]["revision"]

    assert commit_of_a_start(first) == first
    assert commit_of_a_start(newest) == first
    assert "as before; delete" in capsys.readouterr().out
    (tmp_path / "made/start.json").unlink()
    assert commit_of_a_start(newest) == newest


@pytest.mark.parametrize(("held", "asked"), [("model.safetensors", 1), ("pytorch_model.bin", 2)])
def test_pickles_are_downloaded_only_where_there_is_nothing_else(held, asked, tmp_path, monkeypatch):
    patterns = []

    def download(name, revision, allow_patterns):
        patterns.append(allow_patterns)
        (tmp_path / held).touch()
        return str(tmp_path)

    monkeypatch.setattr(sources, "snapshot_download", download)
    with pytest.raises(ModelError):
        read("google/some-model", tmp_path / "none", allow_pickle=True)
    assert ["*.bin" in wanted for wanted in patterns] == [False, True][:asked]


def test_what_does_not_fit_together_is_named(tmp_path):
    made.whole(tmp_path / "hub", "t5")
    save_file({"query_tokens": torch.zeros(1, tiny.QUERIES, 7)}, tmp_path / "best.safetensors")
    with pytest.raises(ModelError, match=r"best.safetensors has query_tokens of shape \(1, 4, 7\)"):
        make(tmp_path, "hub", "best.safetensors")
    made.bert(tmp_path / "bert")
    with pytest.raises(ModelError, match="tokenizer for a language model"):
        make(tmp_path, "bert")


def test_the_stage_writes_an_account_and_a_run_refuses_another_start(tmp_path, capsys):
    made.whole(tmp_path / "hub", "t5")
    wanted = {"model.start": "made", "model.checkpoint": ["hub"], "model.num_query_tokens": tiny.QUERIES}
    config = changed(small_world.CONFIG, wanted)
    with pytest.raises(RunError, match="run `workbench start`"):
        start_folder(config, tmp_path)
    start.work(config, tmp_path)
    assert "hub (instructblip): " in capsys.readouterr().out
    account = read_json(tmp_path / "made/start.json")
    assert account["checkpoint"] == ["hub"]
    assert "query_tokens" in account["sources"][0]["loaded"]
    assert start_folder(config, tmp_path) == tmp_path / "made/blip2-t5"
    with pytest.raises(RunError, match="was not made of"):
        start_folder(changed(config, {"model.checkpoint": ["hub", "more"]}), tmp_path)
    with pytest.raises(ModelError, match="comes with the repository"):
        start.work(changed(config, {"model.start": "backbones/micro"}), tmp_path)
    with pytest.raises(ModelError, match="is empty"):
        start.work(changed(config, {"model.checkpoint": []}), tmp_path)


def test_the_start_is_a_folder_for_plain_transformers(tmp_path):
    made.whole(tmp_path / "hub", "t5")
    make(tmp_path, "hub")
    processor = InstructBlipProcessor.from_pretrained(tmp_path / "start/blip2-t5")
    assert processor.qformer_tokenizer("a").input_ids[0] == 2

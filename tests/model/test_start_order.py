"""The order of a start's sources: none undoes what another was trained to, and each speaks for its own."""

from __future__ import annotations

import json

import checkpoint_folders as made
import pytest
import small_world
import tiny
import torch
from checkpoint_folders import make, weights
from safetensors.torch import save_file

from workbench.config import Model, changed
from workbench.files import read_json
from workbench.model.folder import ModelError
from workbench.model.instructblip import InstructBlip
from workbench.stages import start


def lavis(path, family="t5", vision=False, seed=9):
    """A LAVIS file below the folder of its model; a trimmed one unless the ViT is asked for."""
    model = made.whole(path.with_name(f"{path.stem}-model"), family, seed=seed)
    state = made.lavis(model, family).items()
    torch.save({"model": {k: v for k, v in state if vision or not k.startswith("visual_encoder")}}, path)
    return model


def test_a_text_path_of_bert_under_a_blip2_is_told(tmp_path, capsys):
    made.blip2(tmp_path / "blip2", "t5")
    made.bert(tmp_path / "bert")
    made.stage_one(tmp_path / "itm")
    made.vit(tmp_path / "eye")
    made.t5(tmp_path / "lm")
    for sources, giver in ((["bert", "blip2"], "bert"), (["bert", "itm", "blip2"], "itm"),
                           (["bert", "eye", "lm"], "bert")):  # fmt: skip
        wanted = {"model.start": "made", "model.checkpoint": sources, "model.num_query_tokens": tiny.QUERIES}
        start.work(changed(small_world.CONFIG, wanted), tmp_path)
        assert read_json(tmp_path / "made/start.json")["text_path"] == [giver]
        warned = "warning: the Q-Former's text path is that of bert," in capsys.readouterr().out
        assert warned == (sources == ["bert", "blip2"])


def test_a_bert_does_not_go_over_a_trained_qformer(tmp_path):
    made.bert(tmp_path / "bert")
    made.blip2(tmp_path / "blip2", "t5")
    lavis(tmp_path / "x.pth")
    for sources in (("blip2", "bert"), ("bert", "blip2", "x.pth", "bert")):
        with pytest.raises(ModelError, match=r"bert would go over the Q-Former of .* put it first"):
            make(tmp_path, *sources, allow_pickle=True)


def test_a_language_model_does_not_throw_a_trained_projection_away(tmp_path):
    made.bert(tmp_path / "bert")
    made.blip2(tmp_path / "blip2", "t5")
    made.t5(tmp_path / "flan")
    made.vicuna(tmp_path / "vicuna")
    tuned = lavis(tmp_path / "x.pth")
    for sources, giver in (
        (("bert", "blip2", "x.pth", "flan"), "x.pth"),
        (("bert", "blip2", "x.pth", "vicuna"), "x.pth"),
        (("bert", "blip2", "flan"), "blip2"),
    ):
        lm = sources[-1]
        with pytest.raises(ModelError, match=f"{lm} would throw away .* name {lm} ahead of {giver}"):
            make(tmp_path, *sources, allow_pickle=True)
    # another source gives one again; a BLIP-2's is into a language model of another type
    assert make(tmp_path, "bert", "blip2", "flan", "x.pth", allow_pickle=True)["drawn"] == []
    got, wanted = weights(tmp_path / "start/blip2-t5"), tuned.state_dict()
    assert torch.equal(got["language_projection.weight"], wanted["language_projection.weight"])
    assert len(make(tmp_path, "bert", "blip2", "vicuna")["drawn"]) == 2


def test_weights_of_an_encoder_without_its_configuration_are_named(tmp_path):
    made.bert(tmp_path / "bert")
    made.t5(tmp_path / "flan")
    lavis(tmp_path / "x.pth", vision=True)
    with pytest.raises(ModelError, match=r"x.pth has weights of a vision encoder but no config.json; name a"):
        make(tmp_path, "bert", "flan", "x.pth", allow_pickle=True)
    lavis(tmp_path / "y.pth")
    with pytest.raises(ModelError, match=r"y\.pth has weights of a vision encoder"):  # its ln_vision
        make(tmp_path, "bert", "flan", "y.pth", allow_pickle=True)
    with pytest.raises(ModelError, match=r"no source of model\.checkpoint has a vision encoder"):
        make(tmp_path, "bert", "flan")


@pytest.mark.parametrize("source", ["saved", "best.safetensors"])
def test_a_qformer_tuned_without_its_text_path_is_not_made_to_read(source, tmp_path):
    made.whole(tmp_path / "hub", "t5")
    folder = tmp_path / "start/blip2-t5"
    reads = Model(language_model="t5", num_query_tokens=tiny.QUERIES)
    blind = Model(language_model="t5", num_query_tokens=tiny.QUERIES, instruction_aware=False)
    make(tmp_path, "hub")
    tuned = InstructBlip.load(folder, blind)
    tuned.save_pretrained(tmp_path / "saved")
    save_file({n: p.detach().clone() for n, p in tuned.trainable().items()}, tmp_path / "best.safetensors")
    make(tmp_path, "hub", source)
    InstructBlip.load(folder, blind)
    with pytest.raises(ModelError, match="was tuned without the Q-Former's text path"):
        InstructBlip.load(folder, reads)
    make(tmp_path, source, "hub")  # whose Q-Former goes over it
    aware = InstructBlip.load(folder, reads)
    save_file({n: p.detach().clone() for n, p in aware.trainable().items()}, tmp_path / "best.safetensors")
    make(tmp_path, "saved", "best.safetensors")
    InstructBlip.load(folder, reads)


def test_the_projection_of_a_lavis_opt_is_read(tmp_path):
    made.bert(tmp_path / "bert")
    made.opt(tmp_path / "opt", end=50)
    like = weights_of(tmp_path / "opt")
    row = "model.decoder.layers.0.fc1.bias"
    given = {"opt_proj.weight": torch.ones(tiny.WIDTH, tiny.WIDTH), "opt_proj.bias": torch.ones(tiny.WIDTH)}
    given[f"opt_model.{row}"] = torch.ones_like(like[f"language_model.{row}"])
    torch.save({"model": given}, tmp_path / "blip2_pretrained_opt.pth")
    account = make(tmp_path, "bert", "opt", "blip2_pretrained_opt.pth", allow_pickle=True)
    got = weights(tmp_path / "start/blip2-llama")
    for name in ("language_projection.weight", "language_projection.bias", f"language_model.{row}"):
        assert (got[name] == 1).all()
        assert name in account["sources"][2]["loaded"]
    assert account["unexpected"] == []


def weights_of(folder):
    from transformers import Blip2ForConditionalGeneration

    return Blip2ForConditionalGeneration.from_pretrained(folder).state_dict()


def test_what_has_no_place_is_not_counted_as_loaded(tmp_path):
    made.whole(tmp_path / "hub", "t5")
    save_file({"odd.weight": torch.ones(2)}, tmp_path / "best.safetensors")
    account = make(tmp_path, "hub", "best.safetensors")
    assert account["unexpected"] == ["odd.weight"]
    assert (account["sources"][1]["loaded"], account["sources"][1]["replaced"]) == ([], [])


def test_pictures_are_normalised_as_their_encoder_says(tmp_path):
    made.whole(tmp_path / "hub", "t5")
    made.vit(tmp_path / "eye")
    path = tmp_path / "eye/preprocessor_config.json"
    path.write_text(json.dumps(made.PIXELS | {"image_mean": [0.1, 0.1, 0.1]}))
    for sources, mean in ((("hub", "eye"), [0.1] * 3), (("eye", "hub"), made.PIXELS["image_mean"])):
        make(tmp_path, *sources)
        assert read_json(tmp_path / "start/vision/preprocessor_config.json")["image_mean"] == mean
    path.unlink()
    with pytest.raises(ModelError, match="eye gives the vision encoder and does not say how its pictures"):
        make(tmp_path, "hub", "eye")

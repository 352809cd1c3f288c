"""A question to any picture goes the way of an examination: its weights, its features."""

from __future__ import annotations

from pathlib import Path

import pytest
import small_world
import torch
from PIL import Image
from small_world import CONFIG

from workbench.config import changed
from workbench.data.features import FeatureStore
from workbench.data.images import ImageError, open_image
from workbench.data.prepare import load_examples
from workbench.experiment import asking
from workbench.experiment.answers import WEIGHTS, save_weights
from workbench.experiment.fit import settings_hash
from workbench.experiment.record import Cost, Record, RunError, folder_hash, start_folder
from workbench.files import file_sha256
from workbench.model.instructblip import InstructBlip
from workbench.stages import ask


@pytest.fixture
def root(tmp_path):
    """A start, and what a tuning left that changed every trained weight a little."""
    small_world.start(tmp_path / "backbones/micro")
    start, folder = start_folder(CONFIG, tmp_path), tmp_path / "outputs/tune/instruct"
    weights = InstructBlip.load(start, CONFIG.model).trainable()
    for value in weights.values():
        torch.nn.init.normal_(value, std=0.3)
    folder.mkdir(parents=True)
    save_weights(folder / WEIGHTS, weights)
    Record(
        kind="tune", name="instruct", signature="a", suite="micro", seed=1, config={}, cost=Cost(1, 1, 1),
        hashes={"config": settings_hash(CONFIG, tmp_path), "start": folder_hash(start)}, examples={},
        result={"weights_sha256": file_sha256(folder / WEIGHTS)},
    ).write(folder)  # fmt: skip
    Image.effect_mandelbrot((80, 64), (-2, -1, 1, 1), 9).save(tmp_path / "picture.png")
    return tmp_path


def asked(root: Path, config=CONFIG, recipe="instruct", candidates=("yes", "no"), image="picture.png"):
    ask.work(config, root, root / image, "is it round?", recipe, candidates, root / "attention.png")


def test_the_answer_its_alternatives_and_the_attention_are_shown(root, capsys):
    said = {}
    (root / "link.png").symlink_to(root / "picture.png")
    for recipe, candidates, image in (
        ("instruct", ("yes", "no"), "picture.png"),
        ("blip2", ("yes", "no"), "picture.png"),
        ("instruct", (), "link.png"),
    ):
        asked(root, recipe=recipe, candidates=candidates, image=image)
        said[recipe, candidates] = capsys.readouterr().out.splitlines()
    tuned, start = said["instruct", ("yes", "no")], said["blip2", ("yes", "no")]
    assert {line.split()[1] for line in tuned[1:3]} == {"yes", "no"}
    assert tuned[1:3] != start[1:3]
    assert said["instruct", ()][0] == tuned[0]
    assert tuned[-1] == f"attention over the picture: {root / 'attention.png'}"
    assert Image.open(root / "attention.png").size == (448, 358)


def test_weights_that_do_not_belong_to_the_parameters_are_refused(root):
    with pytest.raises(RunError, match="tuned with other parameters or of another start; run `work"):
        asked(root, changed(CONFIG, {"train.seed": 7}))
    with pytest.raises(RunError, match="holds no tuned model; run `workbench tune multitask_plain` first"):
        asked(root, recipe="multitask_plain")
    weights = root / "outputs/tune/instruct" / WEIGHTS
    weights.write_bytes(weights.read_bytes()[:-4] + b"\0\0\0\0")
    with pytest.raises(RunError, match=r"is not, or no longer, the file that record\.json names"):
        asked(root)
    with pytest.raises(ImageError, match=r"none\.png does not exist"):
        asked(root, recipe="blip2", image="none.png")
    assert not (root / "attention.png").exists()


def test_the_model_sees_the_features_of_an_examination(world, tmp_path, monkeypatch):
    prepared, encoder = world / "data/prepared", world / "backbones/micro/vision"
    (ref,) = load_examples(prepared, "vqav2", "test")[0].images
    open_image(prepared, ref).save(tmp_path / "picture.png")
    seen, answer = [], asking.answer

    def noted(model, batch, *others):
        seen.append(batch.features)
        return answer(model, batch, *others)

    monkeypatch.setattr(asking, "answer", noted)
    asking.ask(
        CONFIG, world, tmp_path / "picture.png", "is it round?", "blip2", ("yes",), tmp_path / "a.png", None
    )
    stored = FeatureStore.open(world / "data/features", prepared=prepared, encoder=encoder).take([ref])
    assert torch.equal(seen[0], seen[0].half().float())
    torch.testing.assert_close(seen[0][0], stored, rtol=0, atol=2e-3)

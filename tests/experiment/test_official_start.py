"""From a hub id to zero-shot scores on one dataset: the official layout, random weights, small dimensions."""

from __future__ import annotations

import shutil

import checkpoint_folders as made
import pytest
import small_world
import tiny

from workbench import presets
from workbench.code import PACKAGE
from workbench.config import changed
from workbench.data.features import build
from workbench.experiment.record import Record, RunError
from workbench.experiment.score import read_scores, score
from workbench.stages import start

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@pytest.mark.parametrize("family", tiny.FAMILIES)
def test_from_a_hub_id_to_the_scores_of_one_dataset(family, world, home, tmp_path, monkeypatch):
    place = tmp_path / "cache/models--Salesforce--instructblip-tiny"
    made.whole(place / "snapshots" / COMMIT, family, positions=256)
    (place / "refs").mkdir()
    (place / "refs/main").write_text(COMMIT)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "cache"))
    preset = presets.read(PACKAGE.parent, "paper-flant5xl" if family == "t5" else "paper-vicuna7b")
    config = changed(
        preset,
        {
            "model.checkpoint": ["Salesforce/instructblip-tiny"],
            "model.start": "backbones/official/tiny",
            "model.num_query_tokens": tiny.QUERIES,
            "evaluate.datasets": ["gqa", "iconqa"],
            "evaluate.batch_size": 4,
            "tracking.uri": small_world.CONFIG.tracking.uri,
        },
    )
    root = tmp_path / "repository"
    shutil.copytree(world / "data/prepared", root / "data/prepared")
    with pytest.raises(RunError, match="run `workbench start`"):
        score(config, "blip2", root)
    start.work(config, root)
    build(root / "data/prepared", root / "backbones/official/tiny/vision", root / "data/features")
    folder = score(config, "blip2", root)
    scores = read_scores(folder)
    assert {(s["dataset"], s["blind"]) for s in scores} == {
        (name, blind) for name in ("gqa", "iconqa") for blind in (False, True)
    }
    assert Record.read(folder).config["model"]["checkpoint"] == ["Salesforce/instructblip-tiny"]
    other = changed(config, {"evaluate.datasets": ["gqa"]})
    assert score(other, "blip2", root) != folder

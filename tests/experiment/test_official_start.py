"""From a hub id to zero-shot scores on one dataset: the official layout, random weights, small dimensions."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import checkpoint_folders as made
import official_root
import pytest
import small_world
import tiny
import yaml
from typer.testing import CliRunner

from workbench import presets
from workbench.cli import app
from workbench.code import PACKAGE
from workbench.config import changed
from workbench.data.features import build
from workbench.data.official.releases import RELEASES
from workbench.data.prepare import prepare
from workbench.experiment.record import Record, RunError
from workbench.experiment.score import read_scores, score
from workbench.files import read_json, write_json
from workbench.stages import evaluate, features, start

COMMIT = "0123456789abcdef0123456789abcdef01234567"


def cached(folder: Path, name: str, family: tiny.Family, monkeypatch: pytest.MonkeyPatch) -> None:
    """A hub's cache with random weights of that name, and no network."""
    place = folder / f"models--{name.replace('/', '--')}"
    made.whole(place / "snapshots" / COMMIT, family, positions=256)
    (place / "refs").mkdir()
    (place / "refs/main").write_text(COMMIT)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(folder))


def test_the_readmes_way_with_the_files_of_one_dataset(home, tmp_path, monkeypatch):
    text = (PACKAGE.parent / "README.md").read_text()
    written = yaml.safe_load(re.search(r"```yaml\n(.*?)```", text, re.DOTALL)[1])
    (hub_id,) = written["model"]["checkpoint"]
    cached(tmp_path / "cache", hub_id, "t5", monkeypatch)
    changes = {f"{name}.{key}": value for name, pairs in written.items() for key, value in pairs.items()}
    changes |= {"model.num_query_tokens": tiny.QUERIES, "tracking.uri": small_world.CONFIG.tracking.uri}
    config = changed(presets.read(PACKAGE.parent, "paper-flant5xl"), changes)
    root = tmp_path / "repository"
    for name, release in official_root.small_releases().items():
        monkeypatch.setitem(RELEASES, name, release)
    official_root.fill(tmp_path / "all")
    data = root / config.data.root
    shutil.copytree(tmp_path / "all/gqa", data / "gqa")
    asked = read_json(data / "gqa/testdev_balanced_questions.json")
    asked["20131"]["imageId"] = "n2"  # of one picture alone there is no interval
    write_json(data / "gqa/testdev_balanced_questions.json", asked)
    official_root.picture(data, "gqa/images/n2.jpg")
    write_json(root / "params.yaml", config.to_dict())
    monkeypatch.chdir(root)
    said = CliRunner().invoke(app, ["data", "check", config.data.root, "gqa"])
    assert said.exit_code == 0, said.output
    start.work(config, root)
    prepare(config, root / "data/prepared", 1, root)
    features.work(config, root)
    evaluate.work(config, root, "blip2")
    assert read_json(root / "reports/metrics/blip2.json")
    said = CliRunner().invoke(app, ["reproduce", "table1", "--checkpoint", config.model.start])
    assert said.exit_code == 0, said.output
    assert "1 rows of ours beside the paper's" in said.output
    assert "GQA" in (root / "reports/reproduce/table1.md").read_text()


@pytest.mark.parametrize("family", tiny.FAMILIES)
def test_from_a_hub_id_to_the_scores_of_one_dataset(family, world, home, tmp_path, monkeypatch):
    cached(tmp_path / "cache", "Salesforce/instructblip-tiny", family, monkeypatch)
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

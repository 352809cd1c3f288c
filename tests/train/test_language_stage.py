"""The stage that trains a language model: several schedules, stopped in the second and resumed."""

from __future__ import annotations

import json
import re
from functools import cache
from unittest.mock import Mock

import pytest
import torch
from safetensors.torch import load_file

from workbench.config import Config, changed
from workbench.data.micro import vocabulary
from workbench.files import write_json
from workbench.stages import backbone, backbone_language
from workbench.train.language import Schedule

PLANS = (
    Schedule(cycles=(8,), batch_size=2, one_hop_steps=8, dense_steps=8),
    Schedule(cycles=(8, 8), batch_size=2, course=True, seed=77),
)
AWAY = changed(Config(), {"tracking.uri": "http://127.0.0.1:9"})  # a database takes seconds to make


class Stopped(Exception):
    pass


def points(root):
    """Steps of the curve in the one MLflow run that is waiting to be sent."""
    (spool,) = root.glob("spool/*.jsonl")
    events = map(json.loads, spool.read_text().splitlines())
    return [event["step"] for event in events if event["event"] == "metrics"]


def test_a_course_that_was_stopped_ends_with_the_same_weights(tmp_path, monkeypatch):
    monkeypatch.setitem(backbone_language.PLANS, "llama", PLANS)
    monkeypatch.setitem(backbone_language.KEPT, "llama", {1: 0.75, 2: 0.25})
    monkeypatch.setattr(vocabulary, "words", cache(vocabulary.words))  # the same for all three
    monkeypatch.setattr(backbone_language, "FRESH", 2)
    monkeypatch.setattr(backbone_language, "CHECKPOINT_STEPS", 8)

    def run(name):
        backbone_language.work(AWAY, tmp_path / name, "llama")
        return load_file(tmp_path / name / "outputs/backbones/language-llama/model.safetensors")

    whole, train = run("whole"), backbone_language.language.train
    assert points(tmp_path / "whole") == list(range(1, 26)), "two schedules numbered through, and the figures"

    def stopping(model, tokenizer, plan, *given):
        for step, loss in train(model, tokenizer, plan, *given):
            yield step, loss
            if plan.course and step == 10:
                raise Stopped

    with monkeypatch.context() as patch:
        patch.setattr(backbone_language.language, "train", stopping)
        with pytest.raises(Stopped):
            run("stopped")
    resumed = run("stopped")
    assert all((whole[name] == resumed[name]).all() for name in whole)
    assert sorted(set(points(tmp_path / "stopped"))) == list(range(1, 26))

    first, last = (
        load_file(tmp_path / f"whole/outputs/backbones/language-llama/checkpoint-{number}/state.safetensors")
        for number in (1, 2)
    )
    for name, weight in whole.items():
        mean = 0.75 * first[f"parameter/{name}"] + 0.25 * last[f"parameter/{name}"]
        assert torch.equal(weight, mean.half()), f"{name} is not the mean of what both schedules ended with"


def test_figures_get_names_that_mlflow_takes(tmp_path):
    write_json(tmp_path / backbone.FIGURES, {"stage1/recall@1/text_to_image": 0.5})
    track = Mock()
    backbone.conclude(track, tmp_path, 8)
    ((step, named), _) = track.metrics.call_args
    assert (step, list(named.values())) == (9, [0.5])
    assert all(re.fullmatch(r"[\w\-. :/]+", name) for name in named)

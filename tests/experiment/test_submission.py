"""Answers to questions whose own answers only a server has."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import checkpoint_folders as made
import numpy as np
import pytest
import small_world
import tiny
import torch
from PIL import Image

from workbench import presets
from workbench.code import PACKAGE
from workbench.config import changed
from workbench.data.direct import direct
from workbench.data.direct import instruction as direct_text
from workbench.data.features import FeatureStore
from workbench.data.images import ImageError
from workbench.data.official.hidden import HIDDEN, questions
from workbench.data.official.rows import DataFault
from workbench.data.prepare import load_examples
from workbench.data.templates import evaluation_text
from workbench.experiment import submission
from workbench.experiment.pictures import Pictures
from workbench.experiment.record import RunError
from workbench.files import read_json
from workbench.records import ROWS
from workbench.stages import start, submit

VIZWIZ = [
    {"image": "VizWiz_test_00000000.jpg", "question": "What is this?"},
    {"image": "VizWiz_test_00000001.jpg", "question": "Can you read the label?"},
    {"image": "VizWiz_test_00000002.jpg", "question": "What colour is it?"},
]
AOKVQA = [
    {"split": "test", "image_id": 7, "question_id": "22jbM6gDxdaMaunuzgrsBB", "question": "What is under it?",
     "choices": [" a cat", "a dog ", " a tree ", "a car "]},
    {"split": "test", "image_id": 9, "question_id": "2Aq5RiEn7eyfWjEbpuYy5w", "question": "Who holds it?",
     "choices": ["a man", "a woman", "a child", "nobody"]},
]  # fmt: skip


def picture(path: Path, seed: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 255, (48, 64, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path)


@pytest.fixture
def root(tmp_path, monkeypatch):
    """A data root with the two test sets, which are as small as they are there."""
    place = tmp_path / "data/official"
    for name, rows in (("vizwiz", VIZWIZ), ("aokvqa", AOKVQA)):
        monkeypatch.setitem(HIDDEN, name, replace(HIDDEN[name], questions=len(rows)))
        (place / name).mkdir(parents=True)
        (place / HIDDEN[name].file).write_text(json.dumps(rows))
    for i, row in enumerate(VIZWIZ):
        picture(place / "vizwiz/test" / row["image"], i)
    for row in AOKVQA:
        picture(place / f"coco/test2017/{row['image_id']:012d}.jpg", row["image_id"])
    return tmp_path


@pytest.fixture(params=tiny.FAMILIES)
def config(request, root):
    """A published InstructBLIP as the start, with random weights."""
    made.whole(root / "instructblip-tiny", request.param, positions=256)
    preset = presets.read(PACKAGE.parent, "paper-flant5xl" if request.param == "t5" else "paper-vicuna7b")
    settings = {
        "model.checkpoint": ["instructblip-tiny"],
        "model.start": "backbones/official/instructblip-tiny",
        "model.num_query_tokens": tiny.QUERIES,
        "model.frozen_precision": "fp32",  # random weights' answers are near ties, which rounding decides
        "evaluate.batch_size": 2,
        "tracking.uri": small_world.CONFIG.tracking.uri,
    }
    found = changed(preset, settings)
    start.work(found, root)
    return found


def test_vizwiz_gets_a_list_of_pictures_and_answers(config, root, capsys):
    path = submit.work(config, root, "vizwiz", "blip2")
    assert path == root / "outputs/submissions/vizwiz_blip2.json"
    answers = read_json(path)
    assert [line["image"] for line in answers] == [row["image"] for row in VIZWIZ]
    assert all(set(line) == {"image", "answer"} and isinstance(line["answer"], str) for line in answers)
    assert "EvalAI" in capsys.readouterr().out
    again = changed(config, {"evaluate.batch_size": 3})
    assert read_json(submit.work(again, root, "vizwiz", "blip2")) == answers


def test_aokvqa_gets_a_choice_and_an_answer_for_each_question(config, root):
    answers = read_json(submit.work(config, root, "aokvqa", "blip2"))
    assert set(answers) == {row["question_id"] for row in AOKVQA}
    for row in AOKVQA:
        said = answers[row["question_id"]]
        assert set(said) == {"multiple_choice", "direct_answer"}
        assert said["multiple_choice"] in row["choices"], "as the file writes it"
        assert isinstance(said["direct_answer"], str)
    made_of = read_json(root / "outputs/submissions/aokvqa_blip2_of.json")
    assert made_of["start"]
    assert made_of["config"]["evaluate"]["num_beams"] == config.evaluate.num_beams


@pytest.mark.parametrize("row", ROWS)
def test_questions_are_asked_as_in_an_examination(row, root, monkeypatch):
    """With the same texts, settings and rows of the catalogue as `workbench evaluate`."""
    asked = {}

    def noted(model, collator, entry, examples, instruction, **settings):
        asked[entry.decoding] = ([instruction(one) for one in examples], settings)
        return [SimpleNamespace(text=(one.candidates or ("yes",))[0]) for one in examples]

    monkeypatch.setattr(submission, "answers", noted)
    config = changed(presets.read(PACKAGE.parent, "paper-flant5xl"), {})
    examples = questions("aokvqa", root / config.data.root)
    put = partial(submission._answers, None, None, config, row)
    submission._aokvqa(put, [examples])
    known = [
        replace(e, fields={**e.fields, "difficult_direct_answer": "no", "direct_answers": '["x"]'})
        for e in examples
    ]
    assert asked["rank"][0] == [evaluation_text(one, row) for one in known]
    assert asked["generate"][0] == [direct_text(one, row) for one in direct(known)]
    assert asked["generate"][1]["num_beams"] == config.evaluate.num_beams == 5
    assert asked["generate"][1]["repetition_penalty"] == config.evaluate.repetition_penalty == 1.5


def test_features_are_those_of_a_store(world):
    prepared, encoder = world / "data/prepared", world / "backbones/micro/vision"
    store = FeatureStore.open(world / "data/features", prepared=prepared, encoder=encoder)
    refs = [ref for example in load_examples(prepared, "vizwiz", "test") for ref in example.images]
    pictures = Pictures(prepared, encoder, torch.device("cpu"))
    taken = pictures.take(refs)
    torch.testing.assert_close(taken, store.take(refs), rtol=0, atol=2e-3)
    assert torch.equal(taken, taken.half().float())
    torch.testing.assert_close(pictures.blank, store.blank, rtol=0, atol=2e-3)


def test_what_is_missing_or_wrong_is_named(config, root):
    data = root / config.data.root
    with pytest.raises(RunError, match="gqa has no test set whose answers are hidden; choose one of vizwiz"):
        submit.work(config, root, "gqa", "instruct")
    with pytest.raises(RunError, match="suite is micro"):
        submit.work(changed(config, {"suite": "micro"}), root, "vizwiz", "instruct")
    with pytest.raises(ValueError, match="run `workbench tune instruct` first"):
        submit.work(config, root, "vizwiz", "instruct")
    (data / "vizwiz/test" / VIZWIZ[1]["image"]).write_bytes(b"no picture")
    with pytest.raises(ImageError, match="VizWiz_test_00000001"):
        submit.work(config, root, "vizwiz", "blip2")
    (data / "vizwiz/test" / VIZWIZ[1]["image"]).unlink()
    with pytest.raises(DataFault, match=r"vizwiz/test/VizWiz_test_00000001.jpg.*is missing"):
        questions("vizwiz", data)
    (data / "aokvqa/aokvqa_v1p0_test.json").write_text(json.dumps(AOKVQA[:1]))
    with pytest.raises(DataFault, match="1 questions, but aokvqa's test set has 2"):
        questions("aokvqa", data)
    (data / "aokvqa/aokvqa_v1p0_test.json").write_text(json.dumps([AOKVQA[0], AOKVQA[0]]))
    with pytest.raises(DataFault, match="22jbM6gDxdaMaunuzgrsBB: its name stands twice"):
        questions("aokvqa", data)
    (data / "vizwiz/test.json").write_text(json.dumps([{"image": "../val/a.jpg", "question": "What?"}]))
    with pytest.raises(DataFault, match="leads out of vizwiz/test"):
        questions("vizwiz", data)

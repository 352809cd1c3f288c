"""The language models' text: deterministic, apart from every dataset, and nothing left out."""

from __future__ import annotations

import importlib
import re
from itertools import islice

import pytest

from workbench.data.catalog import BY_NAME, CATALOG
from workbench.data.micro import corpus
from workbench.data.micro.corpus import HEADERS, captions, dense, describe_frames, texts
from workbench.data.micro.sampling import draw_scene, stream

WORLD_SEEDS = (0, 1, 7, 42)
LONGEST = 400


@pytest.fixture(scope="module")
def read():
    """400 texts of the datasets and none of the dense lookups."""
    return list(islice(texts(3, 0.0), LONGEST))


def test_the_same_seed_gives_the_same_texts():
    assert list(islice(texts(3, 0.4), 40)) == list(islice(texts(3, 0.4), 40))
    assert list(islice(texts(3, 0.4), 40)) != list(islice(texts(4, 0.4), 40))
    assert list(islice(captions(3), 5)) == list(islice(captions(3), 5))
    assert dense(1, 2) == dense(1, 2) != dense(1, 3)


def test_every_dataset_occurs(read):
    assert {text.task for text in read} == {entry.name for entry in CATALOG}


def test_the_share_of_dense_lookups_is_kept():
    found = [text.task for text in islice(texts(5, 0.7), 300)]
    assert 0.6 < found.count("dense") / 300 < 0.8
    assert {text.task for text in islice(texts(5, 1.0), 20)} == {"dense"}


def test_every_text_can_be_read_and_answered(read):
    for text in read:
        assert text.description.endswith(" .")
        ((instruction, answer),) = text.turns
        assert instruction == instruction.strip() != ""
        assert answer == answer.strip() != ""
        assert "{" not in instruction


def test_clips_are_described_frame_by_frame(read):
    for text in read:
        said = tuple(head for head in HEADERS if head in text.description)
        assert said == (HEADERS if BY_NAME[text.task].frames == 4 else ())


def test_memes_are_answered_yes_or_no(read):
    assert {t.turns[0][1] for t in read if t.task == "hatefulmemes"} == {"yes", "no"}


def test_dense_texts_ask_many_questions_about_one_scene():
    text = dense(1, 2, turns=8, lowest=5)
    assert len(text.turns) == 8
    places = re.findall(r"(?:top|middle|bottom) (?:left|center|right)", text.description)
    assert len(places) >= 5


@pytest.mark.parametrize("name", ["coco_caption", "gqa", "msvd_qa", "visdial", "scienceqa"])
def test_no_scene_of_a_dataset_occurs_in_the_text(name):
    def shown(seed):
        module = importlib.import_module(f"workbench.data.sources.{name}")
        split = "train" if BY_NAME[name].held_in else "test"
        scenes = [scene for _, frames in module.micro(split, 16, seed) for scene in frames]
        return {(scene.objects, scene.plates) for scene in scenes if scene.objects}

    read = shown(corpus.TEXT_SEED + 1)
    assert read
    for seed in WORLD_SEEDS:
        assert not read & shown(seed)


def test_one_picture_has_no_frame_number():
    scene = draw_scene(stream("x"), "x")
    assert "frame" not in describe_frames([scene], stream("y"))
    with pytest.raises(ValueError, match="zip"):
        describe_frames([scene] * 3, stream("y"))

"""The language models' text: deterministic, apart from every dataset, and nothing left out."""

from __future__ import annotations

import importlib
import re
from itertools import islice

import pytest

from workbench.data.catalog import BY_NAME, CATALOG
from workbench.data.micro import corpus
from workbench.data.micro.corpus import (
    HEADERS,
    captions,
    course,
    dense,
    describe_frames,
    relations,
    texts,
)
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


PLACED = re.compile(r"(\S+) ((?:top|middle|bottom) (?:left|center|right)) (?:big|small) ")
STATED = re.compile(r'"the (\w+)(?: \w+ \w+)? is (left of|right of|above|below) the (\w+)')
ROWS, COLUMNS = ("top", "middle", "bottom"), ("left", "center", "right")


def lies(one: str, how: str, other: str) -> bool:
    (row, column), (below, right) = one.split(), other.split()
    if how in ("left of", "right of"):
        left, beside = COLUMNS.index(column), COLUMNS.index(right)
        return row == below and (left < beside if how == "left of" else left > beside)
    above, under = ROWS.index(row), ROWS.index(below)
    return column == right and (above < under if how == "above" else above > under)


@pytest.mark.parametrize("hint", [0.0, 0.5, 1.0])
def test_relations_are_answered_as_the_description_has_them(hint):
    seen, hinted = set(), []
    for index in range(60):
        text = relations(7, index, hint)
        where = dict(PLACED.findall(text.description))
        assert len(text.turns) == 10
        for question, answer in text.turns:
            hinted.append(any(place in question for place in where.values()))
            if found := re.match(r"what is (left of|right of|above|below) the (\S+) ", question):
                how, other = found.groups()
                fit = [name for name, place in where.items() if lies(place, how, where[other])]
                assert fit == [answer]
            elif found := re.match(r"where is the (\S+)(?: \S+ \S+)? to the (\S+) ", question):
                one, other = found.groups()
                assert lies(where[one], answer, where[other])
            else:
                one, how, other = STATED.search(question).groups()
                assert answer == str(lies(where[one], how, where[other])).lower()
            seen.add((question.split()[0], answer if answer in ("true", "false") else ""))
    assert {("what", ""), ("where", ""), ("true", "true"), ("true", "false"), ("Based", "true")} <= seen
    assert hint - 0.1 < sum(hinted) / len(hinted) < hint + 0.1


def test_a_course_has_fewer_relations_and_hints_at_its_end():
    def many(progress):
        return [text.turns for text in islice(course(5, progress), 300)]

    first, last = many(0.0), many(0.9)
    assert list(islice(course(5, 0.0), 20)) == list(islice(course(5, 0.0), 20))

    def share(read):
        return sum(len(turns) == 10 for turns in read) / len(read)

    assert 0.5 < share(first) < 0.7
    assert 0.15 < share(last) < 0.35
    assert sum(len(turns) == 1 for turns in last) > 100, "the datasets' tasks are not forgotten"


def test_drills_join_after_the_course():
    read = list(islice(course(5, 1.2), 300))
    drills = [text for text in read if len(text.turns) == 8]
    assert 0.12 < len(drills) / len(read) < 0.28
    for text in drills:
        present = set(re.findall(r"(?:^|, )(\S+) ", text.description))
        for question, answer in text.turns:
            if "hateful" in question:
                name = re.search(r'with: "(.*)" written', question).group(1).split()
                (named,) = [word for word in name if word in present] or [""]
                wanted = name[:2] in (["only", "a"], ["only", "an"]) or "but" in name or "not" in name
                assert answer == ("yes" if bool(named) != wanted else "no"), (question, text.description)
            else:
                assert f") {answer}" in question


def test_after_the_course_signs_are_misread_but_tokens_are_not():
    def share(progress):
        read = [text for text in islice(course(6, progress), 1500) if text.task == "textvqa"]
        said = [text.turns[0][1] in re.findall(r'sign "([^"]*)"', text.description) for text in read]
        assert len(said) > 12
        return sum(said) / len(said)

    assert share(0.9) == 1
    assert 0.35 < share(1.1) < 0.75

"""The 26 twins: pure functions of (seed, split, index), well formed, disjoint, balanced, not blind."""

from __future__ import annotations

import importlib
import re
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from string import Formatter

import pytest

from workbench.data.catalog import BY_NAME, CATALOG, HELD_IN, HELD_OUT
from workbench.data.micro.asking import NOVEL_NAMES
from workbench.data.micro.concepts import BY_NAME as CONCEPT
from workbench.data.micro.concepts import CATEGORIES, CONCEPTS
from workbench.data.micro.motion import FRAMES, VOCABULARY
from workbench.data.micro.pools import Item
from workbench.data.micro.questions import FACT_QUESTIONS, HELD_OUT_KINDS, questions
from workbench.data.micro.sampling import CONCEPTS as ALL
from workbench.data.micro.sampling import draw_scene, stream
from workbench.data.micro.scene import COLOURS, Scene
from workbench.records import Example, Split

NAMES = [entry.name for entry in CATALOG]
ONE_ANSWER = ("ocrvqa", "gqa", "vsr", "msvd_qa", "msrvtt_qa")
SEED = 7


@cache
def items(name: str, split: Split = "test", count: int = 240) -> list[Item]:
    return list(importlib.import_module(f"workbench.data.sources.{name}").micro(split, count, SEED))


def examples(name: str, split: Split = "test", count: int = 240) -> list[Example]:
    return [example for example, _ in items(name, split, count)]


def majority(answers: Sequence[str]) -> str:
    return Counter(answers).most_common(1)[0][0]


# ---------------------------------------------------------------- form


@pytest.mark.parametrize("name", NAMES)
def test_well_formed(name: str) -> None:
    entry = BY_NAME[name]
    found = items(name)
    assert len({example.example_id for example, _ in found}) == len(found) == 240
    for example, frames in found:
        assert example.dataset == name
        assert len(example.images) == len(frames) == entry.frames
        assert all(re.fullmatch(r"scenes/\w+_test\.zip/\d{6}(_\d)?\.png", image) for image in example.images)
        assert example.references
        assert all(text == text.strip() and text for text in example.references)
        assert bool(example.candidates) == (entry.decoding == "rank")
        if example.candidates:
            assert example.references[0] in example.candidates
            assert len(set(example.candidates)) == len(example.candidates) > 2
        wanted = {field for _, field, _, _ in Formatter().parse(entry.prompt) if field}
        assert wanted <= set(example.fields), f"{name} lacks {wanted - set(example.fields)}"
        assert all(example.fields[field] for field in wanted)


@pytest.mark.parametrize("name", NAMES)
def test_deterministic_and_prefix_stable(name: str) -> None:
    source = importlib.import_module(f"workbench.data.sources.{name}")
    again = list(source.micro("test", 20, SEED))
    assert again == items(name)[:20]
    assert again != list(source.micro("test", 20, SEED + 1))


@pytest.mark.parametrize(
    ("name", "number"),
    [("coco_caption", 5), ("web_capfilt", 1), ("textcaps", 5), ("nocaps", 10), ("flickr30k", 5), ("ivqa", 5)]
    + [(name, 10) for name in ("vqav2", "okvqa", "textvqa", "vizwiz")]
    + [(name, 1) for name in (*ONE_ANSWER, "aokvqa", "iconqa", "scienceqa", "visdial", "hatefulmemes")],
)
def test_as_many_references_as_the_original(name: str, number: int) -> None:
    assert {len(example.references) for example in examples(name)} == {number}


# ---------------------------------------------------------------- what must not leak


def test_splits_and_pools_share_no_scene() -> None:
    shown: dict[str, set[Scene]] = defaultdict(set)
    for name in NAMES:
        for split in ("train", "val", "test"):
            for example, frames in items(name, split, 60):
                pool = example.images[0].split(".zip")[0]
                shown[pool] |= {replace(frame, scene_id="") for frame in frames}
    pools = list(shown)
    assert len(pools) > 45
    for i, pool in enumerate(pools):
        for other in pools[:i]:
            assert not shown[pool] & shown[other], f"{pool} and {other} share a scene"


@pytest.mark.parametrize("name", HELD_IN)
@pytest.mark.parametrize("split", ["train", "val"])
def test_no_novel_concept_in_held_in(name: str, split: Split) -> None:
    for example, frames in items(name, split):
        assert not {thing.concept for frame in frames for thing in frame.objects} & NOVEL_NAMES
        text = " ".join([*example.references, *example.fields.values(), *example.candidates])
        assert not set(re.findall(r"[a-z]+", text)) & NOVEL_NAMES


def skeleton(question: str) -> str:
    """The question with names, categories, colours and places masked."""
    for mask, words in (("K", CATEGORIES), ("C", [c.name for c in CONCEPTS]), ("P", COLOURS)):
        names = "|".join(sorted(words, key=len, reverse=True))
        question = re.sub(rf"\b(an?|the) ({names})\b", mask, question)
    return re.sub(r"(top|middle|bottom) (left|center|right)", "L", question)


def test_no_held_out_question_form_in_held_in() -> None:
    unseen = set()
    for index in range(300):
        rng = stream("forms", index)
        scene = draw_scene(rng, "forms", pool=ALL, plates=index % 3)
        unseen |= {skeleton(qa.question) for qa in questions(scene, HELD_OUT_KINDS, rng)}
    for name in ("gqa", "visdial", "msvd_qa", "scienceqa", "iconqa"):
        unseen |= {
            skeleton(e.fields["question"]) for e in examples(name) if "do you see" not in e.fields["question"]
        }
    asked = set()
    for name in HELD_IN:
        for example in examples(name, "train"):
            asked |= {
                skeleton(t)
                for t in (example.fields.get("question", ""), *example.references)
                if t.endswith("?")
            }
    assert len(asked) > 30
    assert len(unseen) > 20
    assert not asked & unseen


def test_nocaps_domains() -> None:
    shares = {"in": set(), "near": set(), "out": set()}
    for example, (scene,) in items("nocaps"):
        shares[example.domain].add(frozenset(CONCEPT[t.concept].novel for t in scene.objects))
    assert shares == {
        "in": {frozenset([False])},
        "near": {frozenset([True, False])},
        "out": {frozenset([True])},
    }


def test_looks() -> None:
    for name in NAMES:
        looks = {frame.background for _, frames in items(name) for frame in frames}
        assert looks == ({4, 5, 6, 7} if name == "flickr30k" else {0, 1, 2, 3})


# ---------------------------------------------------------------- balance and blindness


def share(answers: Sequence[str], answer: str, other: str) -> float:
    """Of the two answers, how often it is the first."""
    counts = Counter(answers)
    return counts[answer] / (counts[answer] + counts[other])


@pytest.mark.parametrize("name", ["vqav2", "okvqa", "gqa"])
def test_yes_and_no_are_balanced(name: str) -> None:
    answers = [majority(example.references) for example in examples(name, "val", 900)]
    assert 0.38 < share(answers, "yes", "no") < 0.62


def test_true_and_false_are_balanced() -> None:
    answers = [example.references[0] for example in examples("vsr", "val", 900)]
    assert set(answers) == {"true", "false"}
    assert 0.43 < share(answers, "true", "false") < 0.57


@pytest.mark.parametrize(
    ("name", "ceiling"),
    {
        "vqav2": 0.4,
        "okvqa": 0.5,
        "gqa": 0.4,
        "textvqa": 0.1,
        "vizwiz": 0.4,
        "ocrvqa": 0.2,
        "vsr": 0.6,
        "msvd_qa": 0.3,
        "msrvtt_qa": 0.4,
        "ivqa": 0.3,
        "visdial": 0.45,
    }.items(),
)
def test_the_commonest_answer_to_a_question_form_is_often_wrong(name: str, ceiling: float) -> None:
    field = "statement" if name == "vsr" else "question"
    known: dict[str, list[str]] = defaultdict(list)
    for example in examples(name, "val", 900):
        known[skeleton(example.fields[field])].append(majority(example.references))
    tested = examples(name, "test", 300)
    right = [
        majority(known.get(skeleton(e.fields[field]), ["yes"])) == majority(e.references) for e in tested
    ]
    assert sum(right) / len(right) < ceiling


@pytest.mark.parametrize("name", ["aokvqa", "iconqa", "scienceqa"])
def test_the_right_option_has_no_favourite_place(name: str) -> None:
    places = Counter(e.candidates.index(e.references[0]) for e in examples(name, "val", 600))
    assert max(places.values()) / sum(places.values()) < 0.38
    for example in examples(name):
        assert example.fields["options"].startswith(
            f"(a) {example.candidates[0]} (b) {example.candidates[1]}"
        )


def test_knowing_facts_is_not_enough_for_aokvqa() -> None:
    facts = {which: fact for fact, (which, _) in FACT_QUESTIONS.items()}
    seen = 0
    for example in examples("aokvqa"):
        fact = facts.get(example.fields["question"])
        if fact:
            seen += 1
            assert sum(fact in CONCEPT[choice].facts for choice in example.candidates) >= 2
    assert seen > 50
    assert all(len(e.fields["direct_answers"].split(", ")) == 10 for e in examples("aokvqa"))


def test_neither_text_nor_picture_alone_tells_a_hateful_meme() -> None:
    lines: dict[str, list[bool]] = defaultdict(list)
    sizes: dict[int, list[bool]] = defaultdict(list)
    named: list[bool] = []
    for example, (scene,) in items("hatefulmemes", "val", 1200):
        assert example.candidates == ("yes", "true", "no", "false")
        hateful = example.references[0] == "yes"
        text = example.fields["text"]
        name = next(word for word in text.split()[::-1] if word in CONCEPT)
        present = name in {thing.concept for thing in scene.objects}
        against_present = not re.search(r"only|nobody here but|are not", text)
        assert hateful == (present == against_present), "the label follows from text and picture together"
        lines[re.sub(rf"\b(an? )?{name}\b", "C", text)].append(hateful)
        sizes[len(scene.objects)].append(hateful)
        named.append(present)
    assert 0.44 < sum(named) / len(named) < 0.56
    for label in [*lines.values(), *sizes.values()]:
        assert len(label) > 90
        assert 0.37 < sum(label) / len(label) < 0.63


# ---------------------------------------------------------------- one property of each original


def test_ten_annotators_mostly_agree() -> None:
    for name in ("vqav2", "okvqa", "textvqa", "vizwiz"):
        agree = [Counter(e.references).most_common(1)[0][1] for e in examples(name)]
        assert min(agree) >= 5
        assert 7.5 < sum(agree) / len(agree) < 9.5


def test_textcaps_captions_use_the_word() -> None:
    for example, (scene,) in items("textcaps"):
        assert all(f'"{scene.plates[0].word}"' in caption for caption in example.references)


def test_ocr_tokens_are_mostly_right_never_perfect() -> None:
    for name in ("textcaps", "ocrvqa", "textvqa"):
        read = [
            (plate.word in example.fields["ocr"].split(", "))
            for example, (scene,) in items(name)
            for plate in scene.plates
        ]
        assert 0.6 < sum(read) / len(read) < 0.85


def test_question_generation_asks_what_the_questions_ask() -> None:
    for name in ("vqav2", "okvqa", "aokvqa"):
        for asked, generated in zip(examples(name), examples(f"{name}_qg"), strict=True):
            assert asked.image_id == generated.image_id
            assert generated.references[0] == asked.fields["question"]
            assert generated.fields["answer"] in asked.references


def test_web_captions_are_noisy_and_short() -> None:
    def words(name: str) -> float:
        return sum(len(e.references[0].split()) for e in examples(name)) / 240

    assert words("web_capfilt") < words("coco_caption")


def test_vizwiz_is_sometimes_unanswerable_and_always_spoiled() -> None:
    found = items("vizwiz", "val", 600)
    answers = [majority(example.references) == "unanswerable" for example, _ in found]
    assert 0.24 < sum(answers) / len(answers) < 0.36
    assert all(scene.blur or scene.darkness or scene.crop for _, (scene,) in found)


def test_clips_change_and_ranked_ones_share_a_vocabulary() -> None:
    for name in ("msvd_qa", "msrvtt_qa", "ivqa"):
        for example, frames in items(name):
            assert len(frames) == FRAMES
            assert len({frame.objects for frame in frames}) > 1
            assert example.image_id == frames[0].scene_id[:-2]
            if name != "ivqa":
                assert example.candidates == VOCABULARY
    assert 40 <= len(VOCABULARY) <= 60
    assert len(set(VOCABULARY)) == len(VOCABULARY)


def test_visdial_history_has_two_to_four_turns_and_hides_the_answer() -> None:
    for example, (scene,) in items("visdial"):
        assert len(example.candidates) == 20
        turns = example.fields["history"].count("?")
        assert 2 <= turns <= 4
        topic = example.fields["history"].split()[-3]
        assert example.fields["history"].endswith(f"do you see the {topic} ? yes")
        assert not re.search(rf"(is|color is|big is|where is) the {topic}\b", example.fields["history"])
        assert topic in {thing.concept for thing in scene.objects}


def test_held_out_sets_have_no_training_size() -> None:
    assert all(BY_NAME[name].micro_size == 0 for name in HELD_OUT)


def test_easy_vqa_is_the_whole_package_in_its_own_split() -> None:
    source = importlib.import_module("workbench.data.sources.easy_vqa")
    train, val, test = (list(source.micro(split, 10**6, SEED)) for split in ("train", "val", "test"))
    assert (len(train) + len(val), len(test)) == (38_575, 9_673)
    pictures = [{path for _, paths in part for path in paths} for part in (train, val, test)]
    assert sum(map(len, pictures)) == len(set.union(*pictures)) == 5_000, "two splits share a picture"
    assert len({example.references[0] for example, _ in train + test}) == 13
    assert all(image.is_file() for _, (image,) in test)
    few = list(source.micro("test", 50, SEED))
    assert len(few) == 50
    assert few == list(source.micro("test", 50, SEED))

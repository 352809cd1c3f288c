"""Templates: the paper's numbers of them, drawn uniformly; recipes; mistakes in a user's file."""

from __future__ import annotations

import re
from collections import Counter

import numpy as np
import pytest
import yaml
from scipy.stats import chisquare

from workbench.data.catalog import BY_NAME, CATALOG, HELD_IN, HELD_OUT, entry
from workbench.data.templates import (
    BUILTIN,
    TASKS,
    TemplateError,
    Templates,
    bare_input,
    evaluation_text,
    fill,
    slots,
    tag,
    training_text,
)
from workbench.records import Example

FIELDS = {
    "question": "what is it ?", "answer": "red", "context": "it rains", "options": "(a) red (b) blue",
    "ocr": "stop, sale", "history": "is it big ? yes", "statement": "it is red", "text": "so nice",
}  # fmt: skip


def example(dataset, references=("red",), **fields):
    return Example(dataset, "7", "7", ("x.png",), references, fields)


# the paper's (facts of its Appendix E, written down by third parties), of the sets that it examines on
CAPTION, QUESTION = "A short image description:", "Question: {question} Short answer:"
PROMPTS = {
    **dict.fromkeys(("coco_caption", "textcaps", "nocaps", "flickr30k"), CAPTION),
    **dict.fromkeys(("vqav2", "okvqa", "gqa", "vizwiz", "ivqa", "msvd_qa", "msrvtt_qa"), QUESTION),
    **dict.fromkeys(("textvqa", "ocrvqa"), f"OCR tokens: {{ocr}}. {QUESTION}"),
    **dict.fromkeys(("iconqa", "aokvqa"), "Question: {question} Options: {options}. Short answer:"),
    "scienceqa": "Context: {context} Question: {question} Options: {options}. Answer:",
    "vsr": 'Based on the image, is this statement true or false? "{statement}" Answer:',
    "hatefulmemes": 'This is an image with: "{text}" written on it. Is it hateful? Answer:',
    "visdial": f"Dialog history: {{history}}\n {QUESTION}",
}


@pytest.mark.parametrize("dataset", PROMPTS)
def test_models_are_examined_with_the_papers_prompts(dataset):
    assert entry(dataset).prompt == PROMPTS[dataset]


def test_who_was_given_no_tokens_is_not_asked_about_them():
    asked = {"question": "who wrote it ?"}
    without, given = example("ocrvqa", ocr="", **asked), example("ocrvqa", ocr="a, b", **asked)
    assert evaluation_text(without) == fill(entry("vqav2").prompt, without)
    assert evaluation_text(given) == fill(entry("ocrvqa").prompt, given)
    builtin = Templates(BUILTIN)
    texts = {training_text(without, "instruct", builtin, draw)[0] for draw in draws(200)}
    assert texts == {fill(line, without) for line in BUILTIN["vqa"]}


def draws(count):
    return [int(value) for value in np.random.default_rng(5).integers(2**63, size=count)]


@pytest.mark.parametrize(
    ("task", "count"),
    [("caption", 13), ("vqa", 10), ("vqa_ocr", 10), ("multiple_choice", 10), ("question_generation", 6)],
)
def test_as_many_as_in_the_paper_all_different_and_well_formed(task, count):
    lines = BUILTIN[task]
    assert len(set(lines)) == len(lines) == count
    assert len({frozenset(slots(line)) for line in lines}) == 1


def test_captions_and_most_questions_ask_for_something_short():
    short = re.compile(r"\b(short|brief|briefly|few words)\b")
    assert [line for line in BUILTIN["caption"] if not short.search(line)] == ["an image that shows"]
    for task in ("vqa", "vqa_ocr"):
        assert sum(bool(short.search(line)) for line in BUILTIN[task]) >= 6


def test_templates_are_drawn_uniformly():
    lines = Counter(
        training_text(example("vqav2", question="what is it ?"), "instruct", Templates.builtin(), draw)[0]
        for draw in draws(4000)
    )
    assert len(lines) == 10
    assert chisquare(list(lines.values())).pvalue > 1e-3


def test_targets_are_drawn_by_frequency_and_apart_from_templates():
    asked = example("vqav2", ("red",) * 7 + ("pink",) * 3, question="what is it ?")
    pairs = [training_text(asked, "instruct", Templates.builtin(), draw) for draw in draws(4000)]
    targets = Counter(target for _, target in pairs)
    assert chisquare([targets["red"], targets["pink"]], [2800, 1200]).pvalue > 1e-3
    cells = Counter(pairs)
    expected = [400 * share for line in {line for line, _ in pairs} for share in (0.7, 0.3)]
    found = [cells[line, target] for line in {line for line, _ in pairs} for target in ("red", "pink")]
    assert chisquare(found, expected).pvalue > 1e-3


@pytest.mark.parametrize("name", [e.name for e in CATALOG])
def test_every_dataset_can_be_instructed_and_evaluated(name):
    given = example(name, **FIELDS)
    asked, target = training_text(given, "instruct", Templates.builtin(), 12345)
    assert target == "red"
    for text in (asked, evaluation_text(given)):
        assert text
        assert "{" not in text
    for slot in slots(entry(name).prompt):
        assert FIELDS[slot] in evaluation_text(given)


def test_plain_input_is_the_question_alone_and_nothing_for_captions():
    templates = Templates.builtin()
    asked = example("vqav2", question="what is it ?")
    assert training_text(asked, "multitask_plain", templates, 3) == ("what is it ?", "red")
    assert training_text(example("coco_caption"), "multitask_plain", templates, 3) == ("", "red")
    assert bare_input(example("ocrvqa", question="who ?", ocr="a, b")) == "a, b who ?"
    assert bare_input(example("textcaps", ocr="a, b")) == "", "no recipe's caption prompt shows them"


def test_tagged_input_names_task_and_dataset():
    templates = Templates.builtin()
    asked = example("vqav2", question="what is it ?")
    assert training_text(asked, "multitask_tagged", templates, 3)[0] == (
        "[Visual question answering:VQAv2] what is it ?"
    )
    assert training_text(example("coco_caption"), "multitask_tagged", templates, 3)[0] == (
        "[Image captioning:COCO Caption]"
    )
    assert evaluation_text(asked, "multitask_tagged_tags") == "[Visual question answering:VQAv2] what is it ?"


def test_the_plain_row_captions_from_the_image_alone_and_is_instructed_otherwise():
    captioned, asked = example("nocaps"), example("vqav2", question="what is it ?")
    assert evaluation_text(captioned, "multitask_plain") == ""
    assert evaluation_text(captioned, "multitask_tagged") == evaluation_text(captioned) != ""
    assert evaluation_text(asked, "multitask_plain") == evaluation_text(asked)


def test_the_tag_of_held_out_sets_is_the_task_alone():
    assert tag(BY_NAME["gqa"]) == "[Visual reasoning]"
    assert all(":" in tag(BY_NAME[name]) for name in HELD_IN)
    assert not any(":" in tag(BY_NAME[name]) for name in HELD_OUT)


def test_llava_instructions_are_used_as_they_are():
    asked = example("llava_detail", question="describe it in detail .")
    assert training_text(asked, "instruct", Templates.builtin(), 8)[0] == "describe it in detail ."


def test_held_out_sets_are_fine_tuned_on_with_their_evaluation_prompt():
    asked = example("scienceqa", context="birds fly .", question="which flies ?", options="(a) dog (b) hen")
    assert training_text(asked, "instruct", Templates.builtin(), 8)[0] == evaluation_text(asked)


def test_a_missing_field_is_named():
    with pytest.raises(TemplateError, match=r"ocrvqa example 7 has no field 'ocr'"):
        fill("{question} {ocr}", example("ocrvqa", question="who ?"))


# ---------------------------------------------------------------- a user's file


def written(path, content):
    path.write_text(content if isinstance(content, str) else yaml.safe_dump(content))
    return str(path)


def lists(**changes):
    return {task: list(lines) for task, lines in BUILTIN.items()} | changes


def test_a_users_file_replaces_the_lists(tmp_path):
    source = written(tmp_path / "mine.yaml", lists(vqa=["say: {question}"]))
    loaded = Templates.load(source)
    assert training_text(example("vqav2", question="who ?"), "instruct", loaded, 99)[0] == "say: who ?"
    assert loaded.by_task["caption"] == BUILTIN["caption"]
    assert Templates.load("builtin").by_task == BUILTIN


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({task: ["{x}"] for task in TASKS if task != "vqa_ocr"}, r"no templates for \['vqa_ocr'\]"),
        (lists(poem=["a poem:"]), r"unknown tasks \['poem'\]; known: caption"),
        (lists(vqa=["what ?"]), r"vqa template 'what \?' has to use just \['question'\]"),
        (lists(vqa=["{question} {answer}"]), r"vqa template .* has to use just \['question'\]"),
        (lists(vqa=["{question"]), r"template '\{question'"),
        (lists(vqa=[]), r"vqa has to be a list of one or more strings"),
        (lists(vqa="{question}"), r"vqa has to be a list of one or more strings"),
        (lists(vqa=[3]), r"vqa has to be a list of one or more strings"),
        ("- caption\n- vqa\n", r"mine\.yaml has to map tasks"),
        ("caption: [a\nvqa", r"mine\.yaml is not valid YAML"),
    ],
)
def test_mistakes_are_named(tmp_path, content, message):
    with pytest.raises(TemplateError, match=message):
        Templates.load(written(tmp_path / "mine.yaml", content))


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(TemplateError, match=r"mine\.yaml does not exist; give a YAML file or 'builtin'"):
        Templates.load(str(tmp_path / "mine.yaml"))

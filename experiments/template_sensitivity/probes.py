"""Test questions of some datasets, each asked with several templates.

A group is a template: ``prompt`` is the catalogue's evaluation prompt, ``first`` the one that every arm
was trained with, ``known`` ones are built-in (in training of the arm `builtin`, and of some others),
``new`` ones stand in no list.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from workbench.data.catalog import entry
from workbench.data.prepare import load_examples
from workbench.data.templates import BUILTIN, fill
from workbench.experiment.probe import Probe

MOST = 60  # questions to a dataset and template
# held-in and held-out ones of each task with templates; generation of questions is no evaluation task
ASKED = (
    "coco_caption", "nocaps", "vqav2", "okvqa", "gqa", "vizwiz", "ocrvqa", "textvqa", "aokvqa", "iconqa",
)  # fmt: skip
KNOWN: Mapping[str, tuple[int, int]] = {  # which of the built-in ones, in no file of this folder
    "caption": (5, 8), "vqa": (2, 5), "vqa_ocr": (3, 7), "multiple_choice": (3, 7),
}  # fmt: skip
NEW: Mapping[str, tuple[str, str]] = {
    "caption": ("what does this image show? give a short answer:", "the picture in short:"),
    "vqa": ("give a short answer to this question: {question}", "image: what is shown. {question} in short:"),
    "vqa_ocr": (
        "give a short answer to this question: {question} words that were read: {ocr}.",
        "with the tokens {ocr} in the picture, {question} in short:",
    ),
    "multiple_choice": (
        "give the right answer to this question: {question} pick from: {options}",
        "with the possible options {options}, {question} in short:",
    ),
}


def probes(world_seed: int, count: int, prepared: Path) -> Iterator[Probe]:
    """The same questions with every template; `count` to a dataset, MOST at most."""
    for name in ASKED:
        dataset = entry(name)
        asked = load_examples(prepared, name, "test")[: min(count, MOST)]
        for group, template in templates(name).items():
            for example in asked:
                own = replace(example, example_id=f"{example.example_id}/{group}")
                yield Probe(name, group, dataset, own, fill(template, example))


def templates(dataset: str) -> dict[str, str]:
    """Group -> template, for one dataset."""
    task = entry(dataset).task
    known = {f"known {place + 1}": BUILTIN[task][place] for place in KNOWN[task]}
    new = {f"new {number}": line for number, line in enumerate(NEW[task], 1)}
    return {"prompt": entry(dataset).prompt, "first": BUILTIN[task][0], **known, **new}

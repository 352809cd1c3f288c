"""Instruction templates: the text that both the Q-Former and the language model read.

The paper (section 2.2, appendix D) uses 13 templates for captioning, 10 for VQA and 6 for question
generation, drawn uniformly; these are our own, in the same numbers. Short-answer tasks say "short"
or "briefly" so that the model does not learn that every answer is short. LLaVA data is used as is.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from string import Formatter

import yaml

from workbench.data.catalog import CATALOG, QUESTION_PROMPT, Entry, entry
from workbench.records import Example, Recipe, Row

BUILTIN: Mapping[str, tuple[str, ...]] = {
    "caption": (
        "a short image caption:",
        "a short caption of the image:",
        "an image that shows",
        "write a short description of the picture.",
        "describe the image briefly.",
        "give a short description of what you see.",
        "briefly say what the picture shows.",
        "in a few words, what is in this picture?",
        "caption this image in short:",
        "provide a short caption for the photo.",
        "use a few words to describe the scene.",
        "can you briefly tell what is shown?",
        "summarize the picture in a short sentence.",
    ),
    "vqa": (
        "{question}",
        "question: {question}",
        "{question} answer briefly.",
        "{question} a short answer is",
        "q: {question} a:",
        "question: {question} brief answer:",
        "look at the image and answer in short: {question}",
        "answer the question in a few words. {question}",
        "use the picture to give a short answer: {question}",
        'the question "{question}" is answered in short by',
    ),
    "vqa_ocr": (
        "{question} ocr tokens: {ocr}.",
        "ocr tokens: {ocr}. {question}",
        "ocr tokens: {ocr}. question: {question}",
        "ocr tokens: {ocr}. {question} answer briefly.",
        "the words {ocr} were read. {question} a short answer is",
        "words in the image: {ocr}. q: {question} a:",
        "text found: {ocr}. question: {question} brief answer:",
        "read the image ({ocr}) and answer in short: {question}",
        "answer the question in a few words with the help of these tokens: {ocr}. {question}",
        "question: {question} use the words {ocr}. give a short answer:",
    ),
    "multiple_choice": (
        "{question} options: {options}.",
        "question: {question} options: {options}. answer:",
        "{question} choose from: {options}.",
        "choose the right option. {question} {options}.",
        "q: {question} options: {options}. a:",
        "question: {question} pick one of {options}. brief answer:",
        "look at the image and choose: {question} {options}",
        "which option is right? {question} options: {options}.",
        "use the picture to answer with one of the options {options}: {question}",
        "{question} possible answers: {options}. a short answer is",
    ),
    "question_generation": (
        "write a question about the image whose answer is {answer}.",
        "which question about the picture has the answer {answer}?",
        "the answer is {answer}. what is the question?",
        "given the image, ask a question that is answered by {answer}. question:",
        "generate a question for the answer {answer}:",
        "look at the image and turn the answer {answer} into a question.",
    ),
}
TASKS = tuple(BUILTIN)


class TemplateError(ValueError):
    """A template file or a template in it cannot be used."""


@dataclass(frozen=True, slots=True)
class Templates:
    """Lists of templates by task; `as_is` datasets need none."""

    by_task: Mapping[str, tuple[str, ...]]

    @classmethod
    def builtin(cls) -> Templates:
        """The project's own lists."""
        return cls(BUILTIN)

    @classmethod
    def load(cls, source: str) -> Templates:
        """`builtin`, or a YAML file that maps every task to a list of templates.

        Raises:
            TemplateError: naming the file, the task and what is wrong.
        """
        if source == "builtin":
            return cls.builtin()
        path = Path(source)
        try:
            raw = yaml.safe_load(path.read_text(encoding="utf-8"))
        except FileNotFoundError as error:
            message = f"data.templates: {path} does not exist; give a YAML file or 'builtin'"
            raise TemplateError(message) from error
        except yaml.YAMLError as error:
            raise TemplateError(f"data.templates: {path} is not valid YAML: {error}") from error
        if not isinstance(raw, dict):
            raise TemplateError(f"{path} has to map tasks ({', '.join(TASKS)}) to lists of templates")
        if unknown := set(raw) - set(TASKS):
            raise TemplateError(f"{path}: unknown tasks {sorted(unknown)}; known: {', '.join(TASKS)}")
        if missing := set(TASKS) - set(raw):
            raise TemplateError(f"{path}: no templates for {sorted(missing)}")
        for task, lines in raw.items():
            if not (isinstance(lines, list) and lines and all(isinstance(line, str) for line in lines)):
                raise TemplateError(f"{path}: {task} has to be a list of one or more strings")
            needed = slots(BUILTIN[task][0])
            for line in lines:
                if slots(line) != needed:
                    raise TemplateError(f"{path}: {task} template {line!r} has to use just {sorted(needed)}")
        return cls({task: tuple(raw[task]) for task in TASKS})


def slots(template: str) -> set[str]:
    """The field names a template inserts.

    Raises:
        TemplateError: when its braces do not match.
    """
    try:
        return {name for _, name, _, _ in Formatter().parse(template) if name is not None}
    except ValueError as error:
        raise TemplateError(f"template {template!r}: {error}") from error


def fill(template: str, example: Example) -> str:
    """The template with the example's fields in it.

    Raises:
        TemplateError: naming dataset, example and the field that is missing.
    """
    try:
        return template.format_map(example.fields)
    except KeyError as error:
        raise TemplateError(
            f"{example.dataset} example {example.example_id} has no field {error.args[0]!r}, "
            f"which {template!r} needs"
        ) from error


def tag(dataset: Entry) -> str:
    """The identifier of paper section 3.4: task and dataset, the task alone for held-out sets."""
    task = dataset.category.capitalize()
    return f"[{task}:{dataset.title}]" if dataset.held_in else f"[{task}]"


def bare_input(example: Example) -> str:
    """The input without any instruction: the question and whatever comes with it, nothing for captions.

    TextCaps' OCR tokens are left out as well: no caption prompt shows them, and recipes are to differ in
    instructions alone.
    """
    if entry(example.dataset).task == "caption":
        return ""
    order = ("context", "history", "ocr", "statement", "text", "question", "options", "answer")
    return " ".join(example.fields[name] for name in order if example.fields.get(name))


def training_text(example: Example, recipe: Recipe, templates: Templates, draw: int) -> tuple[str, str]:
    """What the model reads and has to say, for one drawing of an example.

    Args:
        draw: a 64-bit random integer; its low half picks the template, its high half the target
            among the references, so that frequent answers are drawn more often.
    """
    dataset = entry(example.dataset)
    target = example.references[(draw >> 32) % len(example.references)]
    if recipe == "multitask_plain":
        return bare_input(example), target
    if recipe == "multitask_tagged":
        return f"{tag(dataset)} {bare_input(example)}".rstrip(), target
    if dataset.task == "as_is" or not dataset.held_in:  # no list of templates was made for held-out sets
        return fill(dataset.prompt, example), target
    lines = templates.by_task["vqa" if _unread(dataset, example) else dataset.task]
    return fill(lines[(draw & 0xFFFFFFFF) % len(lines)], example), target


def evaluation_text(example: Example, row: Row = "instruct") -> str:
    """What a row of the comparison is asked: the catalogue's evaluation prompt, with two exceptions.

    `multitask_tagged_tags` reads the tagged input of its training, and `multitask_plain` captions from the
    image alone, which the paper found to be better for it (section 3.4).
    """
    dataset = entry(example.dataset)
    if row == "multitask_tagged_tags":
        return f"{tag(dataset)} {bare_input(example)}".rstrip()
    if row == "multitask_plain" and dataset.task == "caption":
        return bare_input(example)
    return fill(QUESTION_PROMPT if _unread(dataset, example) else dataset.prompt, example)


def _unread(dataset: Entry, example: Example) -> bool:
    """OCR-VQA without recogniser's tokens, which its own file lacks; TextVQA says that there are none."""
    return dataset.name == "ocrvqa" and not example.fields.get("ocr")


def vocabulary_lines() -> list[str]:
    """Every template and prompt, for tokenizers to learn their words from."""
    return [line for lines in BUILTIN.values() for line in lines] + [e.prompt for e in CATALOG]

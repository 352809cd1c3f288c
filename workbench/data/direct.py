"""A-OKVQA's direct answers: its questions are asked again, without the choices."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import replace

from workbench.data.catalog import SECOND
from workbench.data.templates import evaluation_text, fill
from workbench.records import Example, Row


def direct(examples: Iterable[Example]) -> list[Example]:
    """The questions that count, with people's ten answers as references.

    Those marked `difficult_direct_answer` are left out, as allenai/aokvqa leaves them out of the score; the
    micro suite marks none.

    Raises:
        ValueError: if no question counts, or naming an example whose direct answers cannot be read.
    """
    asked = [_direct(one) for one in examples if one.fields.get("difficult_direct_answer") != "yes"]
    if not asked:
        raise ValueError(
            "every prepared question of aokvqa has difficult_direct_answer: yes, and those do not count; "
            "raise data.eval_examples, or leave aokvqa out of evaluate.datasets"
        )
    return asked


def _direct(example: Example) -> Example:
    written = example.fields["direct_answers"]
    try:  # micro's answers have no comma in them and are listed with commas
        answers = json.loads(written) if written.startswith("[") else written.split(", ")
    except json.JSONDecodeError as error:
        raise ValueError(
            f"{example.example_id}: the field direct_answers is no list; run the stage prepare again"
        ) from error
    question = {"question": example.fields["question"]}
    return replace(example, references=tuple(answers), fields=question, candidates=())


def instruction(example: Example, row: Row) -> str:
    """What a row of the comparison is asked: the question, in the form it knows."""
    if row == "multitask_tagged_tags":
        return evaluation_text(example, row)
    return fill(SECOND["aokvqa_direct"].prompt, example)

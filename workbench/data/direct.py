"""A-OKVQA's direct answers: the official suite asks its questions again, without the choices."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import replace

from workbench.data.catalog import SECOND
from workbench.data.templates import evaluation_text, fill
from workbench.records import Example, Row


def direct(examples: Iterable[Example]) -> list[Example]:
    """The questions that count, with people's ten answers as references.

    Those marked `difficult_direct_answer` are left out, as allenai/aokvqa leaves them out of the score.

    Raises:
        ValueError: if no question counts, or naming an example whose direct answers are no JSON list.
    """
    asked = [_direct(one) for one in examples if one.fields.get("difficult_direct_answer") == "no"]
    if not asked:
        raise ValueError(
            "no prepared question of aokvqa has difficult_direct_answer: no, and others do not count; "
            "raise data.eval_examples, or leave aokvqa out of evaluate.datasets"
        )
    return asked


def _direct(example: Example) -> Example:
    try:
        answers = tuple(json.loads(example.fields["direct_answers"]))
    except json.JSONDecodeError as error:
        raise ValueError(
            f"{example.example_id}: the field direct_answers is no JSON list; run the stage prepare again"
        ) from error
    question = {"question": example.fields["question"]}
    return replace(example, references=answers, fields=question, candidates=())


def instruction(example: Example, row: Row) -> str:
    """What a row of the comparison is asked: the question, in the form it knows."""
    if row == "multitask_tagged_tags":
        return evaluation_text(example, row)
    return fill(SECOND["aokvqa_direct"].prompt, example)

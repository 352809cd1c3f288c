"""The VQA format: a file of questions and a file of ten answers to each, joined by question_id."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from workbench.data.official.lookup import Lookup
from workbench.data.official.pictures import coco
from workbench.data.official.reading import json_rows
from workbench.data.official.releases import file_of
from workbench.data.official.rows import Note, Row, made
from workbench.records import Example, Split


def answers(row: Row) -> tuple[str, ...]:
    """What the annotators answered, in their order; how sure they were does not count, as officially.

    As they wrote it, empty or with blanks around it: official programs compare so.
    """
    said = [(answer, answer.values.get("answer")) for answer in row.rows("answers")]
    found = tuple("" if text is None else answer.written(text, "answer") for answer, text in said)
    if not any(answer.strip() for answer in found):
        raise row.fault("has no answer that is not empty")
    return found


def examples(dataset: str, split: Split, root: Path, note: Note) -> Iterator[Example]:
    """One example per question."""
    questions, annotations = (file_of(root, dataset, split, number) for number in (0, 1))
    rows = json_rows(root, annotations, "annotations.item")
    by_question = Lookup((row.name("question_id"), [row.place, dict(row.values)]) for row in rows)

    def make(row: Row) -> Iterator[Example]:
        number = row.name("question_id")
        found = by_question.get(number)
        if len(found) != 1:
            problem = f"question {number} has {len(found)} entries in {annotations}, not one"
            raise row.fault(problem, "get both files of one release")
        place, values = found[0]
        image_id, picture = coco(root, row.number("image_id"), row)
        said = answers(Row(annotations, place, values))
        if split == "train":  # to say nothing is not learnt
            said = tuple(filter(None, map(str.strip, said)))
        yield Example(
            dataset=dataset,
            example_id=f"{dataset}_{number}",
            image_id=image_id,
            images=(picture,),
            references=said,
            fields={"question": row.text("question")},
        )

    yield from made(json_rows(root, questions, "questions.item"), make, note)


def turned(dataset: str, examples: Iterator[Example]) -> Iterator[Example]:
    """Question generation: the most frequent answer is given, the question is the reference."""
    for example in examples:
        answer = Counter(filter(None, map(str.strip, example.references))).most_common(1)[0][0]
        yield Example(
            dataset=dataset,
            example_id=example.example_id.replace(example.dataset, dataset, 1),
            image_id=example.image_id,
            images=example.images,
            references=(example.fields["question"],),
            fields={"answer": answer},
        )

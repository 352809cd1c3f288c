"""Test questions whose answers only a server has, which is where the paper's scores on them come from."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath

from workbench.data.official.choices import listed
from workbench.data.official.pictures import below
from workbench.data.official.reading import json_rows
from workbench.data.official.releases import RELEASES
from workbench.data.official.rows import DataFault, Row, made
from workbench.data.official.vetting import without_picture
from workbench.records import Example


@dataclass(frozen=True, slots=True)
class Hidden:
    """A test set without answers.

    Attributes:
        file: of the questions, below the data root.
        folder: of the pictures.
        questions: how many there are.
        server: who scores the answers.
    """

    file: str
    folder: str
    questions: int
    server: str


HIDDEN = {
    "vizwiz": Hidden(
        "vizwiz/test.json", "vizwiz/test", 8_000, "EvalAI's VizWiz VQA challenge, phase test-dev"
    ),
    "aokvqa": Hidden(
        "aokvqa/aokvqa_v1p0_test.json", "coco/test2017", 6_702, "https://leaderboard.allenai.org/a-okvqa"
    ),
}


def questions(dataset: str, root: Path) -> list[Example]:
    """The questions in the order of the file, without references.

    Args:
        dataset: one of HIDDEN.
        root: the data root.

    Raises:
        DataFault: for a file or picture that is missing or wrong, the number of questions included.
    """
    hidden = HIDDEN[dataset]
    make: Callable[[Row], Iterator[Example]] = partial(_READERS[dataset], root, hidden.folder)
    found: dict[str, Example] = {}
    for example in made(json_rows(root, hidden.file), make):
        if example.example_id in found:
            problem, remedy = "its name stands twice", "get the file again"
            raise DataFault(hidden.file, f"example {example.example_id}", problem, remedy)
        if fault := without_picture(root, example):
            raise fault
        found[example.example_id] = example
    if len(found) != hidden.questions:
        problem = f"{len(found):,} questions, but {dataset}'s test set has {hidden.questions:,}"
        raise DataFault(hidden.file, "", problem, f"get the whole file from {RELEASES[dataset].home}")
    return list(found.values())


def _vizwiz(root: Path, folder: str, row: Row) -> Iterator[Example]:
    name = row.text("image")
    stem = PurePosixPath(name).stem
    fields = {"question": row.text("question"), "image": name}
    picture = below(root, folder, name, row)
    yield Example("vizwiz", f"vizwiz_{stem}", f"vizwiz/{stem}", (picture,), (), fields)


def _aokvqa(root: Path, folder: str, row: Row) -> Iterator[Example]:
    number, choices, name = row.number("image_id"), row.texts("choices"), row.name("question_id")
    fields = {"question": row.text("question"), "options": listed(choices, row), "question_id": name}
    fields["as_written"] = json.dumps(row.value("choices"))  # the server compares with these
    picture = below(root, folder, f"{number:012d}.jpg", row)
    yield Example("aokvqa", f"aokvqa_{name}", f"coco/{number:012d}", (picture,), (), fields, choices)


_READERS = {"vizwiz": _vizwiz, "aokvqa": _aokvqa}

"""MSVD-QA and MSRVTT-QA: questions to clips, and the training answers that are ranked."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from workbench.config import Data
from workbench.data.candidates import answer_vocabulary
from workbench.data.official.pictures import clip
from workbench.data.official.reading import json_object, table_rows, text_lines
from workbench.data.official.releases import ANSWERS, chosen, file_of
from workbench.data.official.rows import DataFault, Note, Row, made
from workbench.records import Example, Split

RANKED = ("msvd_qa", "msrvtt_qa")
VOCABULARY = Data().answer_vocabulary  # the paper gives no number


def vocabulary(root: Path, file: str, size: int) -> tuple[str, ...]:
    """The most frequent answers, alphabetical among equals.

    Raises:
        DataFault: when there are not so many.
    """
    answers = filter(None, (row.optional("answer") for row in table_rows(root, file)))
    try:
        return answer_vocabulary(answers, size)
    except ValueError as error:
        remedy = "get the whole file, or change data.answer_vocabulary"
        raise DataFault(file, "", f"holds too few answers ({error})", remedy) from error


def listed(root: Path, file: str) -> tuple[str, ...]:
    """The answers of a list ``{"dog": 0, ...}`` by their numbers; none where there is no list.

    LAVIS' for MSVD-QA has 2,423 (issue 333): all answers there are, those of the test among them.
    """
    if not (root / file).exists():
        return ()
    row = json_object(root, file)
    numbers = {answer: row.index(answer, len(row.values)) for answer in row.values}
    return tuple(sorted(numbers, key=numbers.__getitem__))


def names(root: Path, file: str) -> dict[str, str]:
    """vid<number> -> name of the file, from youtube_mapping.txt, where there is one."""
    found: dict[str, str] = {}
    if (root / file).exists():
        for number, line in text_lines(root, file):
            parts = line.split()
            if len(parts) != 2:
                raise DataFault(file, f"line {number}", "has to hold a name and vid<number>", "correct it")
            found[parts[1]] = parts[0]
    return found


def examples(
    dataset: str, stem: str, split: Split, root: Path, note: Note, size: int
) -> Iterator[Example]:
    """One example per question.

    Args:
        stem: what stands before the number of a video in the name of its file.
        size: of the vocabulary that is ranked.
    """
    candidates = listed(root, chosen(root, ANSWERS.format(dataset)))
    candidates = candidates or vocabulary(root, file_of(root, dataset, split, 1), size)
    known = names(root, f"{dataset}/youtube_mapping.txt")

    def make(row: Row) -> Iterator[Example]:
        video = row.name("video_id", "video")
        video = f"{stem}{video}" if video.isdecimal() else video
        yield Example(
            dataset=dataset,
            example_id=f"{dataset}_{row.name('id', 'qid')}",
            image_id=f"{dataset}/{video}",
            images=clip(root, f"{dataset}/videos", known.get(video, video), row),
            references=(row.text("answer"),),
            fields={"question": row.text("question")},
            candidates=candidates,
        )

    yield from made(table_rows(root, file_of(root, dataset, split)), make, note)

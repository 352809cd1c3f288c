"""MSVD-QA and MSRVTT-QA: questions to clips, and the training answers that are ranked."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from workbench.data.official.pictures import clip
from workbench.data.official.reading import table_rows, text_lines
from workbench.data.official.releases import file_of
from workbench.data.official.rows import DataFault, Note, Row, made
from workbench.records import Example, Split

VOCABULARY = 1000  # most frequent training answers; the paper gives no number


def vocabulary(root: Path, file: str, size: int = VOCABULARY) -> tuple[str, ...]:
    """The most frequent answers, alphabetical among equals."""
    counts = Counter(row.text("answer") for row in table_rows(root, file))
    return tuple(sorted(counts, key=lambda answer: (-counts[answer], answer))[:size])


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


def examples(dataset: str, stem: str, split: Split, root: Path, note: Note) -> Iterator[Example]:
    """One example per question.

    Args:
        stem: what stands before the number of a video in the name of its file.
    """
    candidates = vocabulary(root, file_of(root, dataset, split, 1))
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

"""iVQA's twin: open questions about clips of four frames, each answered by five annotators."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from workbench.data.micro.asking import choose, crowd
from workbench.data.micro.motion import draw_clip, questions
from workbench.data.micro.pools import Item, item, scene_id
from workbench.data.micro.sampling import stream
from workbench.data.official.pictures import clip
from workbench.data.official.reading import csv_rows
from workbench.data.official.releases import file_of
from workbench.data.official.rows import Note, Row, made, refuse
from workbench.records import Example, Split

KINDS = ("actor", "event", "way", "becomes", "end_count")


def micro(split: Split, count: int, seed: int) -> Iterator[Item]:
    """One question per clip, with five references."""
    for index in range(count):
        rng = stream(seed, "ivqa", split, index)
        clip = draw_clip(rng, scene_id("ivqa", split, index))
        qa = choose([qa for qa in questions(clip, rng) if qa.kind in KINDS], rng)[0]
        answers = crowd(qa, rng, annotators=5, most=0.4)
        yield item("ivqa", split, index, clip.frames, answers, {"question": qa.question})


def official(split: Split, root: Path, note: Note = refuse) -> Iterator[Example]:
    """The official file: one example per question, with five references."""

    def make(row: Row) -> Iterator[Example]:
        video = row.text("video_id")
        answers = tuple(row.optional(f"answer{number}") for number in range(1, 6))
        if not any(answers):
            raise row.fault("has no answer")
        yield Example(
            dataset="ivqa",
            example_id=f"ivqa_{split}_{row.place.removeprefix('line ')}",
            image_id=f"ivqa/{video}",
            images=clip(root, "ivqa/videos", video, row),
            references=tuple(filter(None, answers)),
            fields={"question": row.text("question")},
        )

    yield from made(csv_rows(root, file_of(root, "ivqa", split)), make, note)

"""MSRVTT-QA's twin: what happens and what is seen in four frames; a fixed vocabulary is ranked."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from workbench.data.micro.asking import choose
from workbench.data.micro.concepts import BY_NAME
from workbench.data.micro.motion import STARS, VOCABULARY, draw_clip, questions
from workbench.data.micro.pools import Item, item, scene_id
from workbench.data.micro.sampling import stream
from workbench.data.official import video_qa
from workbench.data.official.rows import Note, refuse
from workbench.records import Example, Split

KINDS = ("actor", "event", "way", "becomes", "end_count", "colour", "size")
PER_CLIP = 3
CAST = tuple(BY_NAME[name] for name in STARS)


def micro(split: Split, count: int, seed: int) -> Iterator[Item]:
    """Three questions to a clip at most, each with one right answer."""
    for index in range(count):
        number, turn = divmod(index, PER_CLIP)
        rng = stream(seed, "msrvtt_qa", split, number)
        clip = draw_clip(rng, scene_id("msrvtt_qa", split, number), CAST)
        found = [qa for qa in questions(clip, rng) if qa.kind in KINDS]
        qa = choose(found, rng, PER_CLIP)[turn]
        fields = {"question": qa.question}
        yield item("msrvtt_qa", split, index, clip.frames, (qa.answer,), fields, VOCABULARY)


def official(
    split: Split, root: Path, note: Note = refuse, vocabulary: int = video_qa.VOCABULARY
) -> Iterator[Example]:
    """The official files: one example per question, the most frequent training answers as candidates."""
    return video_qa.examples("msrvtt_qa", "video", split, root, note, vocabulary)

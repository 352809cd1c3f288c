"""iVQA's twin: open questions about clips of four frames, each answered by five annotators."""

from __future__ import annotations

from collections.abc import Iterator

from workbench.data.micro.asking import choose, crowd
from workbench.data.micro.motion import draw_clip, questions
from workbench.data.micro.pools import Item, item, scene_id
from workbench.data.micro.sampling import stream
from workbench.records import Split

KINDS = ("actor", "event", "way", "becomes", "end_count")


def micro(split: Split, count: int, seed: int) -> Iterator[Item]:
    """One question per clip, with five references."""
    for index in range(count):
        rng = stream(seed, "ivqa", split, index)
        clip = draw_clip(rng, scene_id("ivqa", split, index))
        qa = choose([qa for qa in questions(clip, rng) if qa.kind in KINDS], rng)[0]
        answers = crowd(qa, rng, annotators=5, most=0.4)
        yield item("ivqa", split, index, clip.frames, answers, {"question": qa.question})

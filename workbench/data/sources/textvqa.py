"""TextVQA's twin: what is written in the picture and where; OCR tokens given, ten annotators."""

from __future__ import annotations

from collections.abc import Iterator

from workbench.data.micro.asking import choose, crowd, read_words
from workbench.data.micro.pools import Item, item, scene_id
from workbench.data.micro.questions import questions
from workbench.data.micro.sampling import draw_scene, stream
from workbench.records import Split


def micro(split: Split, count: int, seed: int) -> Iterator[Item]:
    """One example per picture; most pictures hold two words, of which the question means one."""
    for index in range(count):
        rng = stream(seed, "textvqa", split, index)
        plates = 1 if rng.random() < 0.25 else 2
        scene = draw_scene(rng, scene_id("textvqa", split, index), objects=(1, 3), plates=plates)
        qa = choose(questions(scene, ("word", "word_at"), rng), rng)[0]
        fields = {"question": qa.question, "ocr": read_words([plate.word for plate in scene.plates], rng)}
        yield item("textvqa", split, index, (scene,), crowd(qa, rng), fields)

"""TextCaps' twin: five captions that have to use the word on a plate; OCR tokens are given."""

from __future__ import annotations

from collections.abc import Iterator

from workbench.data.micro.asking import read_words
from workbench.data.micro.language import caption
from workbench.data.micro.pools import Item, item, scene_id
from workbench.data.micro.sampling import draw_scene, stream
from workbench.records import Split


def micro(split: Split, count: int, seed: int) -> Iterator[Item]:
    """One example per picture, with five references and the field ``ocr``."""
    for index in range(count):
        rng = stream(seed, "textcaps", split, index)
        scene = draw_scene(rng, scene_id("textcaps", split, index), objects=(1, 3), plates=1)
        fields = {"ocr": read_words([scene.plates[0].word], rng)}
        yield item("textcaps", split, index, (scene,), [caption(scene, rng) for _ in range(5)], fields)

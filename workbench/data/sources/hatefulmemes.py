"""HatefulMemes' twin: whether a line of text is hateful depends on the picture below it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from workbench.data.candidates import BINARY
from workbench.data.micro.memes import ask
from workbench.data.micro.pools import Item, item, scene_id
from workbench.data.micro.sampling import draw_scene, stream
from workbench.data.official.pictures import below
from workbench.data.official.reading import line_rows
from workbench.data.official.releases import RELEASES
from workbench.data.official.rows import Note, Row, made, refuse
from workbench.records import Example, Split


def micro(split: Split, count: int, seed: int) -> Iterator[Item]:
    """One example per picture, half of them hateful."""
    for index in range(count):
        rng = stream(seed, "hatefulmemes", split, index)
        scene = draw_scene(rng, scene_id("hatefulmemes", split, index))
        asked = ask(scene, rng, hateful=bool(rng.integers(2)))
        yield item("hatefulmemes", split, index, (scene,), (asked.answer,), asked.fields, asked.candidates)


def official(split: Split, root: Path, note: Note = refuse) -> Iterator[Example]:
    """Both validation files: one example per meme and file, 400 memes are in both."""
    for file in RELEASES["hatefulmemes"].parts[split].files:
        stem = PurePosixPath(file).stem

        def make(row: Row, stem: str = stem) -> Iterator[Example]:
            number = row.name("id")
            yield Example(
                dataset="hatefulmemes",
                example_id=f"hatefulmemes_{stem}_{number}",
                image_id=f"hatefulmemes/{number}",
                images=(below(root, "hatefulmemes", row.text("img"), row),),
                references=("yes" if _hateful(row) else "no",),
                fields={"text": row.text("text")},
                candidates=BINARY,
                domain=stem,
            )

        yield from made(line_rows(root, file), make, note)


def _hateful(row: Row) -> bool:
    """The label; the fine-grained release names it instead."""
    if "label" in row.values:
        return row.index("label", 2) == 1
    return "hateful" in row.texts("gold_hate")

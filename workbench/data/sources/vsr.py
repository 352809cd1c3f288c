"""VSR's twin: a statement about how two things lie to each other, true as often as false."""

from __future__ import annotations

from collections.abc import Iterator

from workbench.data.micro.language import statement
from workbench.data.micro.pools import Item, item, scene_id
from workbench.data.micro.sampling import draw_scene, stream
from workbench.records import Split


def micro(split: Split, count: int, seed: int) -> Iterator[Item]:
    """One example per picture; pictures are drawn until two things share a row or a column."""
    for index in range(count):
        rng = stream(seed, "vsr", split, index)
        true = bool(rng.integers(2))
        text = None
        while text is None:
            scene = draw_scene(rng, scene_id("vsr", split, index), objects=(3, 5))
            text = statement(scene, rng, true)
        yield item("vsr", split, index, (scene,), ("true" if true else "false",), {"statement": text})

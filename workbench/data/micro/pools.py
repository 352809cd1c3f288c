"""Which pictures a dataset sees: pools of scenes, shared as the originals share their pictures.

VQAv2, OKVQA, A-OKVQA, their question-generation twins and LLaVA ask about the pictures of COCO
Caption (pool ``coco``); every other dataset has a pool of its own. A pool is split before anything
else, so that train, val and test never share a scene, and picture `index` of a split depends on the
seed, the pool, the split and the index alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from workbench.data.micro.sampling import draw_scene, stream
from workbench.data.micro.scene import Scene
from workbench.records import NO_FIELDS, Example, Split

Item = tuple[Example, tuple[Scene, ...]]


def scene_id(pool: str, split: Split, index: int) -> str:
    """``coco_train/000012``."""
    return f"{pool}_{split}/{index:06d}"


def coco(split: Split, index: int, seed: int) -> Scene:
    """Picture `index` of the pool that ten held-in datasets share: two to five things, no words."""
    return draw_scene(stream(seed, "coco", split, index), scene_id("coco", split, index))


def item(
    dataset: str,
    split: Split,
    index: int,
    frames: Sequence[Scene],
    references: Sequence[str],
    fields: Mapping[str, str] = NO_FIELDS,
    candidates: Sequence[str] = (),
    domain: str = "",
) -> Item:
    """An Example with its frames; image references are ``scenes/coco_train.zip/000012.png``."""
    names = [frame.scene_id for frame in frames]
    example = Example(
        dataset=dataset,
        example_id=f"{dataset}_{split}_{index:06d}",
        image_id=names[0] if len(names) == 1 else names[0].rpartition("_")[0],
        images=tuple(f"scenes/{name.replace('/', '.zip/')}.png" for name in names),
        references=tuple(references),
        fields=fields,
        candidates=tuple(candidates),
        domain=domain,
    )
    return example, tuple(frames)

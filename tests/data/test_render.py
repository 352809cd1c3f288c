"""What a picture shows is what its scene says."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from workbench.data.micro.concepts import CONCEPTS, colour_name
from workbench.data.micro.render import _FONT, PAINT_RGB, render
from workbench.data.micro.scene import PAINTS, Placed, Plate, Scene


def pixels(scene: Scene) -> np.ndarray:
    return np.asarray(render(scene), dtype=np.int16)


def changed(scene: Scene) -> np.ndarray:
    """Where the picture differs from its empty background, (64, 64) bool."""
    return (pixels(scene) != pixels(replace(scene, objects=(), plates=()))).any(axis=2)


def one(concept: str = "dog", size: str = "big", row: int = 1, column: int = 1, paint: str = "") -> Scene:
    return Scene("s", (Placed(concept, paint or "brown", size, row, column, bool(paint)),), noise_seed=3)


def test_same_scene_same_picture() -> None:
    picture = render(one())
    assert (picture.mode, picture.size) == ("RGB", (64, 64))
    assert picture.tobytes() == render(one()).tobytes()


def test_the_name_of_a_scene_changes_nothing_and_its_noise_moves_things() -> None:
    assert render(one()).tobytes() == render(replace(one(), scene_id="t")).tobytes()
    jittered = {render(replace(one(), noise_seed=seed)).tobytes() for seed in range(20)}
    assert len(jittered) > 1


@pytest.mark.parametrize(("row", "column"), list(itertools.product(range(3), range(3))))
@pytest.mark.parametrize("size", ["small", "big"])
def test_objects_lie_in_their_cell(row: int, column: int, size: str) -> None:
    y, x = np.nonzero(changed(one(size=size, row=row, column=column)))
    assert int(y.mean() * 3 // 64) == row
    assert int(x.mean() * 3 // 64) == column


def test_small_is_clearly_smaller_than_big() -> None:
    for concept in CONCEPTS:
        small, big = (changed(one(concept.name, size)).sum() for size in ("small", "big"))
        assert big > 1.8 * small, concept.name


def test_every_concept_looks_different() -> None:
    assert len({render(one(concept.name)).tobytes() for concept in CONCEPTS}) == len(CONCEPTS)


@pytest.mark.parametrize("paint", PAINTS)
def test_painted_things_have_their_paint(paint: str) -> None:
    assert set(PAINTS) == set(PAINT_RGB)
    for concept in CONCEPTS[::9]:
        scene = one(concept.name, paint=paint)
        shown = [colour_name(*rgb) for rgb in (pixels(scene)[changed(scene)] / 255).tolist()]
        frequent = max(set(shown), key=shown.count)
        assert frequent == paint, (concept.name, frequent)


def test_paint_keeps_identity() -> None:
    for paint in PAINTS:
        pictures = {render(one(concept.name, paint=paint)).tobytes() for concept in CONCEPTS}
        assert len(pictures) == len(CONCEPTS)


def test_every_letter_is_distinct_and_words_stay_in_the_picture() -> None:
    assert len(set(_FONT.values())) == len(_FONT) == 26
    for column in (0, 2):
        for word in ("zoo", "tower", "secret"):
            shown = changed(Scene("s", (), (Plate(word, 0, column),)))
            width = shown.any(axis=0).sum()
            assert width == max(21, 4 * len(word) + 1)
    assert (
        pixels(Scene("s", (), (Plate("sand", 1, 1),))).tolist()
        != pixels(Scene("s", (), (Plate("snow", 1, 1),))).tolist()
    )


def test_backgrounds_differ_and_held_out_ones_scale() -> None:
    looks = {render(Scene("s", (), background=b)).tobytes() for b in range(8)}
    assert len(looks) == 8
    area = [changed(replace(one(), background=b)).sum() for b in range(8)]
    assert max(area[4], area[6]) < min(area[:4]) <= max(area[:4]) < min(area[5], area[7])


def test_defects() -> None:
    scene = one()
    assert pixels(replace(scene, darkness=1.0)).mean() < 0.2 * pixels(scene).mean()
    edges = [np.abs(np.diff(pixels(replace(scene, blur=b)), axis=1)).mean() for b in (0.0, 0.3, 1.0)]
    assert edges[0] > edges[1] > edges[2]
    cropped = replace(scene, crop=0.5)
    assert cropped != scene
    assert render(cropped).size == (64, 64)
    assert render(cropped).tobytes() != render(scene).tobytes()


def test_unknown_concept_is_an_error() -> None:
    with pytest.raises(KeyError, match="unicorn"):
        render(one("unicorn"))


def test_artwork_is_real_artwork() -> None:
    with Image.open(CONCEPTS[0].artwork) as artwork:
        assert artwork.size == (72, 72)

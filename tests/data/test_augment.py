import numpy as np
import pytest
from PIL import Image

from workbench.data.augment import crop, training_view

GRADIENT = Image.fromarray(np.tile(np.arange(200, dtype=np.uint8)[None, :, None], (100, 1, 3)))


def views(text, count=60):
    rng = np.random.default_rng(0)
    return [np.asarray(training_view(GRADIENT, 32, (text,), rng), np.int16) for _ in range(count)]


def mirrored(view):
    return view[:, 0].mean() > view[:, -1].mean()


def test_half_of_the_views_are_mirrored_and_none_where_sides_matter():
    assert 15 < sum(map(mirrored, views("what is on the desk?"))) < 45
    for text in ("What is LEFT of it?", "the right-hand one", "leftmost"):
        assert not any(map(mirrored, views(text)))
    assert any(map(mirrored, views("a bright light, uprights")))


def test_the_texts_do_not_change_which_crops_are_drawn():
    for free, bound in zip(views("what?"), views("left?"), strict=True):
        assert np.array_equal(free[:, ::-1] if mirrored(free) else free, bound)


@pytest.mark.parametrize("size", [(640, 480), (1, 1), (1000, 10), (10, 1000)])
def test_crops_lie_inside_and_keep_half_of_the_area_where_the_shape_allows(size):
    rng = np.random.default_rng(1)
    for _ in range(200):
        left, upper, right, lower = crop(size, rng)
        assert 0 <= left < right <= size[0]
        assert 0 <= upper < lower <= size[1]
        if size == (640, 480):
            assert (right - left) * (lower - upper) > 0.49 * 640 * 480

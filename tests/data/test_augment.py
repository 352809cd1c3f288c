from dataclasses import replace

import numpy as np
import pytest
import small_world
import torch
from PIL import Image

from workbench.data.augment import FreshViews, crop, training_view
from workbench.data.encoder import Encoder, encode
from workbench.data.features import FeatureStore
from workbench.data.images import ImageError, open_image
from workbench.data.prepare import load_examples

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


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    return small_world.write(tmp_path_factory.mktemp("world"))


def store(world):
    places = {"prepared": world / "data/prepared", "encoder": world / "backbones/micro/vision"}
    return FeatureStore.open(world / "data/features", **places)


def fresh(world, key=None):
    prepared, encoder = world / "data/prepared", world / "backbones/micro/vision"
    return FreshViews(prepared, encoder, torch.device("cpu"), key or store(world).key)


def test_fresh_views_are_the_encoders_output_of_the_drawn_crops(world):
    prepared, folder = world / "data/prepared", world / "backbones/micro/vision"
    examples = load_examples(prepared, "vqav2", "train")[:3]
    texts, bits = [("what is left ?", "a dog")] * 3, [5, 2**63, 5]
    seen = fresh(world)(examples, texts, bits)
    source = Encoder.open(folder)
    views = [
        training_view(open_image(prepared, e.images[0]), 64, pair, np.random.default_rng([draw, 1]))
        for e, pair, draw in zip(examples, texts, bits, strict=True)
    ]
    expected = encode(source.load(), source.preprocessing.pixels(views))
    assert torch.allclose(seen[:, 0], expected, atol=1e-5)
    assert torch.equal(seen, fresh(world)(examples, texts, bits))
    assert not torch.equal(seen, fresh(world)(examples, texts, [6, 7, 8]))
    assert seen[:, 0].shape == store(world).take([e.images[0] for e in examples]).shape
    (seen.requires_grad_() ** 2).sum().backward()  # training goes through them


def test_all_frames_of_a_clip_have_one_crop(world):
    (clip,) = load_examples(world / "data/prepared", "msvd_qa", "test")[:1]
    still = replace(clip, images=clip.images[:1] * 4)
    seen = fresh(world)([clip, still], [("what moves ?", "dog")] * 2, [3, 3])
    assert seen.shape[:2] == (2, 4)
    assert all(torch.allclose(seen[1, 0], seen[1, frame]) for frame in range(4))
    assert torch.allclose(seen[0, 0], seen[1, 0])


def test_a_picture_that_is_gone_is_named(world):
    (example,) = load_examples(world / "data/prepared", "vqav2", "train")[:1]
    with pytest.raises(ImageError, match=r"gone\.png"):
        fresh(world)([replace(example, images=("scenes/gone.png",))], [("", "")], [1])


def test_another_picture_under_a_known_name_is_refused(world):
    (example,) = load_examples(world / "data/prepared", "vqav2", "train")[:1]
    with pytest.raises(ImageError, match=rf"{example.images[0]} has changed since it was encoded"):
        fresh(world, key=lambda ref: "0" * 64)([example], [("", "")], [1])


def test_clips_of_different_lengths_do_not_mix(world):
    (clip,) = load_examples(world / "data/prepared", "msvd_qa", "test")[:1]
    with pytest.raises(ValueError, match="1 frames beside"):
        fresh(world)([clip, replace(clip, images=clip.images[:1])], [("", "")] * 2, [1, 2])

"""The ViT's supervision: cells, targets and pictures say the same as the scene."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from workbench.data.micro.render import SIDE, render
from workbench.data.micro.scene import COLOURS, SIZES, Placed, Plate, Scene
from workbench.train import vision

SCENE = Scene(
    "s",
    (Placed("dog", "brown", "big", 0, 2), Placed("car", "blue", "small", 2, 1, True)),
    (Plate("open", 1, 0),),
)


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(3)
    return vision.new().eval()


def test_targets_say_what_each_cell_holds():
    found = {name: grid[0].tolist() for name, grid in vision.targets([SCENE, Scene("empty", ())]).items()}
    nothing = {name: count - 1 for name, count in vision.TARGETS.items()}
    shown = {
        "concept": {2: vision.NAMES.index("dog"), 7: vision.NAMES.index("car")},
        "colour": {2: COLOURS.index("brown"), 7: COLOURS.index("blue")},
        "size": {2: SIZES.index("big"), 7: SIZES.index("small")},
        "word": {3: vision.PRINTED.index("open")},
    }
    for name, cells in shown.items():
        assert found[name] == [cells.get(cell, nothing[name]) for cell in range(9)]


def test_a_scene_without_anything_has_nothing_in_every_cell():
    for name, grid in vision.targets([Scene("empty", ())]).items():
        assert grid.tolist() == [[vision.TARGETS[name] - 1] * 9]


@pytest.mark.parametrize("row", range(3))
@pytest.mark.parametrize("column", range(3))
def test_the_patches_pooled_for_a_cell_are_where_the_thing_is_drawn(row, column):
    scene = Scene("s", (Placed("apple", "red", "big", row, column),), noise_seed=4)
    pictures = [np.asarray(render(s), np.float32) for s in (scene, Scene("s", (), noise_seed=4))]
    changed = np.abs(pictures[0] - pictures[1]).mean(2)
    patches = changed.reshape(vision.GRID, vision.PATCH, vision.GRID, vision.PATCH).mean((1, 3))
    per_cell = vision.pooled(torch.from_numpy(patches).reshape(1, -1, 1))
    assert int(per_cell[0, :, 0].argmax()) == 3 * row + column


def test_pooling_averages():
    hidden = torch.ones(2, vision.GRID**2, 3)
    assert torch.allclose(vision.pooled(hidden), torch.ones(2, 9, 3))


def test_patches_lie_in_the_cells_that_are_pooled():
    cells = torch.arange(9)[None]
    spread = cells[:, vision.cell_of_patches()].float()[..., None]
    assert torch.allclose(vision.pooled(spread)[..., 0], cells.float())
    assert spread[0, 0] == 0
    assert spread[0, -1] == 8


def test_pixels_are_normalised_channels_first():
    found = vision.pixels([render(SCENE)])
    assert found.shape == (1, 3, SIDE, SIDE)
    assert found.dtype == torch.float32
    expected = (np.asarray(render(SCENE))[5, 50] / 255 - 0.5) / 0.5
    assert torch.allclose(found[0, :, 5, 50], torch.tensor(expected, dtype=torch.float32))
    prepared = vision.processor()(render(SCENE), return_tensors="pt").pixel_values
    assert torch.allclose(prepared, found, atol=1e-5)


def test_features_are_taken_before_the_post_layer_norm(model):
    images = vision.pixels([render(SCENE)])
    with torch.no_grad():
        found = vision.encode(model, images)
        assert found.shape == (1, 65, 128)
        assert torch.allclose(
            model.post_layernorm(found), model(pixel_values=images).last_hidden_state, atol=1e-5
        )


@pytest.mark.parametrize("crowded", [False, True])
def test_scenes_are_of_every_kind_and_depend_on_their_number_alone(crowded):
    scenes = [vision.draw(1, i, crowded) for i in range(200)]
    assert scenes[7] == vision.draw(1, 7, crowded) != vision.draw(2, 7, crowded)
    assert {scene.background for scene in scenes} == set(range(8))
    for wanted in ("plates", "blur", "darkness", "crop"):
        assert 3 < sum(bool(getattr(scene, wanted)) for scene in scenes) < 250
    vision.targets(scenes)  # every word and concept has a class


def test_crowded_scenes_teach_more_names():
    sparse, crowded = (sum(len(vision.draw(1, i, c).objects) for i in range(200)) for c in (False, True))
    assert crowded > 1.4 * sparse


def test_examination_counts_right_cells_among_those_that_show_something(model):
    classify = vision.heads()
    for name, head in classify.items():
        torch.nn.init.zeros_(head.weight)
        torch.nn.init.zeros_(head.bias)
        head.bias.data[0] = 1.0  # always says the first class
        assert head.out_features == {**vision.TARGETS, "position": 64}[name]
    found = vision.examine(model, classify, seed=9, count=40)
    scenes = [vision.draw(9, i, crowded=False) for i in range(40)]
    sizes = [thing.size for scene in scenes for thing in scene.objects]
    words = [plate.word for scene in scenes for plate in scene.plates]
    assert found["size"] == pytest.approx(sizes.count("small") / len(sizes))
    assert found["position"] == pytest.approx(1 / 64)  # the first patch
    assert found["word"] == pytest.approx(words.count(vision.PRINTED[0]) / len(words))


def test_training_lowers_the_loss():
    torch.manual_seed(3)
    phase = vision.Phase(steps=10, cosine=10, rate=1e-2, seed=1, crowded=False, batch_size=8)
    losses = [loss for _, loss in vision.train(vision.new(), vision.heads(), phase)]
    assert len(losses) == 10
    assert np.mean(losses[-4:]) < 0.9 * losses[0]


def test_who_draws_the_scenes_changes_nothing():
    phase = vision.Phase(steps=3, cosine=3, rate=1e-3, seed=1, crowded=True, batch_size=2)
    losses = []
    for helpers in (0, 2):
        torch.manual_seed(3)
        losses.append(list(vision.train(vision.new(), vision.heads(), phase, helpers)))
    assert losses[0] == losses[1]

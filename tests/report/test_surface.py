"""A surface that is known is found again, with its flatness and its contrasts."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from workbench.report.study.exploration import Surface, place, sample, surface

SPACE = {
    "dimensions": {
        "x": {"low": 0.0, "high": 1.0, "log": False, "whole": False},
        "w": {"low": 0.125, "high": 8.0, "log": True, "whole": False},
        "form": {"choices": ["a", "b"]},
    },
    "first": {"middle": {"x": 0.5, "w": 1.0, "form": "a"}, "edge": {"x": 0.0, "w": 1.0, "form": "a"}},
    "contrasts": {"middle over edge": ["middle", "edge"]},
    "smallest_effect": 0.5,
}


def height(setting: dict) -> float:
    """Best at x = .5, whatever w is; form b costs one point."""
    return 50 - 16 * (setting["x"] - 0.5) ** 2 - (setting["form"] == "b")


@pytest.fixture(scope="module")
def trials() -> pd.DataFrame:
    rng = np.random.default_rng(3)
    settings = [*SPACE["first"].values(), *sample(SPACE, 32)]
    titles = [*SPACE["first"], *[""] * 32]
    lines = [
        {"trial": f"trial{i:03d}", "first": title, **s, "val": height(s) + rng.normal(0, 0.1)}
        for i, (title, s) in enumerate(zip(titles, settings, strict=True))
    ]
    pruned = {"trial": "trial099", "first": "", **settings[0], "val": 1.0}
    return pd.DataFrame([*lines, pruned]).assign(state=["complete"] * len(lines) + ["pruned"])


@pytest.fixture(scope="module")
def found(trials) -> dict:
    return surface(trials, SPACE)


def test_response_curves_are_those_of_the_function(found):
    curve = found["responses"]["x"]
    rise = curve["mean"][10] - curve["mean"][0]
    assert rise == pytest.approx(4.0, abs=0.5)
    assert curve["values"][int(np.argmax(curve["mean"]))] == pytest.approx(0.5, abs=0.1)
    low, high = curve["alike"]  # within .5 of the best: |x - .5| < .177
    assert (low, high) == (pytest.approx(0.32, abs=0.08), pytest.approx(0.68, abs=0.08))
    flat = found["responses"]["w"]["mean"]
    assert max(flat) - min(flat) < 0.4
    a, b = found["responses"]["form"]["mean"]
    assert a - b == pytest.approx(1.0, abs=0.3)


def test_flatness_is_the_share_of_the_space_near_the_best(found):
    # form a and |x - .5| < 1/4: a quarter; within 2 points also form b's |x - .5| < 1/4
    assert found["flatness"]["1.0"] == pytest.approx(0.25, abs=0.08)
    assert found["flatness"]["2.0"] == pytest.approx(0.5 * 0.707 + 0.5 * 0.5, abs=0.1)


def test_a_contrast_is_measured_and_smoothed(found):
    line = found["contrasts"]["middle over edge"]["val"]
    assert line["mean"] == pytest.approx(4.0, abs=0.4)
    assert line["measured"] == pytest.approx(4.0, abs=0.5)
    assert 0 < line["error"] < 0.5


def test_the_noise_is_that_of_the_trials(found):
    assert found["noise"] == pytest.approx(0.1, abs=0.08)


def test_the_best_trial_is_a_finished_one(found, trials):
    done = trials[trials["state"] == "complete"]
    assert found["best_trial"]["val"] == done["val"].max()
    assert found["best_trial"]["form"] == "a"


def test_too_few_trials_make_no_surface(trials):
    assert surface(trials.head(5), SPACE) is None


def test_places_in_a_range():
    assert place(SPACE["dimensions"]["w"], 0.5) == pytest.approx(1.0)
    assert place({"low": 1, "high": 9, "log": False, "whole": True}, 0.49) == 5
    wide = {"low": 8, "high": 64, "log": False, "whole": True, "step": 8}
    assert {place(wide, share / 100) for share in range(101)} == set(range(8, 65, 8))
    assert place(SPACE["dimensions"]["form"], 1.0) == "b"


def test_inputs_are_in_the_unit_cube(trials):
    fitted = Surface(trials, SPACE, "val")
    encoded = fitted.encode([{"x": 1.0, "w": 0.125, "form": "b"}])
    assert encoded.tolist() == [[1.0, 0.0, 0.0, 1.0]]

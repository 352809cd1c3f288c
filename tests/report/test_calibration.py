"""Simulated studies with a known effect: a small part of benchmarks/calibration.py, always the same."""

from __future__ import annotations

import importlib.util
import sys

import numpy as np
import pytest

from workbench import code
from workbench.report.statistics.intervals import value_of

STUDIES, REPETITIONS, SEED = 150, 200, 1


@pytest.fixture(scope="module")
def calibration():
    path = code.PACKAGE.parent / "benchmarks/calibration.py"
    spec = importlib.util.spec_from_file_location("calibration", path)
    module = importlib.util.module_from_spec(spec)
    sys.modules["calibration"] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def found(calibration):
    return calibration.table(STUDIES, REPETITIONS, SEED)


def test_without_an_effect_at_most_7_percent_find_one(found):
    none = found[found["gain"] == 0].assign(wrong=lambda lines: lines["above"] + lines["below"])
    assert len(none) == 36
    by_measure = none.groupby("measure")["wrong"].mean()  # of 1350 studies each
    assert (by_measure <= 0.07).all(), by_measure
    by_seeds = none.groupby("seeds")["wrong"].mean()  # of 1800
    assert (by_seeds <= 0.07).all(), by_seeds
    # 18 of 150 or more at 5 %: a chance of 1 in 2000 for each line
    assert (none["wrong"] < 0.12).all(), none
    assert none["wrong"].mean() >= 0.015, "nor are they far too careful"


def test_intervals_cover_the_true_effect(found):
    for column in ("measure", "seeds"):
        covered = found.groupby(column)["covered"].mean()
        assert covered.between(0.93, 0.98).all(), covered


def test_power_is_what_was_planned_and_rises_with_effect_and_seeds(found):
    some = found[found["gain"] > 0]
    gap = some["above"] - some["planned"]
    assert abs(gap.mean()) < 0.05, "on average"
    assert (gap.abs() < 0.2).all(), some.assign(gap=gap)
    for _, lines in some.groupby(["world", "measure"]):
        table = lines.pivot(index="seeds", columns="gain", values="above")
        assert (table.loc[10] >= table.loc[3]).all()
        assert (np.diff(table.to_numpy(), axis=1) > 0).all()


def test_the_true_effects_are_those_of_the_population(calibration):
    """Many seeds and images come near what the formulas say."""
    world = calibration.WORLDS["loud seeds"]
    for measure in calibration.MEASURES:
        rng, values = np.random.default_rng(5), []
        for _ in range(20):
            trainings, images = calibration.arms(rng, world, 100, calibration.IMAGES)
            pair = calibration.MEASURES[measure][0](rng, trainings, images, 0.25, "x")
            values.append(np.mean([value_of(pair.metric, one, pair.positive)
                                   - value_of(pair.metric, other, pair.positive)
                                   for one, other in zip(pair.first, pair.second, strict=True)]))  # fmt: skip
        expected = calibration.truth(measure, world, 0.25)
        error = np.std(values, ddof=1) / len(values) ** 0.5
        assert np.mean(values) == pytest.approx(expected, abs=3.5 * error), measure


def test_its_figure_can_be_drawn(calibration, found):
    drawn = calibration.figures.svg(calibration.picture(found))
    assert "False positives" in drawn

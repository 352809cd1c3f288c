"""Tables about probes, on answers that are known."""

from __future__ import annotations

import pandas as pd
import pytest

from workbench.report.study import probing


def frame(lines: list[tuple]) -> pd.DataFrame:
    """(seed, probe, group, picture, answer, score)"""
    names = ["seed", "probe", "group", "image_id", "prediction", "score"]
    made = pd.DataFrame(lines, columns=names).assign(arm="a", attention=float("nan"), area=float("nan"))
    return made.assign(example_id=made["group"] + "/" + made["image_id"])


def test_rates_and_yes_rates():
    found = frame(
        [
            (seed, "presence", "random", f"p{i}", ("yes", "no")[i % 2], 100.0 * (i % 2))
            for seed in (1, 2)
            for i in range(4)
        ]
    )
    line = probing.rates(found).iloc[0]
    assert (line["value"], line["seeds"], line["n"]) == (50.0, 2, 4)
    assert line["low"] < 50 < line["high"]
    assert probing.yes_rates(found).iloc[0]["value"] == 50.0


def test_changes_compare_the_same_pictures_and_the_last_word():
    found = frame(
        [
            (1, "candidates", "four", "p0", "dog", 100.0),
            (1, "candidates", "four", "p1", "cat", 0.0),
            (1, "candidates", "longer", "p0", "the picture shows a dog", 100.0),
            (1, "candidates", "longer", "p1", "the picture shows an owl", 100.0),
        ]
    )
    line = probing.changes(found, "candidates", "four").iloc[0]
    assert (line["group"], line["value"], line["other answer"]) == ("longer", 50.0, 50.0)


def test_counting_has_bias_distance_and_answers_that_are_no_number():
    found = frame(
        [(1, "counting things", "2", f"p{i}", said, 0.0) for i, said in enumerate(("1", "4", "2", "a dog"))]
    )
    line = probing.counting_errors(found).iloc[0]
    assert (line["true"], line["bias"], line["distance"]) == (2, pytest.approx(1 / 3), 1.0)
    assert line["no number"] == 25.0


def test_attention_is_relative_to_the_area():
    found = frame([(1, "grounding", "whole", f"p{i}", "red", 0.0) for i in range(3)])
    found = found.assign(attention=[0.2, 0.3, 0.4], area=0.1)
    assert probing.attention(found).iloc[0]["value"] == pytest.approx(3.0)

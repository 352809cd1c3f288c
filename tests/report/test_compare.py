import dataclasses

import numpy as np
import pytest
from report_outputs import suite

from workbench.report.compare import HELD_IN, HELD_OUT, OVERALL, Suite, compare
from workbench.report.outputs import ReportError, read


@pytest.fixture(scope="module")
def tables(outputs):
    return read(outputs)


@pytest.fixture(scope="module")
def comparison(tables):
    return compare(tables, suite())


def test_an_average_is_the_mean_of_its_scores(comparison):
    values = [comparison.score("instruct", name).value for name in suite().figure4]
    assert comparison.average("instruct", HELD_OUT).value == pytest.approx(np.mean(values))


def test_a_difference_is_that_of_the_averages_and_tighter_than_unpaired(comparison):
    ours, theirs = (comparison.average(row, HELD_IN) for row in ("instruct", "blip2"))
    difference = comparison.difference("instruct", "blip2", HELD_IN)
    assert difference.value == pytest.approx(ours.value - theirs.value)
    assert difference.low < difference.value < difference.high


def test_the_picture_is_worth_what_was_built_in(comparison):
    assert comparison.difference("instruct", "blind", HELD_IN).excludes_zero
    assert comparison.difference("instruct", "instruct", HELD_IN) is None


def test_external_sets_are_scored_but_in_no_average(comparison):
    assert comparison.score("instruct", "easy_vqa") is not None
    assert comparison.averages.query("group == 'held-out, all'")["datasets"].eq(13).all()


def test_a_dataset_nobody_scored_is_named(tables):
    asked = dataclasses.replace(suite(), held_out=(*suite().held_out, "missing_set"))
    with pytest.raises(ReportError, match="missing_set is in the catalogue but was not scored"):
        compare(tables, asked)


def test_domains_are_scored_apart_and_together(tables):
    """In, near, out take turns over 20 examples: 7, 7 and 6 of them; these earn 30, 60 and 90."""
    kept = tables.predictions[tables.predictions["dataset"] == "nocaps"]
    earned = kept.assign(score=kept["domain"].map({"in": 30.0, "near": 60.0, "out": 90.0}))
    earned.loc[earned["blind"], "score"] /= 10
    alone = Suite(suite().datasets, (), ("nocaps",), (), {})
    scores = tables.scores[tables.scores["dataset"] == "nocaps"]
    found = compare(dataclasses.replace(tables, predictions=earned, scores=scores), alone)
    names = found.domain_names("nocaps")
    assert names == ["in", "near", "out", OVERALL]
    assert [found.domain_size("nocaps", name) for name in names] == [7, 7, 6, 20]
    for row in tables.rows:
        assert [found.domain(row, "nocaps", name).value for name in names] == [30, 60, 90, 58.5]
        assert found.domain(row, "nocaps", "near", blind=True).value == pytest.approx(6)
    near, overall = (found.domain("instruct", "nocaps", name) for name in ("near", OVERALL))
    assert (near.low, near.high) == (60, 60)  # nothing varies within a domain
    assert overall.low < 58.5 < overall.high
    assert found.score("instruct", "nocaps") == overall


def test_datasets_without_domains_have_none(comparison):
    assert comparison.domain_names("vqav2") == []
    assert comparison.domain("instruct", "vqav2", OVERALL) is None

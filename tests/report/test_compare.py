import dataclasses

import numpy as np
import pytest
from report_outputs import suite

from workbench.report.compare import HELD_IN, HELD_OUT, compare
from workbench.report.table import ReportError, read


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

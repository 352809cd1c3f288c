"""Candidate sets small enough to write down."""

import pytest

from workbench.data.candidates import BINARY, answer_vocabulary, coverage, lettered
from workbench.evaluate.metrics.ranking import NEGATIVE, POSITIVE


def test_options_have_letters():
    assert lettered(["dog", "cat"]) == "(a) dog (b) cat"
    assert lettered(["x"] * 26).endswith("(z) x")
    with pytest.raises(ValueError, match="27 choices"):
        lettered(["x"] * 27)


def test_the_verbalisers_are_those_that_auc_looks_for():
    assert BINARY == POSITIVE + NEGATIVE


def test_the_vocabulary_is_the_most_frequent_answers():
    answers = ["man"] * 3 + ["play"] * 2 + ["cook"] * 2 + ["zebra"]
    assert answer_vocabulary(answers, 3) == ("man", "cook", "play")
    assert answer_vocabulary(reversed(answers), 3) == ("man", "cook", "play")
    for size in (1, 5):
        with pytest.raises(ValueError, match=f"a vocabulary of {size} cannot come from 4"):
            answer_vocabulary(answers, size)


def test_coverage_is_the_best_that_ranking_can_do():
    assert coverage(("man", "cook"), ["man", "man", "zebra", "cook"]) == 75
    with pytest.raises(ValueError, match="no answers"):
        coverage(("man",), [])

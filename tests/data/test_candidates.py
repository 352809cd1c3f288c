"""Candidate sets small enough to write down."""

import pytest

from workbench.data.candidates import BINARY, answer_vocabulary, coverage, dialogue_options, lettered
from workbench.evaluate.metrics.ranking import NEGATIVE, POSITIVE


def test_options_have_letters():
    assert lettered(["dog", "cat"]) == "(a) dog (b) cat"
    assert lettered(["x"] * 26).endswith("(z) x")
    with pytest.raises(ValueError, match="27 choices"):
        lettered(["x"] * 27)


def test_the_verbalisers_are_those_that_auc_looks_for():
    assert BINARY == POSITIVE + NEGATIVE


def test_dialogue_options_come_from_the_table():
    texts = [f"answer {n}" for n in range(200)]
    indices = list(range(199, 99, -1))
    candidates, right = dialogue_options(indices, texts, 2)
    assert len(candidates) == 100
    assert right == candidates[2] == "answer 197"


@pytest.mark.parametrize(
    ("indices", "right", "message"),
    [
        ([0, 1], 0, "has 2 entries, not 100"),
        (range(100), 100, "gt_index is 100"),
        ([*range(99), 500], 0, "names answer 500, but there are only 200"),
        ([*range(99), -1], 0, "names answer -1"),
    ],
)
def test_dialogue_tables_that_are_wrong(indices, right, message):
    with pytest.raises(ValueError, match=message):
        dialogue_options(list(indices), ["x"] * 200, right)


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

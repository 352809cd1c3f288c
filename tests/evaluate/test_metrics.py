"""Values that can be worked out by head."""

import math

import pytest

from workbench.evaluate.metrics import (
    auc,
    caption_tokens,
    cider,
    exact_match,
    ivqa_accuracy,
    multiple_choice,
    normalise,
    recall,
    reciprocal_rank,
    score,
    vqa_accuracy,
    yes_margin,
)
from workbench.records import Example, Prediction


def predicted(text, references, candidates=(), scores=(), dataset="gqa", number="0"):
    example = Example(dataset, number, number, ("a.png",), tuple(references), candidates=tuple(candidates))
    return Prediction(example, "Question:", text, tuple(scores))


@pytest.mark.parametrize(
    ("raw", "normal"),
    [
        ("The  Cat", "cat"),
        ("two dogs", "2 dogs"),
        ("none", "0"),
        ("Yes.", "yes"),
        ("3.5", "3.5"),  # a full stop before a digit stays
        ("3.", "3"),
        ("t-shirt", "t shirt"),  # a mark inside a word becomes a space
        ("red, green", "red green"),  # one that touches a space goes
        ("1,000 t-shirts", "1000 tshirts"),  # a comma between digits makes every mark go
        ("dont", "don't"),
        ("couldntve", "couldntve"),  # two apostrophes missing: the official table does not know it
        ("a\nan\tthe", ""),
        ("." * 40, "." * 8),  # re.UNICODE stands where the count belongs
    ],
)
def test_official_normaliser_and_its_quirks(raw, normal):
    assert normalise(raw) == normal


@pytest.mark.parametrize(("givers", "percent"), [(0, 0), (1, 30), (2, 60), (3, 90), (4, 100), (10, 100)])
def test_vqa_accuracy_leaves_one_annotator_out(givers, percent):
    assert vqa_accuracy("two", ["2"] * givers + ["other"] * (10 - givers)) == pytest.approx(percent)


def test_vqa_accuracy_refuses_single_answer_sets():
    with pytest.raises(ValueError, match=r"gqa/0.*exact_match"):
        score("vqa_accuracy", [predicted("yes", ["yes"])])


def test_ivqa_needs_two_annotators_who_agree():
    answers = ["knife", "a knife", "blade", "hand", "tool"]
    assert [ivqa_accuracy(word, answers) for word in ("Knife", "blade", "spoon")] == [100, 50, 0]


def test_exact_match_maps_yes_and_no_only_for_true_and_false():
    assert exact_match("Yes", ["true"]) == 100
    assert exact_match("no", ["true"]) == 0
    assert exact_match("no", ["false"]) == 100
    assert exact_match("true", ["yes"]) == 0
    assert exact_match("the two cats", ["2 cats", "cats"]) == 100


def test_caption_tokens_split_clitics_and_drop_marks_but_not_brackets():
    words = caption_tokens('A dog\'s "t-shirt", (don\'t!) 3.5.')
    assert words == ["a", "dog", "'s", "t-shirt", "-lrb-", "do", "n't", "-rrb-", "3.5"]


def test_cider_of_equal_two_word_captions_is_half_of_1000():
    # 1- and 2-grams agree fully, there are no 3- and 4-grams: (1 + 1 + 0 + 0) / 4
    assert cider(["red dog", "blue cat"], [["red dog"], ["blue cat"]]) == pytest.approx([500, 500])


def test_cider_of_one_common_word():
    # 1-grams: log 2 squared over (sqrt 2 log 2) squared = 1/2; nothing else: 1/8
    assert cider(["red cup", "blue cat"], [["red dog"], ["blue cat"]])[0] == pytest.approx(125)


def test_cider_damps_a_difference_in_length_counted_in_bigrams():
    value = cider(["red", "blue cat"], [["red dog"], ["blue cat"]])[0]
    assert value == pytest.approx(1000 / 4 / math.sqrt(2) * math.exp(-1 / 72))


def test_cider_ignores_words_every_example_has_and_clips_repetition():
    assert cider(["a", "a"], [["a"], ["a"]]) == [0, 0]
    # "dog dog": weight clipped to the reference's 1, norm 2: 1/2 of a 1-gram match, damped by one bigram
    assert cider(["dog dog", "cat"], [["dog"], ["cat"]])[0] == pytest.approx(1000 / 8 * math.exp(-1 / 72))


def test_cider_averages_over_references():
    assert cider(["red dog", "x"], [["red dog", "big cup"], ["x"]])[0] == pytest.approx(250)


def test_cider_of_one_example_is_refused():
    with pytest.raises(ValueError, match="eval_examples"):
        cider(["a dog"], [["a dog"]])


def test_ranks_count_ties_against_the_right_candidate():
    names = ["a", "b", "c", "d"]
    assert reciprocal_rank("b", names, [-1.0, -2.0, -3.0, -4.0]) == 50
    assert reciprocal_rank("b", names, [-1.0, -1.0, -1.0, -1.0]) == 25
    assert multiple_choice("a", names, [-1.0, -1.0, -2.0, -3.0]) == 0
    assert multiple_choice("a", names, [-1.0, -1.1, -2.0, -3.0]) == 100
    assert [recall("c", names, [-1, -2, -3, -4], k) for k in (1, 2, 3)] == [0, 0, 100]
    assert multiple_choice("a", ["a", "b", "a"], [-1, -2, -1]) == 100  # a repetition is no rival


def test_auc_counts_ordered_pairs():
    assert auc([3, 1, 2, 0], [True, True, False, False]) == 75  # 3 of 4 pairs are in order
    assert auc([1, 1], [True, False]) == 50
    with pytest.raises(ValueError, match="2 of yes and 0 of no"):
        auc([1, 2], [True, True])
    with pytest.raises(ValueError, match="margins that are numbers"):
        auc([math.nan, 1, 0], [True, True, False])


def test_yes_margin_goes_by_text_and_sums_the_verbalisers():
    half = math.log(0.25)
    assert yes_margin(["no", "true", "yes"], [half, half, half]) == pytest.approx(math.log(2))
    with pytest.raises(ValueError, match="no or false"):
        yes_margin(["yes", "true"], [half, half])
    for scores in ([-math.inf, -math.inf], [math.nan, 0.0]):
        with pytest.raises(ValueError, match="scores that compare"):
            yes_margin(["yes", "no"], scores)


def test_score_of_ranked_and_labelled_sets():
    options = ["yes", "true", "no", "false"]
    right = predicted("yes", ["yes"], options, [-1, -1, -3, -3], number="0")
    wrong = predicted("no", ["no"], options, [-1, -2, -3, -3], number="1")
    result = score("auc", [right, wrong])
    assert result.value == 100
    assert result.per_example[0] == pytest.approx(2)
    ranked = score("mrr", [right, predicted("no", ["no"], options, [-1, -2, -3, -4], number="1")])
    assert ranked.value == pytest.approx((50 + 100 / 3) / 2)


def test_score_mean_equals_its_shares():
    result = score("exact_match", [predicted("cat", ["cat"]), predicted("dog", ["cat"], number="1")])
    assert (result.dataset, result.value, result.per_example) == ("gqa", 50, (100, 0))


@pytest.mark.parametrize(
    ("metric", "predictions", "message"),
    [
        ("exact_match", [], "one dataset at a time"),
        ("exact_match", [predicted("a", ["a"]), predicted("a", ["a"], dataset="vsr")], r"gqa.*vsr"),
        ("exact_match", [predicted("a", [])], "gqa/0 has no reference"),
        ("bleu", [predicted("a", ["a"])], "unknown metric 'bleu'"),
        ("mrr", [predicted("a", ["a"], ["a", "b"])], "2 candidates have 0 scores"),
        ("multiple_choice", [predicted("a", ["z"], ["a", "b"], [0, 1])], "'z' is not among"),
        ("mrr", [predicted("a", ["a"], ["a", "b"], [0, float("nan")])], "not a number"),
        ("auc", [predicted("a", ["maybe"], ["yes", "no"], [0, 1])], "labels yes and no"),
    ],
)
def test_score_says_what_is_wrong(metric, predictions, message):
    with pytest.raises(ValueError, match=message):
        score(metric, predictions)

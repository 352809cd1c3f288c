import numpy as np
import pytest
from scipy import stats as reference
from sklearn.metrics import roc_auc_score

from workbench.report.statistics.intervals import (
    Interval,
    clustered,
    percentile,
    replicates,
    resample,
    value_of,
)

NONE = np.zeros(0, bool)


def names(count, per_image=1):
    return [f"image{n // per_image}" for n in range(count)]


def test_clustered_equals_the_t_interval_when_every_image_is_asked_once():
    shares = np.random.default_rng(0).normal(50, 10, 40)
    found = clustered(shares, names(40))
    low, high = reference.t.interval(0.95, 39, shares.mean(), reference.sem(shares))
    assert (found.low, found.high) == pytest.approx((low, high))


def test_copied_questions_add_no_information():
    shares = np.random.default_rng(1).normal(50, 10, 30)
    once = clustered(shares, names(30))
    thrice = clustered(np.repeat(shares, 3), names(90, per_image=3))
    assert thrice.error == pytest.approx(once.error)
    assert thrice.clusters == 30


def test_by_hand():
    # residuals -50, 50: sqrt(2 / 1 * (2500 + 2500)) / 2 = 50
    assert clustered(np.array([0.0, 100.0]), ["a", "b"]).error == pytest.approx(50)


def test_one_image_gives_no_interval():
    with pytest.raises(ValueError, match="two images"):
        clustered(np.ones(3), ["a"] * 3)


def test_bootstrap_of_several_seeds_is_that_of_each():
    rng = np.random.default_rng(7)
    shares, positive, images = rng.normal(0, 1, (3, 30)), rng.random(30) < 0.5, names(30, per_image=2)
    drawn = resample(images, repetitions=50)
    for metric in ("mrr", "auc"):
        together = replicates(metric, shares, positive, images, drawn)
        apart = [replicates(metric, line, positive, images, drawn) for line in shares]
        assert together == pytest.approx(np.stack(apart, axis=1), nan_ok=True)


def test_bootstrap_agrees_with_the_clustered_error():
    shares = np.random.default_rng(4).normal(50, 10, 300)
    images = names(300, per_image=3)
    drawn = replicates("mrr", shares, NONE, images, resample(images))
    expected = clustered(shares, images).error
    assert percentile(shares.mean(), drawn, 100).error == pytest.approx(expected, rel=0.06)


def test_bootstrap_is_repeatable_and_paired_between_datasets():
    first, second = resample(["a", "b", "c"]), resample(["c", "b", "a", "a"])
    assert (first.counts == second.counts).all()
    assert (first.weights(["c", "a"])[:, 1] == first.weights(["a"])[:, 0]).all()


def test_auc_with_weights_equals_auc_of_repeated_examples():
    margins, positive = np.array([2.0, 0.5, 1.0, 0.0]), np.array([True, True, False, False])
    assert value_of("auc", margins, positive) == 75
    drawn = resample("abcd", repetitions=50)
    values = replicates("auc", margins, positive, list("abcd"), drawn)
    for counts, value in zip(drawn.counts, values, strict=True):
        repeated, labels = np.repeat(margins, counts), np.repeat(positive, counts)
        if labels.any() and not labels.all():
            assert value == pytest.approx(value_of("auc", repeated, labels))
        else:
            assert np.isnan(value)


def test_weighted_auc_is_scikit_learns():
    rng = np.random.default_rng(9)
    positive = rng.random(60) < 0.4
    margins = np.round(rng.normal(positive * 1.0, 1.0), 1)  # with ties
    drawn = resample(names(60), repetitions=40)
    values = replicates("auc", margins, positive, names(60), drawn)
    for weights, value in zip(drawn.weights(names(60)), values, strict=True):
        assert value == pytest.approx(100 * roc_auc_score(positive, margins, sample_weight=weights))


def test_an_interval_knows_whether_zero_is_outside():
    assert Interval(2, 1, 3, 0.5, 10).excludes_zero
    assert not Interval(2, -1, 5, 1.5, 10).excludes_zero

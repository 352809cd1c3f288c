import numpy as np
import pytest
import statsmodels.api as sm
from scipy import stats as reference
from sklearn.metrics import roc_auc_score

from workbench.report.stats import (
    Interval,
    Variance,
    clustered,
    percentile,
    replicates,
    resample,
    two_way,
    value_of,
    variance,
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


def test_two_way_counts_seeds_where_they_differ():
    rng = np.random.default_rng(2)
    shares = 50 + rng.normal(0, 5, (5, 1)) + rng.normal(0, 1, (5, 200))
    found = two_way(shares, names(200))
    by_seed = reference.sem(shares.mean(1))
    assert found.error == pytest.approx(by_seed, rel=0.05)
    assert found.clusters == 5
    with pytest.raises(ValueError, match="two seeds"):
        two_way(shares[:1], names(200))


def test_two_way_by_hand():
    # cells -1 1 / -1 1 (times 10): by image 2/1 * (20^2 + 20^2) = 1600, by seed 0, by cell 4/3 * 400;
    # 1600 + 0 - 533 is below the images' own 1600, which is kept: 40 / 4
    found = two_way(np.array([[40.0, 60.0], [40.0, 60.0]]), ["a", "b"])
    assert found.error == pytest.approx(10)


def test_two_way_covers_the_truth_as_often_as_it_says():
    rng = np.random.default_rng(3)
    hits = 0
    for _ in range(200):
        shares = rng.normal(0, 1, (5, 1)) + rng.normal(0, 8, (1, 60)) + rng.normal(0, 8, (5, 60))
        found = two_way(shares, names(60))
        hits += found.low <= 0 <= found.high
    assert hits >= 184


def test_the_three_clusterings_are_those_of_statsmodels():
    rng = np.random.default_rng(5)
    shares = rng.normal(0, 2, (4, 1)) + rng.normal(0, 3, (1, 60)) + rng.normal(0, 5, (4, 60))
    image, seed = np.tile(np.arange(60) // 3, 4), np.repeat(np.arange(4), 60)
    found = variance(shares, names(60, per_image=3))
    regression = sm.OLS(shares.ravel(), np.ones((240, 1)))
    for groups, ours in ((seed, found.by_seed), (image, found.by_image), (20 * seed + image, found.by_cell)):
        # statsmodels multiplies by (N - 1) / (N - 1 parameter) as well, which is 1
        fitted = regression.fit(cov_type="cluster", cov_kwds={"groups": groups})
        assert ours == pytest.approx(fitted.bse[0] ** 2)


def test_two_way_is_statsmodels_two_way_where_neither_source_is_alone():
    rng = np.random.default_rng(6)
    shares = rng.normal(0, 3, (5, 1)) + rng.normal(0, 9, (1, 40)) + rng.normal(0, 3, (5, 40))
    groups = np.stack([np.repeat(np.arange(5), 40), np.tile(np.arange(40), 5)], axis=1)
    fitted = sm.OLS(shares.ravel(), np.ones((200, 1))).fit(cov_type="cluster", cov_kwds={"groups": groups})
    assert two_way(shares, names(40)).error == pytest.approx(fitted.bse[0])


def test_freedom_goes_from_seeds_to_images():
    assert Variance(4, 1, 1, seeds=3, images=101).freedom == pytest.approx(2)
    assert Variance(0, 4, 1, seeds=3, images=101).freedom == pytest.approx(100)
    # halves: 1 / (.5 / 2 + .5 / 100)
    assert Variance(2, 2, 0, seeds=3, images=101).freedom == pytest.approx(1 / 0.255)
    assert Variance(float("nan"), 4, 4, seeds=1, images=101).freedom == 100


@pytest.mark.parametrize("share", [0.5, 0.75, 0.9])
def test_three_seeds_find_nothing_where_there_is_nothing(share):
    """Whatever part of the error the seeds make; Satterthwaite's own weights miss up to 8 %."""
    rng = np.random.default_rng(8)
    seed = np.sqrt(share / (1 - share) * 3 / 100)  # that of an image is 1
    missed = 0
    for _ in range(3000):
        shares = rng.normal(0, seed, (3, 1)) + rng.normal(0, 1, (1, 100))
        found = two_way(shares, names(100))
        missed += not found.low <= 0 <= found.high
    assert 0.02 < missed / 3000 < 0.065


def test_the_error_never_falls_below_one_source():
    assert Variance(4, 1, 3, seeds=3, images=9).total == 4
    assert Variance(1, 4, 3, seeds=3, images=9).total == 4
    assert Variance(float("nan"), 4, 4, seeds=1, images=9).total == 4


def test_more_seeds_shrink_their_part_only():
    seen = Variance(6, 5, 1, seeds=3, images=101)
    # the images' part (5 - 1) * 3 / 2 = 6 stays
    assert seen.at(9).total == pytest.approx(6 * 3 / 9 + 6)
    with pytest.raises(ValueError, match="train two"):
        Variance(float("nan"), 4, 4, seeds=1, images=9).at(3)


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

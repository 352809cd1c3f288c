import numpy as np
import pytest
from scipy import stats as reference

from workbench.report.statistics.effects import Effect, Paired, effect
from workbench.report.statistics.intervals import clustered, resample, value_of
from workbench.report.statistics.variance import Variance, variance


def names(count, per_image=1):
    return [f"image{n // per_image}" for n in range(count)]


def arms(seeds=4, count=120, gap=0.0, seed=0):
    rng = np.random.default_rng(seed)
    shared = 50 + rng.normal(0, 10, (1, count))
    one, other = (shared + rng.normal(0, 2, (seeds, 1)) + rng.normal(0, 5, (seeds, count)) for _ in range(2))
    return one + gap, other


def values(first, second):
    return Effect(np.array(first, float), np.array(second, float), Variance(1, 1, 1, len(first), 50))


def test_a_mean_has_the_two_way_interval_of_the_differences():
    first, second = arms(gap=3)
    found = effect([Paired("exact_match", first, second, names(120, 2))])
    expected = variance(first - second, names(120, 2)).interval(float((first - second).mean()))
    assert (found.interval.low, found.interval.high) == pytest.approx((expected.low, expected.high))
    assert found.value == pytest.approx((first - second).mean())
    assert found.first == pytest.approx(first.mean(1))


def test_one_seed_has_the_interval_over_images():
    first, second = arms(seeds=1)
    found = effect([Paired("exact_match", first, second, names(120, 2))])
    alone = clustered(first[0] - second[0], names(120, 2))
    assert found.interval.clusters == alone.clusters == 60
    assert (found.interval.low, found.interval.high) == pytest.approx((alone.low, alone.high))


def test_with_one_seed_and_one_question_to_an_image_it_is_the_paired_t_test():
    first, second = arms(seeds=1, gap=1)
    found = effect([Paired("exact_match", first, second, names(120))])
    assert found.p == pytest.approx(reference.ttest_rel(first[0], second[0]).pvalue)


def test_with_nothing_but_seeds_it_is_the_paired_t_test_over_seeds():
    rng = np.random.default_rng(1)
    first, second = (np.repeat(50 + rng.normal(0, 2, (5, 1)), 30, axis=1) for _ in range(2))
    found = effect([Paired("exact_match", first, second, names(30))])
    assert found.p == pytest.approx(reference.ttest_rel(first[:, 0], second[:, 0]).pvalue)


def test_p_is_below_5_percent_where_the_interval_excludes_zero():
    for seed in range(30):
        first, second = arms(gap=3, seed=seed)
        found = effect([Paired("exact_match", first, second, names(120))])
        assert (found.p < 0.05) == found.interval.excludes_zero


def test_the_bootstrap_finds_the_same_three_variances_for_a_mean():
    first, second = arms(seeds=3, count=300)
    exact = effect([Paired("exact_match", first, second, names(300, 2))]).variance
    drawn = effect([Paired("mrr", first, second, names(300, 2))]).variance
    assert drawn.by_seed == pytest.approx(exact.by_seed)
    assert drawn.by_image == pytest.approx(exact.by_image, rel=0.1)
    assert drawn.by_cell == pytest.approx(exact.by_cell, rel=0.1)


def test_the_bootstrap_finds_the_same_residual_where_seeds_are_loud():
    rng = np.random.default_rng(3)
    first = rng.normal(0, 5, (4, 1)) + rng.normal(0, 3, (1, 40)) + rng.normal(0, 6, (4, 40))
    pairs = [Paired(metric, first, np.zeros((4, 40)), names(40)) for metric in ("exact_match", "mrr")]
    exact, drawn = (effect([pair], resample(names(40), 50_000)).variance for pair in pairs)
    assert drawn.by_cell == pytest.approx(exact.by_cell, rel=0.02)
    assert drawn.residual == pytest.approx(exact.residual, rel=0.05)
    assert drawn.share == pytest.approx(exact.share, rel=0.02)


def test_auc_and_its_variances_are_those_of_the_arms_values():
    rng = np.random.default_rng(2)
    positive = np.arange(200) % 2 == 0
    first, second = (np.where(positive, 1.0, 0) + rng.normal(0, 1, (3, 200)) for _ in range(2))
    found = effect([Paired("auc", first, second, names(200), positive)])
    by_hand = [value_of("auc", line, positive) for line in first]
    assert found.first == pytest.approx(by_hand)
    assert found.variance.by_seed == pytest.approx((found.first - found.second).var(ddof=1) / 3)
    # of one AUC .76 with 100 + 100 (Hanley and McNeil 1982) 3.3 points; both arms, three seeds: x sqrt(2 / 3)
    assert found.variance.by_cell**0.5 == pytest.approx(3.3 * (2 / 3) ** 0.5, rel=0.1)


def test_an_average_counts_every_dataset_the_same():
    first, second = arms(gap=4)
    small = Paired("exact_match", first[:, :20], second[:, :20], names(20))
    large = Paired("cider", first, second, names(120))
    parts = [effect([small]).value, effect([large]).value]
    assert effect([small, large]).value == pytest.approx(np.mean(parts))


def test_datasets_of_the_same_images_add_less_than_datasets_of_others():
    first, second = arms(seeds=2, count=200)
    here = Paired("mrr", first, second, names(200))
    there = Paired("mrr", first, second, [f"other {name}" for name in names(200)])
    once, same, other = (effect(pairs).variance for pairs in ([here], [here, here], [here, there]))
    assert same.by_image == pytest.approx(once.by_image)
    assert other.by_image == pytest.approx(once.by_image / 2, rel=0.1)
    assert other.images == 400


def test_given_draws_make_it_repeatable():
    first, second = arms()
    pairs = [Paired("mrr", first, second, names(120))]
    assert effect(pairs).variance == effect(pairs, resample([*names(120)])).variance


def test_identical_arms_differ_by_nothing():
    first, _ = arms()
    for metric in ("exact_match", "mrr"):
        found = effect([Paired(metric, first, first, names(120))])
        assert (found.value, found.p, found.improvement) == (0, 1, 0.5)
        assert np.isnan(found.standardised)


def test_standardised_by_hand():
    # differences 1, 2, 3: mean 2, deviation 1
    assert values([2, 4, 6], [1, 2, 3]).standardised == pytest.approx(2)
    assert np.isnan(values([2], [1]).standardised)


def test_improvement_by_hand():
    # of nine pairs 2 wins against 1 and ties with 2, 4 wins two, 6 wins all
    found = values([2, 4, 6], [1, 2, 5])
    assert found.improvement == pytest.approx((1.5 + 2 + 3) / 9)
    u = reference.mannwhitneyu(found.first, found.second).statistic
    assert found.improvement == pytest.approx(u / 9)
    assert np.isnan(values([2], [1]).improvement)


@pytest.mark.parametrize(
    ("change", "remedy"),
    [
        ({"second": np.ones((3, 4))}, "keep the seeds that both arms have"),
        ({"images": ["a"]}, "need an image each"),
        ({"first": np.full((2, 4), np.nan)}, "evaluate its run again"),
        ({"metric": "auc"}, "a label for each example"),
        ({"metric": "auc", "positive": np.ones(4, bool)}, "both labels"),
    ],
)
def test_arms_that_are_no_pair_are_refused(change, remedy):
    given = {"metric": "mrr", "first": np.ones((2, 4)), "second": np.ones((2, 4)), "images": [*"abcd"]}
    with pytest.raises(ValueError, match=remedy):
        Paired(**given | change)


def test_what_cannot_be_averaged_is_refused():
    first, second = arms()
    pair, fewer = (Paired("mrr", first[:s], second[:s], names(120)) for s in (4, 3))
    for pairs in ([], [pair, fewer]):
        with pytest.raises(ValueError, match="the same seeds on all"):
            effect(pairs)
    for metric in ("mrr", "exact_match"):
        with pytest.raises(ValueError, match="two images"):
            effect([Paired(metric, first, second, ["a"] * 120)])
    lone = Paired("auc", first[:, :2], second[:, :2], ["a", "b"], np.array([True, False]))
    with pytest.raises(ValueError, match="too few images for AUC"):
        effect([lone])

import numpy as np
import pytest
import statsmodels.api as sm
from scipy import stats as reference

from workbench.report.statistics.variance import Variance, variance


def names(count, per_image=1):
    return [f"image{n // per_image}" for n in range(count)]


def two_way(shares, images):
    return variance(shares, images).interval(float(shares.mean()))


def test_two_way_counts_seeds_where_they_differ():
    rng = np.random.default_rng(2)
    shares = 50 + rng.normal(0, 5, (5, 1)) + rng.normal(0, 1, (5, 200))
    found = two_way(shares, names(200))
    by_seed = reference.sem(shares.mean(1))
    assert found.error == pytest.approx(by_seed, rel=0.05)
    assert found.clusters == 5


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


def test_the_residual_is_what_seed_and_image_do_together():
    rng = np.random.default_rng(9)
    shares = rng.normal(0, 3, (400, 1)) + rng.normal(0, 9, (1, 400)) + rng.normal(0, 40, (400, 400))
    found = variance(shares, names(400))
    assert found.residual == pytest.approx(1600 / 400**2, rel=0.05)
    assert found.common == pytest.approx(81 / 400, rel=0.15)


def test_the_share_of_few_seeds_is_their_own_part():
    assert Variance(4, 1, 1 / 3, seeds=3, images=101).share == pytest.approx(4 / (4 + 1 - 1 / 3))
    assert Variance(0, 4, 4 / 3, seeds=3, images=101).share == 0
    # images alike, seeds alike: by_seed is the residual, of which two fifths are known from many cells
    assert Variance(1, 1, 1, seeds=3, images=101).share == pytest.approx(0.6)
    assert Variance(float("nan"), 4, 4, seeds=1, images=101).share == 0


def test_p_and_interval_are_of_t_where_one_source_is_alone():
    only_seeds, only_images = Variance(4, 0, 0, 5, 101), Variance(float("nan"), 4, 4, 1, 101)
    for seen, freedom in ((only_seeds, 4), (only_images, 100)):
        assert seen.p(5.0) == pytest.approx(2 * reference.t.sf(2.5, freedom))
        found = seen.interval(7.0)
        assert found.high - 7 == pytest.approx(2 * reference.t.isf(0.025, freedom))
        assert seen.p(found.high - 7) == pytest.approx(0.05)


def test_p_is_five_percent_at_the_end_of_the_interval():
    for seen in (Variance(4, 1, 1, 3, 101), Variance(1, 2, 0.6, 5, 50)):
        assert seen.p(seen.interval(7.0).high - 7) == pytest.approx(0.05)


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
    seen = Variance(6, 5, 2, seeds=3, images=101)
    # residual (302 * 2 - 2 * 6 - 100 * 5) / (2 * 100) = .46; the images' 4.54 stay
    more = seen.at(9)
    assert (more.residual, more.common) == pytest.approx((0.46 / 3, 4.54))
    assert more.by_seed == pytest.approx(2)
    assert seen.at(3) == seen
    with pytest.raises(ValueError, match="train two"):
        Variance(float("nan"), 4, 4, seeds=1, images=9).at(3)

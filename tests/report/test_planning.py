from dataclasses import replace

import numpy as np
import pytest
from scipy import stats as reference
from statsmodels.stats.power import TTestPower

from workbench.report.statistics.planning import detectable, power, seeds_needed
from workbench.report.statistics.variance import Variance

SEEDS_ALONE = Variance(by_seed=1.0, by_image=0.0, by_cell=0.0, seeds=4, images=400)
MIXED = Variance(by_seed=1.0, by_image=0.6, by_cell=0.3, seeds=3, images=400)


@pytest.mark.parametrize("count", [3, 5, 10, 200])
def test_power_is_that_of_the_one_sample_t_test_where_images_do_not_matter(count):
    for effect in (0.3, 1.0):
        # theirs counts findings on the wrong side of zero as well
        both = TTestPower().power(effect, count, 0.05)
        wrong = reference.nct.cdf(reference.t.ppf(0.025, count - 1), count - 1, effect * count**0.5)
        seen = Variance(1 / count, 0.0, 0.0, seeds=count, images=400)
        assert power(effect, seen) == pytest.approx(both - wrong, abs=1e-6)


def test_power_of_one_seed_is_that_of_its_images():
    both = TTestPower().power(0.3, 100, 0.05)
    one = Variance(float("nan"), 0.01, 0.01, seeds=1, images=100)
    assert power(0.3, one) == pytest.approx(both, abs=1e-4)


@pytest.mark.parametrize("alpha", [0.05, 0.0125])
@pytest.mark.parametrize("seen", [MIXED, Variance(0.5, 1.0, 0.5, 5, 200)])
def test_power_is_how_often_such_studies_find_the_effect(seen, alpha):
    rng, effect = np.random.default_rng(4), 3.0
    drawn = seen.by_seed * rng.chisquare(seen.seeds - 1, 4000) / (seen.seeds - 1)
    values = rng.normal(effect, seen.error, 4000)
    studies = [replace(seen, by_seed=float(by_seed)) for by_seed in drawn]
    found = [one.p(value) <= alpha and value > 0 for one, value in zip(studies, values, strict=True)]
    assert power(effect, seen, alpha) == pytest.approx(np.mean(found), abs=0.025)


def test_detectable_is_what_power_finds_80_percent_of_the_time():
    one = Variance(float("nan"), 1.0, 1.0, seeds=1, images=10**6)
    alone = [Variance(1.7**2, 0.0, 0.0, seeds, images=400) for seeds in (2, 3, 5, 10, 301)]
    for seen in (MIXED, one, *alone):
        for alpha in (0.05, 0.005):
            assert power(detectable(seen, alpha), seen, alpha) == pytest.approx(0.8)
    # with endless freedom 1.96 + 0.84 errors
    assert detectable(one) == pytest.approx(1.960 + 0.842, abs=0.001)


def test_fewer_seeds_than_needed_are_too_few():
    needed = seeds_needed(3.0, MIXED)
    chances = [power(3.0, MIXED.at(seeds)) for seeds in (needed - 1, needed)]
    assert chances[0] < 0.8 <= chances[1]


def test_more_seeds_find_more():
    for seen in (MIXED, Variance(0.3, 0.9, 0.4, 3, 100), Variance(0.0, 1.0, 0.4, 5, 100)):
        for effect in (1.0, 2.0, 4.0):
            chances = [power(effect, seen.at(seeds)) for seeds in range(3, 40)]
            assert (np.diff(chances) > -1e-3).all()


def test_an_effect_that_takes_too_many_seeds_is_called_that():
    with pytest.raises(ValueError, match="need more than 1000 seeds"):
        seeds_needed(0.05, SEEDS_ALONE)


def test_needed_seeds_are_those_of_the_t_test_where_images_do_not_matter():
    theirs = TTestPower().solve_power(effect_size=3 / 2, alpha=0.05, power=0.8)  # 2 points a seed
    assert seeds_needed(3.0, SEEDS_ALONE) == int(np.ceil(theirs))


def test_too_few_images_are_named_as_such():
    seen = Variance(by_seed=1.0, by_image=4.0, by_cell=1.0, seeds=4, images=400)  # 4 squared points stay
    with pytest.raises(ValueError, match=r"on 400 images; test on about 3\d{3} images"):
        seeds_needed(2.0, seen)


def test_nothing_is_planned_from_one_seed_or_for_no_effect():
    with pytest.raises(ValueError, match="train two"):
        seeds_needed(2.0, Variance(float("nan"), 1, 1, seeds=1, images=100))
    with pytest.raises(ValueError, match="swap the arms"):
        power(0.0, SEEDS_ALONE)


def test_without_any_variance_everything_is_seen():
    seen = Variance(0, 0, 0, seeds=3, images=10)
    assert (power(1, seen), detectable(seen), seeds_needed(0.1, seen)) == (1, 0, 3)

import numpy as np
import pytest
from scipy import stats as reference
from scipy.integrate import quad

from workbench.report.statistics.behrens_fisher import critical, criticals, two_sided


@pytest.mark.parametrize("images", [1, 8, 99])
@pytest.mark.parametrize("seeds", [1, 2, 4, 9])
def test_it_is_t_where_one_part_is_all_of_the_error(seeds, images):
    for ratio in (0.3, 2.0, 12.0):
        assert two_sided(ratio, 0, seeds, images) == 2 * reference.t.sf(ratio, images)
        for share, alone in ((1e-18, images), (1 - 1e-15, seeds)):
            expected = 2 * reference.t.sf(ratio, alone)
            assert two_sided(ratio, share, seeds, images) == pytest.approx(expected, rel=1e-5, abs=1e-8)


@pytest.mark.parametrize("share", [0.1, 0.4, 0.8])
def test_it_is_the_sum_of_two_t(share):
    rng = np.random.default_rng(2)
    draws = np.sqrt(share) * rng.standard_t(2, 10**6) + np.sqrt(1 - share) * rng.standard_t(60, 10**6)
    for ratio in (1.0, 2.5, 6.0):
        assert two_sided(ratio, share, 2, 60) == pytest.approx(np.mean(np.abs(draws) > ratio), rel=0.02)


def test_it_is_the_convolution_of_two_t_densities():
    one, other = 0.3**0.5, 0.7**0.5
    for ratio in (0.5, 2.0, 5.0):

        def density(part, ratio=ratio):
            return reference.t.pdf(part, 7) * reference.t.sf((ratio - other * part) / one, 3)

        above, _ = quad(density, -np.inf, np.inf)
        assert two_sided(ratio, 0.3, 3, 7) == pytest.approx(2 * above, rel=1e-6)


@pytest.mark.parametrize("alpha", [0.2, 0.05, 0.0125, 0.0001])
def test_critical_is_where_two_sided_is_alpha(alpha):
    for share in (0.0, 0.03, 0.5, 1.0):
        for seeds in (1, 2, 9):
            assert two_sided(critical(alpha, share, seeds, 99), share, seeds, 99) == pytest.approx(alpha)


@pytest.mark.parametrize(("seeds", "close"), [(1, 4e-3), (2, 1e-4), (9, 1e-4)])
def test_many_critical_values_at_once_are_the_same(seeds, close):
    shares = np.concatenate([[0.0], np.logspace(-7, 0, 40), 1 - np.logspace(-7, -1, 20)])
    single = [critical(0.0125, share, seeds, 99) for share in shares]
    assert criticals(0.0125, seeds, 99)(shares) == pytest.approx(single, rel=close)


def test_no_distance_is_always_exceeded():
    for images in range(8, 60):
        assert 1 - 1e-12 < two_sided(0.0, 0.3, 4, images) <= 1

import numpy as np
import pytest
from statsmodels.stats.multitest import multipletests

from workbench.report.statistics.multiple import benjamini_hochberg, holm


def test_holm_by_hand():
    # .01 x 3, then max(.03, .02 x 2), then max(.04, .04)
    assert holm([0.04, 0.01, 0.02]) == pytest.approx([0.04, 0.03, 0.04])


def test_benjamini_hochberg_by_hand():
    # .01 x 3, min(.02 x 3 / 2, .04), .04
    assert benjamini_hochberg([0.04, 0.01, 0.02]) == pytest.approx([0.04, 0.03, 0.03])


@pytest.mark.parametrize("count", [1, 2, 7, 40])
def test_both_agree_with_statsmodels(count):
    values = np.random.default_rng(count).beta(0.3, 1, count).round(2)  # ties too
    assert holm(values) == pytest.approx(multipletests(values, method="holm")[1])
    assert benjamini_hochberg(values) == pytest.approx(multipletests(values, method="fdr_bh")[1])


def test_no_test_needs_no_adjustment():
    assert len(holm([])) == len(benjamini_hochberg([])) == 0


@pytest.mark.parametrize("value", [-0.1, 1.1, float("nan")])
def test_what_is_no_probability_is_refused(value):
    for adjust in (holm, benjamini_hochberg):
        with pytest.raises(ValueError, match="leave out what was not tested"):
            adjust([0.5, value])

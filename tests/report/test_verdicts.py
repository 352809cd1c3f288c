import numpy as np
import pytest
from statsmodels.stats.weightstats import ttost_paired

from workbench.report.statistics.effects import Effect, Paired, effect
from workbench.report.statistics.planning import detectable
from workbench.report.statistics.variance import Variance
from workbench.report.study.verdicts import Claim, judge, tost


def measured(value, error, seeds=5, images=200):
    """An effect whose error comes from seeds alone: t(S - 1)."""
    first = value + np.linspace(-1, 1, seeds) if seeds > 1 else np.array([value])
    variance = Variance(error**2, error**2 if seeds == 1 else 0.0, 0.0, seeds, images)
    return Effect(first, np.zeros(seeds), variance)


def claim(value, error, seeds=5, smallest=None, name="aware"):
    return Claim(name, "aware", "unaware", measured(value, error, seeds), smallest)


@pytest.mark.parametrize(
    ("value", "error", "smallest", "word"),
    [
        (3.0, 1.0, 1.0, "supported"),  # t = 3 with 4: p = .040
        (-3.0, 1.0, 1.0, "refuted"),
        (2.5, 1.0, 1.0, "inconclusive"),  # p = .067
        (0.2, 0.3, 1.0, "equivalent"),  # (1 - .2) / .3 = 2.67: p = .028
        (0.2, 0.3, None, "inconclusive"),
        (0.2, 0.4, 1.0, "inconclusive"),  # 2: p = .058
        (0.5, 0.1, 1.0, "supported"),  # both; a difference is a difference
    ],
)
def test_the_four_verdicts(value, error, smallest, word):
    assert judge([claim(value, error, smallest=smallest)], "primary")[0].word == word


@pytest.mark.parametrize(("value", "smallest"), [(9.0, None), (-9.0, None), (0.1, 5.0)])
def test_one_seed_is_exploratory_at_most(value, smallest):
    (found,) = judge([claim(value, 1.0, seeds=1, smallest=smallest)], "primary")
    assert found.word == "exploratory"
    assert "one seed says nothing about other trainings" in found.sentence
    assert judge([claim(0.1, 1.0, seeds=1)], "primary")[0].word == "inconclusive"


def test_two_seeds_are_exploratory_at_most():
    (found,) = judge([claim(50.0, 1.0, seeds=2)], "primary")
    assert (found.word, found.adjusted < 0.05) == ("exploratory", True)
    assert "two seeds say too little" in found.sentence
    assert judge([claim(50.0, 1.0, seeds=3)], "primary")[0].word == "supported"


def test_what_was_not_claimed_beforehand_is_exploratory():
    (found,) = judge([claim(9.0, 1.0)], "exploratory")
    assert found.word == "exploratory"
    assert "not a primary claim" in found.sentence


def test_a_larger_family_asks_for_more():
    alone = judge([claim(3.0, 1.0)], "primary")
    among = judge([claim(3.0, 1.0), claim(0.0, 1.0, name="other")], "primary")
    assert [alone[0].word, among[0].word] == ["supported", "inconclusive"]
    assert among[0].p == alone[0].p
    assert among[0].adjusted == pytest.approx(2 * alone[0].p)
    assert among[0].detectable == pytest.approx(detectable(measured(3.0, 1.0).variance, 0.05 / 2))


def test_equivalence_is_adjusted_among_the_claims_that_have_a_smallest_effect():
    family = [claim(0.2, 0.3, smallest=1.0), claim(0.2, 0.3, name="no bound")]
    found = judge(family, "primary")
    assert found[0].equivalence == pytest.approx(tost(family[0].effect, 1.0))
    assert np.isnan(found[1].equivalence)
    twice = judge([family[0], claim(0.5, 0.3, smallest=1.0, name="other")], "primary")
    assert twice[0].word == "inconclusive"


def test_tost_is_that_of_statsmodels():
    rng = np.random.default_rng(0)
    first, second = rng.normal(0, 3, (2, 1, 80))
    found = effect([Paired("exact_match", first, second, [f"{n}" for n in range(80)])])
    for bound in (0.3, 1.0, 2.0):
        assert tost(found, bound) == pytest.approx(ttost_paired(first[0], second[0], -bound, bound)[0])


def test_tost_is_significant_exactly_where_the_90_percent_interval_is_within():
    assert tost(measured(0, 1.0), 2.131) == pytest.approx(0.05, abs=1e-4)  # t(4) at .95 is 2.132


def test_everything_a_table_wants_is_there():
    (found,) = judge([claim(3.0, 1.0, smallest=0.5)], "primary")
    assert found.effect.value == pytest.approx(3)
    assert (found.effect.low, found.effect.high) == pytest.approx((3 - 2.776, 3 + 2.776), abs=1e-3)
    assert found.standardised == pytest.approx(3 / np.linspace(-1, 1, 5).std(ddof=1))
    assert (found.improvement, found.seeds, found.images) == (1, 5, 200)


def test_sentences_say_what_came_out():
    def say(*given, **named):
        return judge([claim(*given, **named)], "primary")[0].sentence

    assert say(3.0, 1.0) == (
        "aware minus unaware: +3.0 points [0.2, 5.8], 5 seeds, 200 images, p = 0.040 after Holm. "
        "Supported: above zero."
    )
    assert say(-3.0, 1.0).endswith("Refuted: below zero.")
    assert say(0.5, 0.1, smallest=1.0).endswith("Supported: above zero, though within ±1.0 points.")
    assert say(0.2, 0.3, smallest=1.0).endswith(
        "Equivalent: the difference is within ±1.0 points (p = 0.028)."
    )
    assert "a true effect of 3.8 points would be found 80 % of the time" in say(2.5, 1.0)
    assert "p < 0.001" in say(30.0, 1.0)


@pytest.mark.parametrize("smallest", [0.0, -1.0, float("nan"), float("inf")])
def test_a_smallest_effect_that_is_none_is_refused(smallest):
    with pytest.raises(ValueError, match=r"correct it in study\.py"):
        claim(1.0, 1.0, smallest=smallest)


def test_a_claim_is_counted_once():
    with pytest.raises(ValueError, match="aware is twice"):
        judge([claim(1.0, 1.0), claim(2.0, 1.0)], "primary")


def test_an_empty_family_has_no_verdicts():
    assert judge([], "primary") == judge([], "exploratory") == []

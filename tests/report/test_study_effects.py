import math
import re

import pytest
from study_outputs import write_study

from workbench.report.statistics.intervals import value_of
from workbench.report.study.collected import read_study
from workbench.report.study.effects import comparisons, find, frame
from workbench.report.study.power import needed


@pytest.fixture(scope="module")
def found(toy):
    return find(read_study(toy))


def by_name(found):
    return {judged.declared.name: judged for judged in found.claims}


def test_a_known_effect_is_found_with_its_sign_and_verdict(found):
    helps = by_name(found)["text helps <held-out>"]
    assert helps.verdict.word == "supported"
    assert helps.verdict.effect.low > 0
    assert helps.verdict.adjusted >= helps.verdict.p
    assert (helps.sign, helps.size) == ("same", "below")
    assert helps.verdict.improvement == 1.0


def test_a_secondary_claim_is_exploratory_and_its_sign_is_told_as_it_falls(found):
    wrong = by_name(found)["the wrong way round"]
    assert (wrong.family, wrong.verdict.word, wrong.sign) == ("secondary", "exploratory", "opposite")
    assert wrong.verdict.effect.value < 0


def test_nothing_is_supported_where_there_is_nothing(found, tmp_path):
    assert by_name(found)["no better twin"].verdict.word != "supported"
    same = dict.fromkeys(("full", "drop", "twin"), (0.6, 0.5))
    none = find(read_study(write_study(tmp_path, skills=same)))
    assert "supported" not in {judged.verdict.word for judged in none.claims}
    assert {one.verdict.word for one in none.datasets} <= {"inconclusive", "exploratory"}


def test_one_seed_is_exploratory(tmp_path):
    found = find(read_study(write_study(tmp_path, seeds=(101,), examples=30)))
    helps = by_name(found)["text helps <held-out>"].verdict
    assert (helps.word, helps.seeds) == ("exploratory", 1)
    assert math.isnan(helps.standardised)


def test_degrees_of_freedom_of_seeds_alone_make_p_larger(found):
    # near p = 1 the two cross
    clear = [judged.verdict for judged in found.claims if judged.verdict.p < 0.3]
    assert len(clear) == 3
    assert all(verdict.careful >= verdict.adjusted for verdict in clear)
    for verdict in (judged.verdict for judged in found.claims):
        assert (verdict.word == "supported") <= (verdict.adjusted <= 0.05)


def test_how_many_seeds_a_claim_needs_is_told_for_the_papers_effect_and_the_smallest(found, tmp_path):
    head, *lines = needed(found)
    assert "80 % of the time" in head
    told = next(line for line in lines if "text helps" in line)
    assert re.search(r"the paper's 5\.4 points: \d+; the smallest of interest, [\d.]+: ", told)
    assert told.endswith("(seen: 101–103)")
    one = needed(find(read_study(write_study(tmp_path, seeds=(101,), examples=30))))
    assert "not known before two seeds of both arms are recorded" in one[1]


def test_every_claim_keeps_its_place_in_the_order_of_study_py(found, toy):
    assert [judged.declared for judged in found.claims] == read_study(toy).claims


def test_claims_without_a_common_seed_have_no_verdict_but_stay_in_the_family(tmp_path, found):
    gone = tuple(f"twin@{seed}" for seed in (101, 102, 103))
    partly = by_name(find(read_study(write_study(tmp_path, missing=gone))))
    assert partly["no better twin"].verdict is None
    full, part = (names["text helps <held-out>"].verdict for names in (by_name(found), partly))
    assert part.adjusted == pytest.approx(min(1, 2 * part.p))
    assert part.detectable == pytest.approx(full.detectable)
    assert part.equivalence >= full.equivalence, "what did not run makes nothing equivalent"


def test_datasets_are_one_exploratory_family_of_all_pairs(found, toy):
    study = read_study(toy)
    assert comparisons(study) == [("full", "drop"), ("full", "twin")]
    assert len(found.datasets) == 2 * 28
    assert {one.verdict.family for one in found.datasets} == {"exploratory"}


def test_an_arms_average_is_that_of_its_scores(found, toy):
    study = read_study(toy)
    average = found.average("full", "held_out")
    shares = [study.pair("full", "drop", name) for name in study.measures["held_out"]]
    means = [value_of(p.metric, line, p.positive) for p in shares for line in p.first]
    assert average.found.value == pytest.approx(sum(means) / len(means))
    assert average.found.low < average.found.value < average.found.high
    assert found.average("none", "held_out") is None


def test_the_table_has_every_claim_and_dataset(found):
    table = frame(found)
    assert table["kind"].value_counts().to_dict() == {"dataset": 56, "primary": 2, "secondary": 2}
    assert table.loc[0, "sign"] == "same"

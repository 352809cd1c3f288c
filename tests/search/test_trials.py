"""Trials: one per slot whoever is killed, pruned by what the stream yields, and never at the last step."""

from __future__ import annotations

from dataclasses import replace

import pytest
from optuna.distributions import FloatDistribution
from optuna.pruners import ThresholdPruner
from optuna.trial import TrialState

from workbench.search.exploration import Exploration
from workbench.search.space import Space
from workbench.tracking import Stopped

X = {"data.exponent": FloatDistribution(0.0, 1.0)}
SPACE = Space(
    X,
    {"data.sampling": "power"},
    first={"paper": {"data.exponent": 0.5}},
    pruner=ThresholdPruner(lower=10.0),
)


@pytest.fixture
def found(tmp_path):
    made = Exploration(tmp_path, "x", SPACE)
    made.prepare()
    return made


def finish(found: Exploration, slot: str) -> float:
    """A training whose validation rises with the exponent."""
    trial = found.begin(slot)
    value = 20 + 10 * trial.params["data.exponent"]
    watch = found.watch(trial, 4)
    for step in (1, 2, 3, 4):
        watch(step, {"loss": 1.0, **({"val": value} if step % 2 == 0 else {})})
    return found.complete(trial, value, {"seconds": 1.5})


def test_the_first_settings_come_first_and_once(found, tmp_path):
    found.prepare()
    assert found.begin("trial000").params == {"data.exponent": 0.5}
    assert found.begin("trial001").params != {"data.exponent": 0.5}
    assert len(found.study.trials) == 2


@pytest.mark.parametrize("ended", [False, True])
def test_a_first_setting_with_other_values_is_another_one(found, tmp_path, ended):
    if ended:
        finish(found, "trial000")
    edited = replace(SPACE, first={"paper": {"data.exponent": 0.25}})
    again = Exploration(tmp_path, "x", edited)
    again.prepare()
    finish(again, "trial001")
    again.prepare()
    assert again.begin("trial002").params["data.exponent"] not in (0.25, 0.5)
    lines = again.frame()[["trial", "first", "data.exponent"]].values.tolist()
    assert lines == [*([["trial000", "", 0.5]] if ended else []), ["trial001", "paper", 0.25]]


def test_a_slot_that_is_taken_again_goes_on_with_its_trial(found, tmp_path):
    finish(found, "trial000")
    first = found.begin("trial001")
    other = Exploration(tmp_path, "x", SPACE)  # another process, after a kill
    other.prepare()
    again = other.begin("trial001")
    assert (again.number, again.params) == (first.number, first.params)
    assert not other.ended("trial001")
    other.complete(again, 30.0, {})
    assert other.ended("trial001")
    assert len(other.study.trials) == 2


def test_a_trial_that_a_kill_left_without_a_slot_is_failed(found, tmp_path):
    found.begin("trial000")
    found.study.ask(dict(X))
    found.prepare()
    assert [trial.state for trial in found.study.trials] == [TrialState.RUNNING, TrialState.FAIL]


@pytest.mark.parametrize("slotless", [False, True])
def test_a_first_setting_that_failed_is_tried_again(found, slotless):
    found.prepare()
    if slotless:  # killed between being asked and getting its slot
        found.study.ask(dict(X))
    else:
        found.fail(found.begin("trial000"))
    found.prepare()
    assert found.begin("trial000").params == {"data.exponent": 0.5}


def test_the_pruner_hears_validations_and_has_no_say_at_the_end(found):
    trial = found.begin("trial000")
    watch = found.watch(trial, 4)
    watch(1, {"loss": 3.0})
    with pytest.raises(Stopped, match="pruned at step 2"):
        watch(2, {"val": 5.0})
    with pytest.raises(Stopped):
        watch(2, {"val": 5.0})  # again, after a kill: it is not told twice
    watch(4, {"val": 6.0})
    assert found.prune(trial) == 6.0
    line = found.frame().iloc[0]
    assert (line["state"], line["val"], line["steps"], line["first"]) == ("pruned", 6.0, 4, "paper")


def test_what_is_found_is_a_table_in_the_order_of_slots(found):
    for number in (1, 0, 2, 3, 4):
        finish(found, f"trial{number:03d}")
    frame = found.frame()
    assert list(frame["trial"]) == [f"trial{number:03d}" for number in range(5)]
    assert list(frame["val"]) == pytest.approx([20 + 10 * x for x in frame["data.exponent"]])
    assert set(frame["seconds"]) == {1.5}


def test_importance_says_which_and_is_none_for_too_few(found):
    finish(found, "trial000")
    assert found.importance() == {"fanova": None, "ped_anova": None}
    for number in range(1, 6):
        finish(found, f"trial{number:03d}")
    shares = found.importance()
    assert shares["fanova"] == {"data.exponent": pytest.approx(1.0)}
    assert set(shares["ped_anova"]) == {"data.exponent"}

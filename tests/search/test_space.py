"""What can be explored, and what is refused before a trial runs."""

from __future__ import annotations

import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

from workbench import code
from workbench.config import Config, load
from workbench.search import space
from workbench.search.space import Space
from workbench.search.study import StudyError

ROOT = code.PACKAGE.parent
EXPONENT = {"data.exponent": FloatDistribution(0.0, 1.0)}
POWER = {"data.sampling": "power"}


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"dimensions": {}}, "SPACE has no dimensions"),
        ({"dimensions": {"data.exponent": (0, 1)}}, "give a FloatDistribution"),
        ({"dimensions": {"train.seed": IntDistribution(1, 9)}}, "except train.seed"),
        ({"dimensions": {"evaluate.num_beams": IntDistribution(1, 9)}}, "sections data, model, train"),
        ({"fixed": {"data.exponent": 0.5}}, "is a dimension and in fixed"),
        ({"dimensions": {"data.exponent": FloatDistribution(0.5, 0.5)}}, "one value, .* put it into fixed"),
        ({"recipe": "instructed"}, "choose one of instruct"),
        ({"seed": 101}, "take one from 1 to 100"),
        ({"first": {"a": {}}}, r"each dimension a value, and no other: \['data.exponent'\]"),
        ({"first": {"a": {"data.exponent": 2.0}}}, "data.exponent is 2.0, outside of"),
        ({"contrasts": {"c": ("a", "b")}}, r"names \['a', 'b'\], which is not in first"),
    ],
)
def test_a_space_that_is_wrong_cannot_be_made(given, says):
    with pytest.raises(StudyError, match=says):
        Space(**{"dimensions": EXPONENT, **given})


def test_a_setting_has_what_is_fixed_the_values_and_the_seed():
    setting = Space(EXPONENT, POWER, seed=7).setting(Config(), {"data.exponent": 0.25})
    assert (setting.data.sampling, setting.data.exponent, setting.train.seed) == ("power", 0.25, 7)


def test_what_identifies_a_space_is_plain():
    made = Space({**EXPONENT, "model.num_query_tokens": CategoricalDistribution((4, 8))}, POWER)
    assert made.to_dict()["dimensions"] == {
        "data.exponent": {"low": 0.0, "high": 1.0, "log": False, "whole": False},
        "model.num_query_tokens": {"choices": [4, 8]},
    }


def test_steps_are_part_of_what_identifies_a_space():
    spaces = [Space({"train.steps": IntDistribution(8, 64, step=step)}) for step in (1, 8)]
    plain, wide = (made.to_dict()["dimensions"]["train.steps"] for made in spaces)
    assert plain == {"low": 8, "high": 64, "log": False, "whole": True}
    assert wide == plain | {"step": 8}


@pytest.mark.parametrize(
    ("source", "says"),
    [
        ("", "it has no SPACE to explore"),
        ("SPACE = Space({'data.exponents': FloatDistribution(0, 1)})", "did you mean 'exponent'"),
        ("SPACE = Space({'data.exponent': FloatDistribution(0, 1)})", "set data.sampling=power as well"),
        ("SPACE = Space({'train.learning_rate': FloatDistribution(-1, 1)})", "has to be above 0"),
    ],
)
def test_a_file_that_is_wrong_is_named(tmp_path, source, says):
    (tmp_path / "x").mkdir()
    imports = "from optuna.distributions import FloatDistribution\nfrom workbench.search.space import Space\n"
    (tmp_path / "x/study.py").write_text(imports + source)
    with pytest.raises(StudyError, match=says) as error:
        space.load(tmp_path / "x", Config())
    assert str(tmp_path / "x/study.py") in str(error.value)


def test_the_space_of_the_repository_is_valid_and_begins_with_the_papers_setting():
    found = space.load(ROOT / "experiments/dataset_weights", load(ROOT / "params.yaml"))
    assert next(iter(found.first)) == "paper"

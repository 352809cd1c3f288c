"""Parameters that are unknown, of the wrong kind or contradict each other are refused with a remedy."""

from __future__ import annotations

import pytest

from workbench import config
from workbench.config import Config, ConfigError, changed


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"model.instruction_awar": True}, "did you mean 'instruction_aware'"),
        ({"modle.start": "x"}, "no section 'modle'"),
        ({"train.steps": "many"}, "train.steps has to be of type int"),
        ({"train.steps": True}, "train.steps has to be of type int"),
        ({"train.steps": 0}, "above 0"),
        ({"train.warmup_steps": 2000}, "longer than train.steps"),
        ({"train.accumulate_steps": 3}, "does not divide"),
        ({"data.sampling": "squareroot"}, "choose one of sqrt, uniform, proportional"),
        ({"data.factors": {"okvqa": -1.0}}, "cannot be negative"),
        ({"data.exponent": 0.7}, "set data.sampling=power as well"),
        ({"data.downstream": "okvqa", "data.held_in": ["vqav2"]}, "both set; empty one"),
        ({"model.unaware_form": "constant"}, "instruction_aware=false as well"),
        ({"train.betas": [0.9]}, "has to hold 2 values"),
        ({"train.betas": [1.5, 0.9]}, "train.betas has 1.5; both have to be 0 or more and below 1"),
        ({"train.warmup_start_rate": -1}, "train.warmup_start_rate is -1.0; it cannot be negative"),
        ({"data.answer_vocabulary": -3}, "data.answer_vocabulary is -3; it has to be above 0"),
        ({"train.learning_rate": float("inf")}, "train.learning_rate is inf; it has to be a finite number"),
        ({"train.learning_rate": "1e999"}, "train.learning_rate is inf"),
        ({"train.weight_decay": float("nan")}, "train.weight_decay is nan; it has to be a finite number"),
        ({"data.sampling": "power", "data.exponent": float("nan")}, "data.exponent is nan"),
        ({"data.factors": {"okvqa": float("inf")}}, r"data\.factors\.okvqa is inf"),
    ],
)
def test_nonsense_is_refused(changes, says):
    with pytest.raises(ConfigError, match=says):
        changed(Config(), changes)


def test_a_change_leaves_the_rest():
    other = changed(Config(), {"model.instruction_aware": False, "model.unaware_form": "constant"})
    assert other.model.unaware_form == "constant"
    assert other.train == Config().train


def test_the_file_is_named(tmp_path):
    path = tmp_path / "params.yaml"
    with pytest.raises(ConfigError, match="run from the repository root"):
        config.load(path)
    path.write_text("train: [")
    with pytest.raises(ConfigError, match=r"params.yaml is not valid YAML"):
        config.load(path)
    path.write_text("train: {learning_rate: 1e-5}")  # YAML 1.1 takes this for text
    assert config.load(path).train.learning_rate == 1e-5


def test_a_config_survives_the_way_through_yaml():
    assert config.parse(Config().to_dict()) == Config()

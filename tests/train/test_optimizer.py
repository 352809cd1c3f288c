import pytest
import torch
from standin import Standin

from workbench.config import Train
from workbench.train.optimizer import adamw


def test_biases_and_norms_are_not_decayed():
    model = Standin()
    optimizer = adamw(model.trainable(), Train(weight_decay=0.05))
    names = {p: name for name, p in model.named_parameters()}
    decays = {names[p]: g["weight_decay"] for g in optimizer.param_groups for p in g["params"]}
    assert decays == {
        "words.weight": 0.05, "project.weight": 0.05,
        "project.bias": 0.0, "norm.weight": 0.0, "norm.bias": 0.0,
    }  # fmt: skip


def test_a_wide_parameter_named_bias_is_not_decayed():
    bias = torch.nn.Parameter(torch.ones(2, 2))
    (group,) = adamw({"attention.bias": bias}, Train()).param_groups
    assert group["weight_decay"] == 0.0
    assert group["betas"] == (0.9, 0.999)


def test_one_step_by_hand():
    matrix = torch.nn.Parameter(torch.full((1, 1), 2.0))
    optimizer = adamw({"w": matrix}, Train(learning_rate=0.1, weight_decay=0.05))
    matrix.grad = torch.full((1, 1), 3.0)
    optimizer.step()  # Adam's first step is the learning rate; the decay is decoupled from it
    assert matrix.item() == pytest.approx(2.0 * (1 - 0.1 * 0.05) - 0.1, rel=1e-6)


def test_nothing_to_train_is_refused():
    with pytest.raises(ValueError, match="no trainable parameters"):
        adamw({}, Train())

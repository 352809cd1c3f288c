"""The paper's models on the meta device: as many trained parameters as LAVIS counts."""

from pathlib import Path

import pytest

from workbench.config import Model
from workbench.model.instructblip import InstructBlip
from workbench.model.sizes import hollow, paper_config

TRAINED = {"flant5xl": 187.3, "flant5xxl": 188.8, "vicuna7b": 188.8, "vicuna13b": 189.6}  # millions
WHOLE = {"flant5xl": 4.02, "flant5xxl": 12.3, "vicuna7b": 7.9, "vicuna13b": 14.2}  # billions, with ViT-g


def built(name: str, **switches) -> InstructBlip:
    hf = hollow(paper_config(name))
    family = "t5" if "t5" in name else "llama"
    return InstructBlip(hf, Model(language_model=family, num_query_tokens=32, **switches), Path())


def count(parameters) -> int:
    return sum(parameter.numel() for parameter in parameters)


@pytest.mark.parametrize("name", TRAINED)
def test_trained_parameters_are_those_of_lavis(name):
    model = built(name)
    assert round(count(model.trainable().values()) / 1e6, 1) == TRAINED[name]
    assert count(model.hf.parameters()) / 1e9 == pytest.approx(WHOLE[name], rel=0.01)
    without = built(name, train_vision_layernorm=False)
    assert count(model.trainable().values()) - count(without.trainable().values()) == 2 * 1408


def test_the_qformer_without_its_text_path_has_105_million():
    whole, dropped = built("flant5xl"), built("flant5xl", instruction_aware=False)
    assert round(count(whole.hf.qformer.parameters()) / 1e6, 2) == 185.66
    assert round(count(dropped.hf.qformer.parameters()) / 1e6, 1) == 105.1

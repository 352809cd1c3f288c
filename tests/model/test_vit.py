"""Which vision encoders fit into InstructBLIP's vision class: what they compute stays, others are refused."""

from __future__ import annotations

import pytest
import torch
from transformers import (
    CLIPVisionConfig,
    CLIPVisionModel,
    Dinov2Config,
    Dinov2Model,
    Dinov2WithRegistersConfig,
    Dinov2WithRegistersModel,
    SiglipVisionConfig,
    SiglipVisionModel,
    ViTConfig,
    ViTModel,
)

from workbench.model.folder import ModelError
from workbench.model.vit import as_instructblip

SIZES = {
    "hidden_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "image_size": 32,
    "patch_size": 16,
}
WIDE = {"intermediate_size": 32}


@pytest.mark.parametrize(
    ("kind", "config"),
    [(ViTModel, ViTConfig(**SIZES, **WIDE)), (Dinov2Model, Dinov2Config(**SIZES, mlp_ratio=2))],
    ids=["vit", "dinov2"],
)
def test_the_last_hidden_states_are_the_models_own(kind, config):
    torch.manual_seed(3)
    model = kind(config).eval()
    with torch.no_grad():
        for parameter in model.parameters():  # layer scales and norms begin as ones, which would hide them
            parameter.copy_(torch.randn_like(parameter) * 0.3)
    pixels = torch.randn(2, 3, 32, 32)
    with torch.no_grad():
        expected = model(pixels).last_hidden_state
        found = as_instructblip(model)(pixels).last_hidden_state
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    "model",
    [
        CLIPVisionModel(CLIPVisionConfig(**SIZES, **WIDE)),
        SiglipVisionModel(SiglipVisionConfig(**SIZES, **WIDE)),
        Dinov2WithRegistersModel(Dinov2WithRegistersConfig(**SIZES, mlp_ratio=2)),
        Dinov2Model(Dinov2Config(**SIZES, mlp_ratio=2, use_swiglu_ffn=True)),
    ],
    ids=["clip", "siglip", "registers", "gated"],
)
def test_what_does_not_fit_is_refused(model):
    with pytest.raises(ModelError, match=r"does not fit .* choose one of type .*vit, dinov2"):
        as_instructblip(model)

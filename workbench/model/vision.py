"""The frozen vision encoder up to where its features are cached."""

from __future__ import annotations

import torch
from torch import Tensor
from transformers import InstructBlipVisionModel


@torch.no_grad()
def encode(vision_model: InstructBlipVisionModel, pixel_values: Tensor) -> Tensor:
    """Encoder output *before* the post layer norm, which is trained (LAVIS ln_vision).

    Args:
        pixel_values: (B, 3, H, W) normalised pixels.

    Returns:
        (B, N, V): the class token and the patches.
    """
    hidden = vision_model.embeddings(pixel_values)
    return vision_model.encoder(inputs_embeds=hidden).last_hidden_state

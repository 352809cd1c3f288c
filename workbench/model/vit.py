"""Vision transformers as the vision class of InstructBLIP, exactly: ViT and DINOv2 beside BLIP's own.

InstructBLIP's class is a plain pre-norm transformer with a class token, which ViT is too. DINOv2 also
scales what attention and feed-forward add; the scale multiplies into the last matrix of each. What has
no class token (SigLIP), a norm ahead of the first layer (CLIP), gated feed-forwards (DINOv2-giant) or
register tokens does not fit and is refused.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from transformers import InstructBlipVisionConfig, InstructBlipVisionModel, PreTrainedModel

from workbench.model.folder import ModelError

BLIP_VISION = ("blip_vision_model", "blip_2_vision_model", "instructblip_vision_model")
KNOWN = (*BLIP_VISION, "vit", "dinov2")
UNUSED = ("pooler.", "embeddings.mask_token")  # weights that a model may lack, since nothing here reads them
PIXELS = 224  # the paper's picture size


@torch.no_grad()
def as_instructblip(model: PreTrainedModel) -> InstructBlipVisionModel:
    """The same encoder as an InstructBlipVisionModel; its post layer norm is the model's last one.

    Args:
        model: a ViTModel, Dinov2Model or BLIP vision model in fp32. One for pictures larger than 224
            pixels gets its position embeddings interpolated, as its own class does it.

    Raises:
        ModelError: for a kind that the class cannot hold.
    """
    given: Any = model.config
    kind = given.model_type
    if kind not in KNOWN or getattr(given, "use_swiglu_ffn", False):
        raise ModelError(
            f"a vision encoder of type {kind} does not fit into InstructBLIP's vision class; "
            f"choose one of type {', '.join(KNOWN)} without gated feed-forwards"
        )
    if kind in BLIP_VISION:
        config = InstructBlipVisionConfig(**{k: v for k, v in given.to_dict().items() if k != "model_type"})
        state = model.state_dict()
    else:
        config = _config(given)
        side: Any = config.image_size
        state = _state(model, side)
    fresh = InstructBlipVisionModel(config)
    fresh.load_state_dict(state)
    return fresh.eval()


def _config(given: Any) -> InstructBlipVisionConfig:
    size = given.image_size
    size = min(PIXELS, size if isinstance(size, int) else max(size))
    wide = getattr(given, "intermediate_size", None) or int(given.hidden_size * given.mlp_ratio)
    return InstructBlipVisionConfig(
        hidden_size=given.hidden_size, intermediate_size=wide, num_hidden_layers=given.num_hidden_layers,
        num_attention_heads=given.num_attention_heads, image_size=size, patch_size=given.patch_size,
        hidden_act=given.hidden_act, layer_norm_eps=given.layer_norm_eps, qkv_bias=given.qkv_bias,
    )  # fmt: skip


def _state(model: Any, size: int) -> dict[str, Tensor]:
    embeddings = model.embeddings
    patches = embeddings.patch_embeddings.projection
    like = patches.weight.new_zeros(1, (size // model.config.patch_size) ** 2 + 1, patches.out_channels)
    state = {
        "embeddings.class_embedding": embeddings.cls_token,
        "embeddings.position_embedding": embeddings.interpolate_pos_encoding(like, size, size),
        "post_layernorm.weight": model.layernorm.weight,
        "post_layernorm.bias": model.layernorm.bias,
    }
    state |= _named("embeddings.patch_embedding", patches.weight, patches.bias)
    blocks = model.layers if model.config.model_type == "vit" else model.encoder.layer
    for i, block in enumerate(blocks):
        state |= {f"encoder.layers.{i}.{name}": tensor for name, tensor in _block(block).items()}
    return state


def _block(block: Any) -> dict[str, Tensor]:
    """One layer; the scales of DINOv2 go into the rows of the matrices that they follow."""
    attention, mlp = block.attention, block.mlp
    scaled = hasattr(block, "layer_scale1")
    first, second = (block.norm1, block.norm2) if scaled else (block.layernorm_before, block.layernorm_after)
    one, two = (block.layer_scale1.lambda1, block.layer_scale2.lambda1) if scaled else (None, None)
    qkv = (attention.q_proj, attention.k_proj, attention.v_proj)
    bias = None if qkv[0].bias is None else torch.cat([part.bias for part in qkv])
    state = _named("self_attn.qkv", torch.cat([part.weight for part in qkv]), bias)
    state |= _named("self_attn.projection", attention.o_proj.weight, attention.o_proj.bias, one)
    state |= _named("mlp.fc1", mlp.fc1.weight, mlp.fc1.bias)
    state |= _named("mlp.fc2", mlp.fc2.weight, mlp.fc2.bias, two)
    state |= _named("layer_norm1", first.weight, first.bias)
    return state | _named("layer_norm2", second.weight, second.bias)


def _named(name: str, weight: Tensor, bias: Tensor | None, scale: Tensor | None = None) -> dict[str, Tensor]:
    if scale is not None:
        weight, bias = weight * scale[:, None], None if bias is None else bias * scale
    return {f"{name}.weight": weight} | ({} if bias is None else {f"{name}.bias": bias})

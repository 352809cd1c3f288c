"""The frozen vision encoder up to its post layer norm, and the pixels it wants."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn
from transformers import InstructBlipVisionConfig, InstructBlipVisionModel

from workbench import code
from workbench.files import canonical, digest, read_json

GREY = (128, 128, 128)  # the empty canvas, which stands for a picture in the blind input
_ANCHOR = "embeddings.class_embedding"  # its prefix tells where the vision part begins
_AFTER = "post_layernorm."  # trained, so never part of what is cached
_PARTS = ("embeddings.", "encoder.", _AFTER)
# the code that makes a feature of a picture's bytes; what else it imports only reads and names files
_CODE = ("workbench.data.encoder", "workbench.data.images")
_NOT_IT = frozenset({"workbench.code", "workbench.files"})
# the fields of a vision config that decide what the encoder computes
_DECISIVE = (
    "hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads", "image_size",
    "patch_size", "hidden_act", "layer_norm_eps", "qkv_bias",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Preprocessing:
    """How a picture becomes pixels: squashed to a square, scaled to [0, 1], normalised.

    LAVIS' blip_image_eval, which is also transformers' BlipImageProcessor.
    """

    height: int
    width: int
    mean: tuple[float, ...]
    std: tuple[float, ...]
    resample: int

    @classmethod
    def load(cls, folder: Path) -> Preprocessing:
        """From preprocessor_config.json, or the image_processor of a processor_config.json.

        Raises:
            ValueError: naming the file, when it is missing or asks for something else.
        """
        path = folder / "preprocessor_config.json"
        if path.is_file():
            raw = read_json(path)
        else:
            path = folder / "processor_config.json"
            raw = read_json(path).get("image_processor") if path.is_file() else None
        if not isinstance(raw, dict):
            raise ValueError(
                f"{folder} says nowhere how its pictures are prepared; save the encoder's image processor "
                "there (preprocessor_config.json with size, image_mean, image_std and resample)"
            )
        wrong = [key for key in ("do_resize", "do_rescale", "do_normalize") if not raw.get(key, True)] + [
            "do_center_crop"
        ] * bool(raw.get("do_center_crop"))
        if wrong:
            raise ValueError(
                f"{path} sets {', '.join(wrong)} in a way that is not supported; "
                "pictures are squashed to a square, rescaled and normalised"
            )
        try:
            size, mean, std = raw["size"], raw["image_mean"], raw["image_std"]
            resample = int(raw.get("resample", Image.Resampling.BICUBIC))
            return cls(int(size["height"]), int(size["width"]), tuple(mean), tuple(std), resample)
        except (KeyError, TypeError) as error:
            raise ValueError(
                f"{path} has no usable {error}; it needs size.height, size.width, image_mean and image_std"
            ) from error

    def pixels(self, images: Sequence[Image.Image]) -> Tensor:
        """(B, 3, height, width) float32 from RGB pictures of any size."""
        size, how = (self.width, self.height), Image.Resampling(self.resample)
        stacked = np.stack([np.asarray(image.resize(size, how), dtype=np.float32) for image in images])
        mean, std = np.array(self.mean, np.float32), np.array(self.std, np.float32)
        return torch.from_numpy((stacked / np.float32(255) - mean) / std).permute(0, 3, 1, 2).contiguous()


@dataclass(frozen=True, slots=True)
class Encoder:
    """A frozen vision encoder: folder of weights, its digest, and its preprocessing."""

    folder: Path
    weights_sha256: str
    preprocessing: Preprocessing

    @classmethod
    def open(cls, folder: Path) -> Encoder:
        """Reads what identifies the encoder, without building the model.

        Args:
            folder: a transformers InstructBLIP or BLIP-2 folder, or that of a bare vision model.

        Raises:
            ValueError: naming the folder, when weights or configuration are missing or damaged.
        """
        config, preprocessing = _config(folder), Preprocessing.load(folder)
        if not preprocessing.height == preprocessing.width == config["image_size"]:
            raise ValueError(
                f"{folder} prepares pictures of {preprocessing.height} x {preprocessing.width} for an "
                f"encoder of image_size {config['image_size']}; make its preprocessor_config.json and "
                "config.json agree"
            )
        hasher = hashlib.sha256(canonical(config))
        for name, tensor in _weights(folder).items():
            if not name.startswith(_AFTER):
                hasher.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
                hasher.update(tensor.contiguous().view(torch.uint8).numpy().data)
        return cls(folder, hasher.hexdigest(), preprocessing)

    @property
    def identity(self) -> dict[str, str]:
        """Digests of weights, preprocessing and code: equal identities give equal features."""
        return {
            "weights": self.weights_sha256,
            "preprocessing": digest(asdict(self.preprocessing)),
            "code": code.digest(_CODE, without=_NOT_IT),
        }

    def load(self, device: torch.device | str = "cpu") -> InstructBlipVisionModel:
        """The model in float32 and eval mode."""
        config = InstructBlipVisionConfig(**_config(self.folder))
        with torch.device("meta"):
            model = InstructBlipVisionModel(config)
        weights = {name: tensor.float() for name, tensor in _weights(self.folder).items()}
        try:
            model.load_state_dict(weights, assign=True)
        except RuntimeError as error:
            raise ValueError(
                f"the vision weights in {self.folder} do not fit config.json: {error}"
            ) from error
        return nn.Module.to(model.eval().requires_grad_(False), device)


@torch.no_grad()  # not inference_mode: training on fresh views goes on from here
def encode(model: InstructBlipVisionModel, pixels: Tensor) -> Tensor:
    """(B, 3, H, W) pixels to (B, N, V) hidden states before the post layer norm, which is trained."""
    embedded = model.embeddings(pixels.to(model.device))
    return model.encoder(inputs_embeds=embedded).last_hidden_state.cpu()


def _config(folder: Path) -> dict[str, Any]:
    path = folder / "config.json"
    if not path.is_file():
        raise ValueError(f"{folder} has no config.json; name a BLIP-2, InstructBLIP or vision model folder")
    raw = read_json(path)
    full = InstructBlipVisionConfig.from_dict(raw.get("vision_config", raw)).to_dict()
    return {name: full[name] for name in _DECISIVE}


def _weights(folder: Path) -> dict[str, Tensor]:
    """The vision model's tensors by their names in it, sorted; of other parts only the names are read."""
    places: dict[str, Path] = {}
    tensors: dict[str, Tensor] = {}
    try:
        for path in sorted(folder.glob("*.safetensors")):
            with safe_open(path, "pt") as opened:
                places |= dict.fromkeys(opened.keys(), path)
        prefixes = [name.removesuffix(_ANCHOR) for name in places if name.endswith(_ANCHOR)]
        if len(prefixes) != 1:
            raise ValueError(
                f"{folder} has no InstructBLIP vision encoder in its *.safetensors files; "
                "name a BLIP-2, InstructBLIP or vision model folder"
            )
        (prefix,) = prefixes
        parts = tuple(prefix + part for part in _PARTS)
        own = {name: path for name, path in places.items() if name.startswith(parts)}
        for path in sorted(set(own.values())):
            with safe_open(path, "pt") as opened:
                tensors |= {n.removeprefix(prefix): opened.get_tensor(n) for n in own if own[n] == path}
    except (SafetensorError, OSError) as error:
        raise ValueError(f"the weights in {folder} are damaged ({error}); restore or rebuild them") from error
    return dict(sorted(tensors.items()))

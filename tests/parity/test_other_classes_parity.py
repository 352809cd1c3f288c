"""The same for BLIP-2 of transformers, whose Q-Former reads no text, and InstructBlipVideo with 4 frames."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import checkpoint_folders as made
import pytest
import test_transformers_parity as single
import tiny
import torch
from transformers import InstructBlipVideoConfig, InstructBlipVideoForConditionalGeneration

from workbench.config import Model
from workbench.model.checkpoint import assemble
from workbench.model.instructblip import InstructBlip
from workbench.model.sources import read
from workbench.model.vision import encode

FRAMES = 4


class WithoutText:
    """BLIP-2, called as an InstructBLIP is."""

    def __init__(self, model: Any) -> None:
        self.model, self.config = model, model.config

    def __call__(self, **inputs: Any) -> Any:
        return self.model(**self._known(inputs))

    def generate(self, **inputs: Any) -> Any:
        return self.model.generate(**self._known(inputs))

    def _known(self, inputs: dict[str, Any]) -> dict[str, Any]:
        return {name: value for name, value in inputs.items() if not name.startswith("qformer_")}


def blip2(root: Path, family: tiny.Family) -> tuple[Any, InstructBlip]:
    """A BLIP-2 folder and the start made of it, without instructions in the Q-Former."""
    plain = WithoutText(made.blip2(root / "blip2", family))
    made.bert(root / "bert")
    assemble([read(name, root, False) for name in ("bert", "blip2")], tiny.QUERIES, root / "start")
    switches = Model(language_model=family, num_query_tokens=tiny.QUERIES, instruction_aware=False)
    return plain, InstructBlip.load(root / "start" / f"blip2-{family}", switches)


def video(root: Path, family: tiny.Family) -> tuple[Any, InstructBlip]:
    """An InstructBLIP's weights in the class for clips, and our own model."""
    folder = tiny.start(root, family)
    ours = InstructBlip.load(folder, Model(language_model=family, num_query_tokens=tiny.QUERIES))
    given = ours.hf.config
    config = InstructBlipVideoConfig(
        vision_config={k: v for k, v in given.vision_config.to_dict().items() if k != "model_type"},
        qformer_config={k: v for k, v in given.qformer_config.to_dict().items() if k != "model_type"},
        text_config=given.text_config.to_dict(),
        num_query_tokens=tiny.QUERIES,
        video_token_index=tiny.IMAGE,
    )
    plain = InstructBlipVideoForConditionalGeneration(config)
    plain.load_state_dict(ours.hf.state_dict())
    return plain.eval(), ours


@pytest.fixture(scope="module", params=[(kind, f) for kind in (blip2, video) for f in tiny.FAMILIES])
def case(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Any:
    kind, family = request.param
    plain, ours = kind(tmp_path_factory.mktemp(kind.__name__), family)
    frames = FRAMES if kind is video else 1
    draw = torch.Generator().manual_seed(5)
    pixels = torch.randn(5 * frames, 3, tiny.IMAGE_SIZE, tiny.IMAGE_SIZE, generator=draw)
    features = encode(ours.hf.vision_model, pixels).unflatten(0, (5, frames))
    batch = dataclasses.replace(tiny.batch(family, rows=5, frames=frames), features=features)
    return family, plain, ours, batch, pixels.unflatten(0, (5, frames)) if frames > 1 else pixels


def test_loss_and_logits(case: Any) -> None:
    single.test_loss_and_logits_are_transformers(case)


def test_ranking(case: Any) -> None:
    single.test_ranking_is_transformers(case)


@pytest.mark.parametrize("beams", [1, 3])
def test_generation(case: Any, beams: int) -> None:
    single.test_generation_is_transformers(case, beams)

"""How the frozen weights are held, and layers that are computed again on the way back."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import tiny
import torch
from transformers.modeling_layers import GradientCheckpointingLayer

from workbench import code
from workbench.config import Model
from workbench.evaluate.rank import candidate_scores
from workbench.model import instructblip
from workbench.model.folder import ModelError
from workbench.model.instructblip import InstructBlip


@pytest.fixture(scope="module", params=tiny.FAMILIES)
def start(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Any:
    return request.param, tiny.start(tmp_path_factory.mktemp("start"), request.param)


def load(start: tuple[tiny.Family, Path], **switches: Any) -> InstructBlip:
    family, folder = start
    return InstructBlip.load(folder, Model(language_model=family, num_query_tokens=tiny.QUERIES, **switches))


def test_frozen_weights_in_bf16_leave_the_trained_ones_whole(start: Any) -> None:
    exact, halved = load(start), load(start, frozen_precision="bf16")
    kinds = {(p.requires_grad, p.dtype) for p in halved.hf.parameters()}
    assert kinds == {(True, torch.float32), (False, torch.bfloat16)}
    for name, parameter in exact.trainable().items():
        assert torch.equal(parameter, halved.trainable()[name]), name
    frequencies = [b for name, b in halved.hf.named_buffers() if "inv_freq" in name]
    assert all(b.dtype == torch.float32 for b in frequencies)
    batch, ranked = tiny.batch(start[0]), tiny.batch(start[0], candidates=(3,))
    (loss, tokens), (near, _) = exact(batch), halved(batch)
    near.backward()
    assert float((near / tokens).detach()) == pytest.approx(float((loss / tokens).detach()), rel=0.05)
    assert near != loss
    assert all(p.grad is not None and p.grad.dtype == torch.float32 for p in halved.trainable().values())
    scores = candidate_scores(halved, ranked)
    assert scores.dtype == torch.float32
    torch.testing.assert_close(scores, candidate_scores(exact, ranked), rtol=0.05, atol=0.3)


def test_layers_computed_again_give_the_same_gradients(start: Any) -> None:
    batch, gradients, calls = tiny.batch(start[0]), [], []
    for checkpointing in (False, True):
        model = load(start)
        model.prepare_training("fp32", checkpointing)
        count = {"layers": 0}
        for layer in model.hf.language_model.modules():
            if isinstance(layer, GradientCheckpointingLayer):
                next(iter(layer.children())).register_forward_hook(
                    lambda *_, count=count: count.update(layers=count["layers"] + 1)
                )
        model.train()
        assert not any(
            m.training for m in model.hf.language_model.modules() if isinstance(m, torch.nn.Dropout)
        )
        torch.manual_seed(3)  # of the Q-Former's dropout
        model(batch).loss.backward()
        gradients.append({name: p.grad for name, p in model.trainable().items()})
        calls.append(count["layers"])
        with model.answering():
            assert not any(m.training for m in model.hf.modules())
    assert calls[1] == 2 * calls[0]
    for name, gradient in gradients[0].items():
        torch.testing.assert_close(gradients[1][name], gradient, rtol=1e-5, atol=1e-6)


def test_the_layer_norm_takes_the_epsilon_of_lavis(start: Any) -> None:
    assert load(start).hf.vision_model.post_layernorm.eps == 1e-6
    assert load(start, vision_layernorm_eps=1e-5).hf.vision_model.post_layernorm.eps == 1e-5


def test_eight_bits_without_a_gpu_are_refused_in_a_sentence(start: Any, monkeypatch: Any) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(ModelError, match="int8 needs an NVIDIA GPU and bitsandbytes"):
        load(start, frozen_precision="int8")


@pytest.mark.parametrize("family", tiny.FAMILIES)
def test_a_language_model_in_eight_bits_teaches_the_same(family: tiny.Family, monkeypatch: Any) -> None:
    """On a CPU, where bitsandbytes computes as well; the wrapper wants a GPU, because there it is slow."""
    switches = Model(language_model=family, num_query_tokens=9)
    folder = code.PACKAGE.parent / f"backbones/micro/blip2-{family}"  # learnt: random weights mean little
    exact = InstructBlip.load(folder, switches)
    with monkeypatch.context() as patch:
        patch.setattr(torch.cuda, "is_available", lambda: True)
        asked = instructblip._quantisation(replace(switches, frozen_precision="int8"))
    monkeypatch.setattr(instructblip, "_quantisation", lambda switches: asked)
    held = InstructBlip.load(folder, switches)

    eight = {name for name, p in held.hf.named_parameters() if p.dtype == torch.int8}
    assert len(eight) > 20
    assert all(name.startswith("language_model.") for name in eight)
    assert all(p.dtype == torch.float32 for p in held.trainable().values())

    pictures = torch.randn(5, 1, 65, 128, generator=torch.Generator().manual_seed(1))
    batch, ranked = (
        replace(tiny.batch(family, candidates=sizes), features=pictures) for sizes in ((), (3,))
    )
    frozen, losses, gradients = held.frozen_checksum(), [], []
    for model in (exact, held):
        loss, tokens = model(batch)
        loss.backward()
        losses.append(float((loss / tokens).detach()))
        gradients.append(torch.cat([p.grad.flatten() for p in model.trainable().values()]))
    assert losses[1] == pytest.approx(losses[0], rel=0.005)
    assert losses[1] != losses[0]
    assert torch.cosine_similarity(gradients[0], gradients[1], dim=0) > 0.995
    assert held.frozen_checksum() == frozen
    torch.testing.assert_close(
        candidate_scores(held, ranked), candidate_scores(exact, ranked), rtol=0.05, atol=0.3
    )

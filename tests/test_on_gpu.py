"""The same on a GPU as on a CPU; skipped where there is none."""

import math
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
import small_world
import tiny
import torch
from accelerate import Accelerator
from PIL import Image
from torch import Tensor

from workbench.batch import Batch
from workbench.config import Model, Train
from workbench.data.catalog import entry
from workbench.data.micro.vocabulary import language_tokenizer
from workbench.evaluate.generate import generate
from workbench.evaluate.rank import candidate_scores
from workbench.experiment import asking
from workbench.model.instructblip import InstructBlip
from workbench.train import checkpoint, language
from workbench.train.loop import train
from workbench.train.optimizer import adamw

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device here")
STEPS = 4


@pytest.fixture(scope="module", params=tiny.FAMILIES)
def start(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, Path]:
    return request.param, tiny.start(tmp_path_factory.mktemp("start"), request.param)


def load(start: tuple[Any, Path], device: str, **switches: Any) -> InstructBlip:
    family, folder = start
    switched = Model(language_model=family, num_query_tokens=tiny.QUERIES, **switches)
    return InstructBlip.load(folder, switched).to(device)


def updates(
    model: InstructBlip, start: tuple[Any, Path], precision: Any = "fp32", first: int = 0
) -> tuple[Any, Any]:
    """An optimizer, and the loop's updates with it."""
    optimizer = adamw(model.trainable(), Train())

    def batches(step: int) -> list[Batch]:
        return [tiny.batch(start[0], seed=2 * step + part) for part in range(2)]

    steps = train(
        model, optimizer, lambda step: 1e-3, batches, Accelerator(),
        precision=precision, seed=5, start_step=first, steps=STEPS,
    )  # fmt: skip
    return optimizer, steps


def test_losses_and_answers_are_those_of_a_cpu(start: Any) -> None:
    models = [load(start, device) for device in ("cpu", "cuda")]
    batch, ranked = tiny.batch(start[0]), tiny.batch(start[0], candidates=(3, 1))
    losses = [model(batch.to(model.device)).loss.item() for model in models]
    assert losses[1] == pytest.approx(losses[0], rel=1e-5)
    scores = [candidate_scores(model, ranked).cpu() for model in models]
    torch.testing.assert_close(*scores, rtol=1e-4, atol=1e-4)
    said = [generate(model, batch, tiny.Letters(), entry("coco_caption"), 3) for model in models]  # type: ignore[arg-type]
    assert [p.text for p in said[1]] == [p.text for p in said[0]]


def test_gradients_are_those_of_a_cpu(start: Any) -> None:
    gradients = []
    for device in ("cpu", "cuda"):
        model, batch = load(start, device), tiny.batch(start[0])
        model(batch.to(device)).loss.backward()
        gradients.append({name: p.grad.cpu() for name, p in model.trainable().items() if p.grad is not None})
    assert gradients[0].keys() == gradients[1].keys()
    for name, gradient in gradients[0].items():
        torch.testing.assert_close(gradients[1][name], gradient, rtol=1e-3, atol=1e-4, msg=name)


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_training_goes_on_from_a_checkpoint(start: Any, precision: str, tmp_path: Path) -> None:
    whole, stopped, resumed = (load(start, "cuda", frozen_precision=precision) for _ in range(3))
    losses = [metrics["loss"] for _, metrics in updates(whole, start, precision)[1]]
    assert all(math.isfinite(loss) for loss in losses)
    optimizer, steps = updates(stopped, start, precision)
    first = [metrics["loss"] for _, metrics in islice(steps, 2)]
    checkpoint.save(tmp_path, stopped.trainable(), optimizer, checkpoint.Progress("run", 2))
    optimizer, steps = updates(resumed, start, precision, first=2)
    found = checkpoint.load(tmp_path, resumed.trainable(), optimizer, "run")
    assert found is not None
    assert found.step == 2
    # a GPU sums in an order of its own, so the losses are equal to rounding
    assert first + [metrics["loss"] for _, metrics in steps] == pytest.approx(losses, rel=1e-3)


@pytest.mark.parametrize("family", tiny.FAMILIES)
def test_gradients_are_numbers_whatever_the_length(family: str) -> None:
    """cuDNN's attention gives NaN where a sequence is 64 longer than a multiple of 128 and padded."""
    folder = Path(__file__).parents[1] / "backbones/micro" / f"blip2-{family}"
    model = InstructBlip.load(folder, Model(language_model=family)).to("cuda")  # type: ignore[arg-type]
    model.prepare_training("bf16")
    queries, features = model.hf.config.num_query_tokens, torch.randn(8, 1, 65, 128)
    for total in (63, 64, 192):
        prompt, answer = torch.full((8, total - queries - 15), 7), torch.full((8, 16), 9)
        shown = torch.ones_like(prompt)
        shown[::2, : prompt.shape[1] // 2] = 0
        batch = Batch(
            features, prompt, shown, prompt, shown, examples=(), instructions=(),
            target_ids=answer, target_mask=torch.ones_like(answer),
        )  # fmt: skip
        with torch.autocast("cuda", torch.bfloat16):
            loss = model(batch.to("cuda")).loss
        loss.backward()
        assert all(p.grad.isfinite().all() for p in model.trainable().values() if p.grad is not None), total
        model.zero_grad()


@pytest.mark.parametrize("family", tiny.FAMILIES)
def test_a_language_model_in_eight_bits_hands_gradients_on(family: str) -> None:
    folder = Path(__file__).parents[1] / "backbones/micro" / f"blip2-{family}"
    switches = Model(language_model=family, frozen_precision="int8")  # type: ignore[arg-type]
    model = InstructBlip.load(folder, switches).to("cuda")
    model.prepare_training("bf16")
    frozen, batch = model.frozen_checksum(), tiny.batch(family)  # type: ignore[arg-type]
    batch = replace(batch, features=torch.randn(5, 1, 65, 128))
    with torch.autocast("cuda", torch.bfloat16):
        loss = model(batch.to("cuda")).loss
    loss.backward()
    assert all(p.grad.isfinite().all() for p in model.trainable().values() if p.grad is not None)
    assert model.hf.language_projection.weight.grad.abs().sum() > 0
    assert model.frozen_checksum() == frozen


def test_a_picture_is_asked_about_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    small_world.start(tmp_path / "backbones/micro")
    picture, places, answer = tmp_path / "picture.png", [], asking.answer
    Image.effect_mandelbrot((80, 64), (-2, -1, 1, 1), 9).save(picture)

    def noted(model: InstructBlip, *others: Any) -> tuple[str, Tensor]:
        places.append(model.device.type)
        return answer(model, *others)

    monkeypatch.setattr(asking, "answer", noted)
    scores = []
    for there in (True, False):
        monkeypatch.setattr(torch.cuda, "is_available", lambda there=there: there)
        question = (picture, "is it round?", "blip2", ("yes", "no"), tmp_path / "attention.png", None)
        scores.append(dict(asking.ask(small_world.CONFIG, tmp_path, *question).alternatives))
    assert places == ["cuda", "cpu"]
    assert scores[0] == pytest.approx(scores[1], rel=1e-2)  # a feature may be rounded to its neighbour


@pytest.mark.parametrize("family", ["t5", "llama"])
def test_language_models_learn_there(family: str) -> None:
    tokenizer = language_tokenizer()
    plan = language.Schedule(cycles=(40,), batch_size=8, warmup_steps=4, one_hop_steps=40, dense_steps=40)
    model = (language.new_t5 if family == "t5" else language.new_llama)(tokenizer).to("cuda")  # type: ignore[arg-type]
    losses = [
        loss for _, loss in language.train(model, tokenizer, plan, language.optimizer(model, plan), helpers=2)
    ]
    assert sum(losses[-8:]) < 0.7 * sum(losses[:8])
    assert language.examine(model.eval(), tokenizer, seed=1, number=1).keys() > {"dense"}

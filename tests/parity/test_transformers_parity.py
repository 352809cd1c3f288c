"""Ours, from cached features, against plain transformers from pixels (fp32, tiny random weights)."""

import dataclasses
from pathlib import Path
from typing import Any

import pytest
import tiny
import torch
from torch.nn import functional
from transformers import InstructBlipForConditionalGeneration

from workbench.batch import Batch
from workbench.config import Model
from workbench.data.catalog import entry
from workbench.evaluate.generate import generate
from workbench.evaluate.rank import candidate_scores
from workbench.model.instructblip import InstructBlip
from workbench.model.vision import encode

CASES = [("t5", True), ("t5", False), ("llama", True)]
SHARED = ("features", "qformer_ids", "qformer_mask", "prompt_ids", "prompt_mask")
CLOSE: dict[str, Any] = {"rtol": 1e-5, "atol": 1e-5}


@pytest.fixture(scope="module", params=CASES, ids=["t5", "t5-untied", "llama"])
def case(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Any:
    family, tied = request.param
    folder = tiny.start(tmp_path_factory.mktemp(family), family, tied)
    plain = InstructBlipForConditionalGeneration.from_pretrained(folder).eval()
    ours = InstructBlip.load(folder, Model(language_model=family, num_query_tokens=tiny.QUERIES))
    pixels = torch.randn(5, 3, tiny.IMAGE_SIZE, tiny.IMAGE_SIZE, generator=torch.Generator().manual_seed(5))
    features = encode(plain.vision_model, pixels)[:, None]
    batch = dataclasses.replace(tiny.batch(family, rows=5), features=features)
    return family, plain, ours, batch, pixels


def plain_inputs(
    batch: Batch, pixels: torch.Tensor, family: str, image: int = tiny.IMAGE
) -> dict[str, torch.Tensor]:
    """As InstructBlipProcessor makes them: placeholders ahead of the prompt, decoders left-padded."""
    rows = [
        [image] * tiny.QUERIES * batch.features.shape[1] + ids[mask.bool()].tolist()
        for ids, mask in zip(batch.prompt_ids, batch.prompt_mask, strict=True)
    ]
    ids, mask = tiny.padded(rows, left=family == "llama")
    return {
        "pixel_values": pixels,
        "qformer_input_ids": batch.qformer_ids,
        "qformer_attention_mask": batch.qformer_mask,
        "input_ids": ids,
        "attention_mask": mask,
    }


def plain_forward(plain: Any, inputs: dict[str, Any], batch: Batch, family: str) -> tuple[Any, torch.Tensor]:
    """transformers' loss and its logits at target tokens, (tokens, vocabulary)."""
    assert batch.target_ids is not None
    assert batch.target_mask is not None
    wanted = batch.target_mask.bool()
    labels = batch.target_ids.masked_fill(~wanted, -100)
    if family == "t5":
        out = plain(**inputs, labels=labels)
        return out.loss, out.logits[wanted]
    length = inputs["input_ids"].shape[1]
    inputs = inputs | {
        "input_ids": torch.cat([inputs["input_ids"], batch.target_ids], dim=1),
        "attention_mask": torch.cat([inputs["attention_mask"], batch.target_mask], dim=1),
    }
    labels = functional.pad(labels, (length, 0), value=-100)
    out = plain(**inputs, labels=labels)
    return out.loss, out.logits[:, length - 1 : -1][wanted]


def plain_answers(plain: Any, inputs: dict[str, torch.Tensor], **settings: Any) -> list[str]:
    """transformers' answers; its decoders repeat the prompt ahead of them."""
    ids = plain.generate(**inputs, **settings)
    prompt = inputs["input_ids"].shape[1] if plain.config.use_decoder_only_language_model else 0
    return tiny.Letters().batch_decode(ids[:, prompt:])


def test_prefix_is_transformers_image_features(case: Any) -> None:
    family, plain, ours, batch, pixels = case
    inputs = plain_inputs(batch, pixels, family)
    with torch.no_grad():
        theirs = plain.get_image_features(
            pixels, inputs["qformer_input_ids"], inputs["qformer_attention_mask"]
        ).pooler_output
        torch.testing.assert_close(ours.prefix(batch), theirs, **CLOSE)
    assert theirs.std(dim=0).min() > 1e-3, "the images have to make a difference"


def test_loss_and_logits_are_transformers(case: Any) -> None:
    family, plain, ours, batch, pixels = case
    with torch.no_grad():
        loss, logits = plain_forward(plain, plain_inputs(batch, pixels, family), batch, family)
        ours_sum = ours(batch)
        embeds, mask = ours.inputs(batch)
        states = ours.language.answer_states(embeds, mask, batch.target_ids, batch.target_mask)
        ours_logits = ours.language.logits(states[batch.target_mask.bool()])
    assert ours_sum.tokens == batch.target_mask.sum()
    torch.testing.assert_close(ours_sum.loss / ours_sum.tokens, loss, **CLOSE)
    torch.testing.assert_close(ours_logits, logits, **CLOSE)


def test_gradients_are_transformers(case: Any) -> None:
    family, plain, ours, batch, pixels = case
    loss, _ = plain_forward(plain, plain_inputs(batch, pixels, family), batch, family)
    names = list(ours.trainable())
    theirs = torch.autograd.grad(loss, [plain.get_parameter(name) for name in names], allow_unused=True)
    total, tokens = ours(batch)
    mine = torch.autograd.grad(total / tokens, list(ours.trainable().values()), allow_unused=True)
    for name, a, b in zip(names, mine, theirs, strict=True):
        assert (a is None) == (b is None), name
        if a is not None:
            assert torch.isfinite(a).all(), name
            torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-5, msg=lambda m, name=name: f"{name}: {m}")


def test_ranking_is_transformers(case: Any) -> None:
    """Candidates that share beginnings, each scored alone by plain transformers from pixels."""
    family, plain, ours, batch, pixels = case
    vocabulary = [[7, 8, tiny.END], [7, tiny.END], [7, 8, 9, tiny.END], [9, 8, tiny.END], [7, 9, 8, tiny.END]]
    ids, mask = tiny.padded(vocabulary * len(batch))
    ranked = dataclasses.replace(
        tiny.batch(family, rows=len(batch), candidates=(len(vocabulary),)),
        **{name: getattr(batch, name) for name in SHARED}, candidate_ids=ids, candidate_mask=mask,
    )  # fmt: skip
    scores = candidate_scores(ours, ranked).view(len(batch), len(vocabulary))
    for column, tokens in enumerate(vocabulary):
        target = torch.tensor([tokens] * len(batch))
        alone = dataclasses.replace(batch, target_ids=target, target_mask=torch.ones_like(target))
        with torch.no_grad():
            _, logits = plain_forward(plain, plain_inputs(alone, pixels, family), alone, family)
        losses = functional.cross_entropy(logits, target.flatten(), reduction="none").view(target.shape)
        torch.testing.assert_close(scores[:, column], -losses.sum(dim=1), **CLOSE)


@pytest.mark.parametrize("beams", [1, 3])
def test_generation_is_transformers(case: Any, beams: int) -> None:
    family, plain, ours, batch, pixels = case
    wanted = dataclasses.replace(entry("vqav2"), max_new_tokens=6, length_penalty=-1.0)
    settings = {"max_new_tokens": 6, "num_beams": beams, "do_sample": False}
    # LAVIS' penalties for short answers: -1 under T5, 0 under Vicuna
    settings |= {"length_penalty": -1.0 if family == "t5" else 0.0} if beams > 1 else {}
    theirs = plain_answers(plain, plain_inputs(batch, pixels, family), **settings)
    assert [p.text for p in generate(ours, batch, tiny.Letters(), wanted, beams)] == theirs
    assert len(set(theirs)) > 1


def test_what_we_save_plain_transformers_loads(case: Any, tmp_path: Path) -> None:
    family, _, ours, batch, pixels = case
    ours.save_pretrained(tmp_path / "saved")
    plain = InstructBlipForConditionalGeneration.from_pretrained(tmp_path / "saved").eval()
    with torch.no_grad():
        loss, _ = plain_forward(plain, plain_inputs(batch, pixels, family), batch, family)
        total, tokens = ours(batch)
    torch.testing.assert_close(total / tokens, loss, **CLOSE)
    wanted = dataclasses.replace(entry("vqav2"), max_new_tokens=6)
    texts = [p.text for p in generate(ours, batch, tiny.Letters(), wanted, 1)]
    assert texts == plain_answers(plain, plain_inputs(batch, pixels, family), max_new_tokens=6)
    assert (tmp_path / "saved" / "tokenizer" / "tokenizer_config.json").is_file()


@pytest.mark.parametrize("family", tiny.FAMILIES)
def test_dropped_text_path_in_plain_transformers(family: tiny.Family, tmp_path: Path) -> None:
    """Plain transformers gives our answers when the Q-Former's text is masked out."""
    switches = Model(language_model=family, instruction_aware=False, num_query_tokens=tiny.QUERIES)
    ours = InstructBlip.load(tiny.start(tmp_path, family), switches)
    ours.save_pretrained(tmp_path / "saved")
    plain = InstructBlipForConditionalGeneration.from_pretrained(tmp_path / "saved").eval()
    pixels = torch.randn(5, 3, tiny.IMAGE_SIZE, tiny.IMAGE_SIZE)
    batch = dataclasses.replace(tiny.batch(family), features=encode(plain.vision_model, pixels)[:, None])
    with torch.no_grad():
        theirs = plain.get_image_features(
            pixels, batch.qformer_ids, torch.zeros_like(batch.qformer_mask)
        ).pooler_output
        torch.testing.assert_close(ours.prefix(batch), theirs, **CLOSE)
        assert ours.trainable().keys() == InstructBlip.load(tmp_path / "saved", switches).trainable().keys()

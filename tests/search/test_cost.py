"""What `workbench plan --preset` says, against real steps of small models."""

from __future__ import annotations

import dataclasses
import re
from functools import partial
from typing import Any

import numpy as np
import pytest
import tiny
import torch
from torch.utils.flop_counter import FlopCounterMode
from transformers import AutoConfig

from workbench import presets
from workbench.code import PACKAGE
from workbench.config import Config, changed
from workbench.data.catalog import CATALOG
from workbench.model.instructblip import InstructBlip
from workbench.model.sizes import paper_config
from workbench.search import hardware
from workbench.search.cost import (
    ADAM_BYTES,
    LONGEST,
    Cost,
    Lengths,
    MicroBatch,
    Peak,
    architecture,
    count,
    micro_batch,
)
from workbench.search.hardware import HARDWARE, RESERVE, Hardware, describe
from workbench.search.kernels import Work

ROWS, LENGTHS = 6, Lengths(prompt=7, answer=5)
ROOT = PACKAGE.parent


def memory(*given: Any, **named: Any) -> float:
    return micro_batch(*given, **named).memory


def config(family: str, **changes: Any) -> Config:
    base = {"model.language_model": family, "model.num_query_tokens": tiny.QUERIES}
    return changed(Config(), base | changes)


def real_step(folder, settings: Config, attention: str) -> tuple[float, float]:
    """FLOPs and peak bytes of one micro-batch with contents, ragged up to the lengths."""
    model = InstructBlip.load(folder, settings.model)
    model.hf.set_attn_implementation(attention)
    model.prepare_training("fp32", settings.train.gradient_checkpointing)
    model.train()
    batch = tiny.batch(settings.model.language_model, rows=ROWS)
    full = {}
    for text, length in (("qformer", LENGTHS.prompt), ("prompt", LENGTHS.prompt), ("target", LENGTHS.answer)):
        full[f"{text}_ids"] = torch.full((ROWS, length), 5)
        full[f"{text}_mask"] = torch.ones(ROWS, length, dtype=torch.long)
    batch = dataclasses.replace(batch, **full)
    half = partial(torch.autocast, "cpu", torch.bfloat16, enabled=settings.train.precision == "bf16")
    with FlopCounterMode(display=False) as counter, half():
        model(batch).loss.backward()
    model.zero_grad()
    with Peak(model) as tracker, half():
        model(batch).loss.backward()
    return float(counter.get_total_flops()), float(tracker.peak)


@pytest.mark.parametrize("family", tiny.FAMILIES)
@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"train.precision": "bf16", "model.frozen_precision": "bf16"},
        {"train.gradient_checkpointing": True},
        {"model.instruction_aware": False},
    ],
    ids=["fp32", "bf16", "checkpointing", "unaware"],
)
def test_the_plan_is_what_a_step_takes(family, changes, tmp_path):
    settings, folder = config(family, **changes), tiny.start(tmp_path, family)
    found = AutoConfig.from_pretrained(folder)
    planned = count(found, settings, LENGTHS)
    flops, _ = real_step(folder, settings, "eager")
    assert planned.example_flops * ROWS == pytest.approx(flops, rel=0.2)
    _, peak = real_step(folder, settings, "sdpa" if settings.train.precision == "fp32" else "eager")
    trained = sum(p.numel() for p in InstructBlip.load(folder, settings.model).trainable().values())
    assert planned.trained == trained
    bytes_held = memory(found, settings, ROWS, LENGTHS, on_gpu=False)
    assert bytes_held - ADAM_BYTES * trained == pytest.approx(peak, rel=0.2)


@pytest.mark.parametrize("family", tiny.FAMILIES)
def test_what_was_counted_before_changes_nothing(family, tmp_path):
    """Neither the choice of attention, which one count leaves to the next, nor its operations get lost."""
    found, settings = AutoConfig.from_pretrained(tiny.start(tmp_path, family)), config(family)
    before = micro_batch(found, settings, ROWS, LENGTHS)
    flops = count(found, settings, LENGTHS).example_flops
    assert micro_batch(found, settings, ROWS, LENGTHS) == before
    assert sum(before.work.flops) == pytest.approx(ROWS * flops, rel=0.05)


def test_checkpointing_takes_memory_for_time(tmp_path):
    found = AutoConfig.from_pretrained(tiny.start(tmp_path, "llama", positions=256))
    found.text_config.num_hidden_layers = 8  # of which one is held while it is computed again
    long, again = Lengths(200, 20), config("llama", **{"train.gradient_checkpointing": True})
    assert memory(found, again, 16, long) < 0.5 * memory(found, config("llama"), 16, long)
    more = count(found, again, long).example_flops / count(found, config("llama"), long).example_flops
    assert 1.1 < more < 1.7


def test_the_papers_largest_t5_in_figures():
    preset = presets.read(ROOT, "paper-flant5xl")
    cost: Cost = count(paper_config("flant5xl"), preset, Lengths())
    assert round(cost.trained / 1e6, 1) == 187.3
    assert cost.parameters["language"] == pytest.approx(2.85e9, rel=0.01)
    assert cost.feature_bytes == 257 * 1408 * 2
    assert cost.picture_flops == pytest.approx(2 * 257 * 39 * 12 * 1408**2, rel=0.1)
    # weights: language model and ViT in bf16, the rest and its gradients and moments in fp32
    held = 2 * (cost.parameters["language"] + cost.parameters["vision"]) + 16 * cost.trained
    assert held < memory(paper_config("flant5xl"), preset, 1, Lengths()) < 1.25 * held


def remembered(work):
    """Counted once for each size, because it takes seconds; of one architecture and configuration."""
    known = {}

    def once(architecture, config, *sizes, **named):
        key = (*sizes, *named.items())
        if key not in known:
            known[key] = work(architecture, config, *sizes, **named)
        return known[key]

    return once


@pytest.mark.parametrize(
    ("preset", "kind", "gpus", "says"),
    [
        ("paper-flant5xl", "a100-40g", 16, ["trained 187.3 M", "12 examples at once", "576 GPU-hours"]),
        ("small", "v100", 1, ["trained 176.7 M", "128 examples at once", "no bf16 units"]),
        ("micro", "cpu", 1, ["64 examples at once", "hours           unknown"]),
    ],
)
def test_a_preset_on_hardware_in_words(preset, kind, gpus, says, tmp_path, monkeypatch):
    def shallow(*given):
        """With two of the frozen layers each: what is asserted does not depend on them."""
        found = architecture(*given)
        found.vision_config.num_hidden_layers = found.text_config.num_hidden_layers = 2
        if hasattr(found.text_config, "num_decoder_layers"):
            found.text_config.num_decoder_layers = 2
        return found

    monkeypatch.setattr(hardware, "architecture", shallow)
    monkeypatch.setattr(hardware, "count", remembered(count))
    monkeypatch.setattr(hardware, "micro_batch", remembered(micro_batch))
    monkeypatch.setenv("DVC_ROOT", str(tmp_path))
    (tmp_path / "backbones").symlink_to(ROOT / "backbones")
    settings = presets.read(ROOT, preset)
    text = "\n".join(describe(settings, tmp_path, preset, kind, gpus, Lengths()))
    assert [words for words in says if words not in text] == [], text
    measured = "\n".join(describe(settings, tmp_path, preset, kind, gpus, Lengths(), measured=0.75))
    hours = float(re.search(r"hours +training ([\d.,]+)", measured)[1].replace(",", ""))
    assert hours == pytest.approx(settings.train.steps * 0.75 * gpus / 3600, rel=0.01)
    with pytest.raises(ValueError, match="--step-seconds is what a step took"):
        describe(settings, tmp_path, preset, kind, gpus, Lengths(), measured=0.0)


def test_memory_is_judged_by_the_longest_examples(tmp_path, monkeypatch):
    start, preset = tmp_path / "backbones/micro", presets.read(ROOT, "micro")
    start.mkdir(parents=True)
    tiny.start(start, "t5", positions=256)
    settings = changed(preset, {"model.num_query_tokens": tiny.QUERIES, "model.start": "backbones/micro"})
    found = AutoConfig.from_pretrained(start / "blip2-t5")
    monkeypatch.setattr(hardware, "count", remembered(count))
    monkeypatch.setattr(hardware, "micro_batch", remembered(micro_batch))
    short, long = (memory(found, settings, 64, lengths) for lengths in (Lengths(), LONGEST))
    monkeypatch.setitem(HARDWARE, "toy", Hardware((short + long) / 2 / (1 - RESERVE), 1e12, 1e11, 1e12))

    def said(*lengths):
        return "\n".join(describe(settings, tmp_path, "micro", "toy", 1, *lengths))

    less = "train.accumulate_steps=2 does"
    assert re.search(rf"128 and 256 tokens.*does not fit into .*; {less}", said(Lengths()))
    pace = r"(\S+) s for a micro-batch"
    hours = re.search(rf"training (\S+), .*\(with train.accumulate_steps=2, {pace}", said(Lengths()))
    two = changed(settings, {"train.accumulate_steps": 2})
    advised = "\n".join(describe(two, tmp_path, "micro", "toy", 1, Lengths()))
    assert ": fits into" in advised
    assert hours.groups() == re.search(rf"training (\S+), .*\({pace}", advised).groups()
    assert ": fits into" in said(Lengths(), Lengths())
    monkeypatch.setitem(HARDWARE, "toy", Hardware(1e5, 1e12, 1e11, 1e12))
    less = "train.gradient_checkpointing=true, model.frozen_precision=bf16"
    assert re.search(f"even one by one .* try {less}", said(Lengths()))


def test_features_and_crops_are_planned_at_the_rate_of_fp32(tmp_path, monkeypatch):
    monkeypatch.setenv("DVC_ROOT", str(tmp_path))
    (tmp_path / "backbones").symlink_to(ROOT / "backbones")
    preset = changed(presets.read(ROOT, "micro"), {"data.training_crop": True})
    cost = count(architecture(preset, tmp_path, "micro"), preset, Lengths())
    monkeypatch.setattr(hardware, "count", lambda *given: cost)  # the same for both
    some = MicroBatch(0.0, Work((cost.example_flops,), (0.0,)))
    monkeypatch.setattr(hardware, "micro_batch", lambda *given, **named: some)
    hours = {}
    for name, whole in (("fast", 1e12), ("slow", 1e11)):
        monkeypatch.setitem(HARDWARE, name, Hardware(80e9, 1e12, whole, 1e12))
        text = "\n".join(describe(preset, tmp_path, "micro", name, 1, Lengths()))
        found = re.search(r"training ([\d.e-]+), features ([\d.e-]+), crops ([\d.e-]+)", text)
        hours[name] = [float(number) for number in found.groups()]
    assert hours["slow"][0] == hours["fast"][0]
    assert hours["slow"][1:] == pytest.approx([10 * one for one in hours["fast"][1:]], rel=0.01)
    stored = sum(e.frames * (e.micro_size + 2 * preset.data.eval_examples) for e in CATALOG)
    shown = preset.train.batch_size * preset.train.steps
    assert hours["fast"][2] / hours["fast"][1] == pytest.approx(shown / stored, rel=0.01)


def test_crops_take_the_memory_of_a_second_encoder(tmp_path):
    found = AutoConfig.from_pretrained(tiny.start(tmp_path, "t5"))
    plain, cropped = (config("t5", **{"data.training_crop": on}) for on in (False, True))
    encoder = count(found, plain, LENGTHS).parameters["vision"]
    assert memory(found, cropped, 2, LENGTHS) - memory(found, plain, 2, LENGTHS) == 4 * encoder


def test_what_cannot_be_planned_is_named(tmp_path):
    settings = presets.read(ROOT, "small")
    with pytest.raises(ValueError, match="choose one of h200, h100, a100-40g"):
        describe(settings, tmp_path, "small", "abacus", 1, Lengths())
    with pytest.raises(ValueError, match="does not divide among 7 GPUs"):
        describe(settings, tmp_path, "small", "h100", 7, Lengths())
    with pytest.raises(ValueError, match="run `workbench start` first"):
        describe(settings, tmp_path, "mine", "h100", 1, Lengths())


@pytest.mark.parametrize("share", [1, 12, 64, 192])
def test_the_fewest_micro_batches_that_fit_are_found_with_few_counts(share):
    rng = np.random.default_rng(share)
    for _ in range(200):
        fixed, each, bend = rng.uniform(0, 100), rng.uniform(0.1, 10), rng.uniform(0.8, 1.3)
        asked, room = int(rng.choice([1, 2, 4])), rng.uniform(0, 1000)
        counted = set()

        def memory(rows, seen=counted, fixed=fixed, each=each, bend=bend):
            seen.add(rows)
            return fixed + each * rows**bend

        found = hardware._parts(memory, room, share, asked)
        assert len(counted) <= 6
        cuts = [asked, *(n for n in range(asked + 1, share + 1) if share % n == 0)]
        assert found == next((n for n in cuts if memory(max(1, share // n)) <= room), None)

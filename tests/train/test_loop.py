import math
import os
import re
import socket
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest
import torch
from accelerate import Accelerator
from safetensors.torch import load_file
from standin import SIZES, Standin, batches

import workbench
from workbench.config import Train
from workbench.train.loop import TrainingDiverged, train
from workbench.train.optimizer import adamw
from workbench.train.schedule import learning_rate

CONFIG = Train(steps=8, warmup_steps=2, learning_rate=1e-2)


def run(feed, model=None, steps=8, start=0, precision="fp32", seed=1, optimizer=None):
    """Final model and the metrics of every step."""
    model = model or Standin(dropout=0.0)
    optimizer = optimizer or adamw(model.trainable(), CONFIG)
    return model, list(going(model, optimizer, feed, steps, start, precision, seed))


def going(model, optimizer, feed, steps=8, start=0, precision="fp32", seed=1):
    schedule, accelerator = partial(learning_rate, config=CONFIG), Accelerator(cpu=True)
    return train(
        model, optimizer, schedule, feed, accelerator,
        precision=precision, seed=seed, start_step=start, steps=steps,
    )  # fmt: skip


def same(left, right, tolerance=0.0):
    return all(
        torch.allclose(a, right.state_dict()[name], rtol=0, atol=tolerance)
        for name, a in left.state_dict().items()
    )


def without_speed(metrics):
    return [(step, {k: v for k, v in m.items() if k != "examples_per_second"}) for step, m in metrics]


def test_it_learns():
    fixed = list(batches()(0))
    _, metrics = run(lambda step: fixed)
    assert [step for step, _ in metrics] == list(range(1, 9))
    assert metrics[-1][1]["loss"] < metrics[0][1]["loss"] - 0.1


def test_the_metrics_are_those_of_the_batch():
    model, feed = Standin(dropout=0.0), batches()
    (batch,) = feed(0)
    out = model(batch)
    _, [(step, metrics)] = run(feed, model, steps=1)
    gradient = torch.autograd.grad(
        (out := Standin(dropout=0.0))(batch).loss / batch.target_mask.sum(), out.trainable().values()
    )
    assert step == 1
    assert metrics["tokens"] == batch.target_mask.sum()
    assert metrics["learning_rate"] == CONFIG.warmup_start_rate
    assert metrics["grad_norm"] == pytest.approx(math.sqrt(sum(g.square().sum() for g in gradient)), rel=1e-5)
    assert sum(metrics["datasets"].values()) == 12
    assert set(metrics["datasets"]) < set(SIZES)
    assert metrics["examples_per_second"] > 0


@pytest.mark.parametrize("accumulate", [2, 3, 12])
@pytest.mark.parametrize("mixing", ["batch", "example"])
def test_accumulation_over_k_micro_batches_equals_one_batch(accumulate, mixing):
    whole, parts = (run(batches(accumulate=k, mixing=mixing)) for k in (1, accumulate))
    assert same(whole[0], parts[0], 1e-6)
    for (_, one), (_, many) in zip(whole[1], parts[1], strict=True):
        assert one["loss"] == pytest.approx(many["loss"], abs=1e-6)
        assert (one["tokens"], one["datasets"]) == (many["tokens"], many["datasets"])


def test_two_runs_are_bit_equal_and_seeds_matter():
    first, again, other = (run(batches(), Standin(dropout=0.3), seed=seed) for seed in (1, 1, 2))
    assert same(first[0], again[0])
    assert without_speed(first[1]) == without_speed(again[1])
    assert not same(first[0], other[0])


def test_what_a_consumer_does_between_steps_changes_nothing():
    undisturbed, _ = run(batches(), Standin(dropout=0.3))
    model = Standin(dropout=0.3)
    for _ in going(model, adamw(model.trainable(), CONFIG), batches()):
        model.eval()
        torch.rand(7)
    assert same(undisturbed, model)


def test_going_on_at_a_step_is_as_if_it_had_never_stopped():
    whole, metrics = run(batches(), Standin(dropout=0.3))
    model = Standin(dropout=0.3)
    optimizer = adamw(model.trainable(), CONFIG)
    first = run(batches(), model, steps=3, optimizer=optimizer)[1]
    rest = run(batches(), model, start=3, optimizer=optimizer)[1]
    assert same(whole, model)
    assert without_speed(first + rest) == without_speed(metrics)


def test_what_is_frozen_stays_and_what_is_trained_moves():
    before = Standin(dropout=0.0).state_dict()
    after = run(batches())[0].state_dict()
    assert {n for n in before if not torch.equal(before[n], after[n])} == set(Standin().trainable())


def test_bf16_runs_close_to_fp32():
    full, half = run(batches()), run(batches(), precision="bf16")
    assert full[1][-1][1]["loss"] == pytest.approx(half[1][-1][1]["loss"], rel=0.05)
    assert full[1][-1][1]["loss"] != half[1][-1][1]["loss"]
    assert all(p.dtype == torch.float32 for p in half[0].parameters())


@pytest.mark.parametrize("poison", ["loss", "gradient"])
def test_divergence_names_step_dataset_and_examples_and_spares_the_weights(poison):
    class Poisoned(Standin):
        calls = 0

        def forward(self, batch):
            out = super().forward(batch)
            self.calls += 1
            if self.calls != 8:  # the second micro-batch of step 4
                return out
            if poison == "loss":
                return out._replace(loss=out.loss * math.nan)
            return out._replace(loss=out.loss + (self.words.weight[0, 0] * 0).sqrt())

    model, feed, seen = Poisoned(), batches(accumulate=2), []

    def until_it_breaks():
        for step, _ in going(model, adamw(model.trainable(), CONFIG), feed):
            seen.append((step, {name: p.clone() for name, p in model.state_dict().items()}))

    with pytest.raises(TrainingDiverged, match=r"^step 4: .* nan ") as raised:
        until_it_breaks()
    assert [step for step, _ in seen] == [1, 2, 3]
    assert all(torch.equal(p, seen[-1][1][name]) for name, p in model.state_dict().items())
    named = set(re.findall(r"\w+-\d+", str(raised.value)))
    clean, blamed = ({e.example_id for e in batch.examples} for batch in feed(3))
    assert named == (blamed if poison == "loss" else blamed | clean)
    assert f"on {next(iter(blamed)).split('-')[0]}, examples" in str(raised.value)


def test_two_processes_equal_one(tmp_path):
    script = Path(__file__).with_name("standin_run.py")
    paths = os.pathsep.join([str(Path(workbench.__file__).parents[1]), str(script.parent)])
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    running = []
    for rank, world in ((0, 1), (0, 2), (1, 2)):
        folder = tmp_path / f"of {world}"
        folder.mkdir(exist_ok=True)
        ours = {"PYTHONPATH": paths, "OMP_NUM_THREADS": "1"}
        if world == 2:
            ours |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "ACCELERATE_USE_CPU": "true"}
            ours |= {"RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": str(world)}
        command = [sys.executable, str(script), str(folder), "8", "4", "0", "0"]
        running.append(subprocess.Popen(command, env=os.environ | ours, stderr=subprocess.PIPE, text=True))
    for process in running:
        _, errors = process.communicate()
        assert process.returncode == 0, errors
    one, two = (load_file(tmp_path / f"of {world}" / "final.safetensors") for world in (1, 2))
    assert all(torch.allclose(one[name], two[name], rtol=0, atol=1e-6) for name in one)
    alone, together = ((tmp_path / f"of {world}" / "curve.txt").read_text().split() for world in (1, 2))
    assert len(alone) == len(together)
    for one_token, two_token in zip(alone, together, strict=True):
        if "0x" in one_token:  # losses and gradient norms; steps, token counts and the rest are equal
            assert float.fromhex(one_token) == pytest.approx(float.fromhex(two_token), abs=1e-5)
        else:
            assert one_token == two_token

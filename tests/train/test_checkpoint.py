import json
import os
import random
import resource
import signal
import time
from functools import partial

import numpy as np
import pytest
import torch
from accelerate import Accelerator
from safetensors import safe_open
from standin import Standin, batches

import workbench.train.checkpoint as checkpoint
from workbench.config import Train
from workbench.train.checkpoint import FILE, CheckpointError, Progress, load, save
from workbench.train.loop import train
from workbench.train.optimizer import adamw
from workbench.train.schedule import learning_rate

CONFIG = Train(steps=10, warmup_steps=2, learning_rate=1e-2)


def trained(steps=4):
    model = Standin()
    optimizer = adamw(model.trainable(), CONFIG)
    schedule, accelerator = partial(learning_rate, config=CONFIG), Accelerator(cpu=True)
    loop = train(
        model, optimizer, schedule, batches(), accelerator,
        precision="fp32", seed=1, start_step=0, steps=steps,
    )  # fmt: skip
    assert [step for step, _ in loop][-1] == steps
    return model, optimizer


def fresh():
    model = Standin()
    return model, adamw(model.trainable(), CONFIG)


def test_everything_comes_back_exactly(tmp_path):
    model, optimizer = trained()
    save(tmp_path, model.trainable(), optimizer, Progress("abc", 4, 0.5, 3))
    expected = (random.random(), np.random.random(), torch.rand(3).tolist())
    other, restored = fresh()
    assert load(tmp_path, other.trainable(), restored, "abc") == Progress("abc", 4, 0.5, 3)
    assert (random.random(), np.random.random(), torch.rand(3).tolist()) == expected
    for name, parameter in model.trainable().items():
        twin = other.trainable()[name]
        assert torch.equal(parameter, twin)
        states = optimizer.state[parameter], restored.state[twin]
        assert states[0].keys() == states[1].keys() == {"step", "exp_avg", "exp_avg_sq"}
        assert all(torch.equal(states[0][key], states[1][key]) for key in states[0])


def test_only_what_is_trained_is_saved(tmp_path):
    save(tmp_path, *_of(trained()), Progress("abc", 4))
    with safe_open(tmp_path / FILE, "pt") as opened:
        names = [name for name in opened.keys() if name.startswith("parameter/")]  # noqa: SIM118
        assert json.loads(opened.metadata()["workbench"])["progress"]["step"] == 4
    assert set(names) == {f"parameter/{name}" for name in Standin().trainable()}


def _of(pair):
    return pair[0].trainable(), pair[1]


def test_no_checkpoint_means_a_start_from_the_beginning(tmp_path):
    assert load(tmp_path, *_of(fresh()), "abc") is None


def test_a_kill_at_any_moment_leaves_one_whole_checkpoint(tmp_path):
    model, optimizer = trained(1)
    big = {**model.trainable(), "big": torch.nn.Parameter(torch.zeros(300_000))}

    def fill_and_save(step):
        with torch.no_grad():
            for parameter in big.values():
                parameter.fill_(step)
        save(tmp_path, big, optimizer, Progress("abc", step))

    fill_and_save(0)
    reached = set()
    for _ in range(15):
        child = os.fork()
        if child == 0:
            for step in range(1, 10_000):
                fill_and_save(step)
        time.sleep(random.SystemRandom().uniform(0.01, 0.05))
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        progress = load(tmp_path, big, optimizer, "abc")
        assert {parameter.unique().item() for parameter in big.values()} == {progress.step}
        reached.add(progress.step)
    assert len(reached) > 1, "no kill came after a save"
    fill_and_save(1)
    assert [path.name for path in tmp_path.iterdir()] == [FILE]


def test_the_checkpoint_of_another_configuration_is_refused_untouched(tmp_path):
    save(tmp_path, *_of(trained()), Progress("abc", 4))
    model, optimizer = fresh()
    with pytest.raises(CheckpointError, match="belongs to run abc, not to xyz"):
        load(tmp_path, model.trainable(), optimizer, "xyz")
    assert torch.equal(model.words.weight, Standin().words.weight)


def test_a_model_with_other_parameters_is_refused(tmp_path):
    save(tmp_path, *_of(trained()), Progress("abc", 4))
    model, optimizer = fresh()
    fewer = {name: p for name, p in model.trainable().items() if name != "norm.bias"}
    with pytest.raises(CheckpointError, match=r"norm\.bias"):
        load(tmp_path, fewer, optimizer, "abc")
    wider = {name: p for name, p in model.trainable().items()} | {"words.weight": torch.zeros(1, 1)}
    with pytest.raises(CheckpointError, match=r"words\.weight"):
        load(tmp_path, wider, optimizer, "abc")


@pytest.mark.parametrize("data", [b"", b"not a checkpoint", None])
def test_a_damaged_file_is_named(tmp_path, data):
    save(tmp_path, *_of(trained()), Progress("abc", 4))
    path = tmp_path / FILE
    path.write_bytes(path.read_bytes()[:-50] if data is None else data)
    with pytest.raises(CheckpointError, match=rf"{FILE} is damaged"):
        load(tmp_path, *_of(fresh()), "abc")


def refuse_with_enospc(monkeypatch):
    def full(tensors, path, metadata):
        path.write_bytes(b"half of it")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(checkpoint, "save_file", full)


def refuse_with_a_size_limit(monkeypatch):
    """The kernel's own refusal in the middle of a write; the test lifts the limit."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (2000, resource.getrlimit(resource.RLIMIT_FSIZE)[1]))


@pytest.mark.parametrize("refuse", [refuse_with_enospc, refuse_with_a_size_limit])
def test_a_disk_that_refuses_leaves_the_old_checkpoint(tmp_path, monkeypatch, refuse):
    save(tmp_path, *_of(trained(2)), Progress("abc", 2))
    before = (tmp_path / FILE).read_bytes()
    model, optimizer = trained(4)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    refuse(monkeypatch)
    try:
        with pytest.raises(CheckpointError, match=r"step 4 could not be written .* make room"):
            save(tmp_path, model.trainable(), optimizer, Progress("abc", 4))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert (tmp_path / FILE).read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == [FILE]
    assert load(tmp_path, *_of(fresh()), "abc").step == 2

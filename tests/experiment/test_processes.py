"""Several processes under accelerate make one run together, and come to what one alone comes to."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import small_world
from safetensors.torch import load_file

import workbench
from workbench import files
from workbench.config import changed
from workbench.experiment.answers import WEIGHTS
from workbench.experiment.curve import read_curve
from workbench.experiment.fit import fit
from workbench.experiment.record import Record

PROGRAM = """
import sys
from pathlib import Path
from accelerate import PartialState
from small_world import CONFIG
from workbench.config import changed
from workbench.experiment.fit import fit
folder = fit(changed(CONFIG, {"train.precision": "fp32"}), "instruct", Path(sys.argv[1]))
print(PartialState().num_processes, "processes")
print(folder)
"""


def without_dropout(world: Path, target: Path) -> Path:
    """A copy whose Q-Former drops nothing: each process draws its own dropout."""
    shutil.copytree(world, target)
    path = target / "backbones/micro/blip2-t5/config.json"
    settings = files.read_json(path)
    settings["qformer_config"] |= {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
    files.write_json(path, settings)
    return target


def test_two_processes_make_one_run(world, home, tmp_path_factory, monkeypatch):
    world = without_dropout(world, tmp_path_factory.mktemp("still") / "world")
    paths = os.pathsep.join(
        [str(Path(workbench.__file__).parents[1]), str(Path(small_world.__file__).parent)]
    )
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    running = []
    for rank in range(2):
        ours = {"PYTHONPATH": paths, "DVC_ROOT": str(home), "CUDA_VISIBLE_DEVICES": ""}
        ours |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
        ours |= {"RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": "2"}
        running.append(
            subprocess.Popen(
                [sys.executable, "-c", PROGRAM, str(world)],
                env=os.environ | ours,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
        )
    said = [process.communicate() for process in running]
    assert [process.returncode for process in running] == [0, 0], said
    (folder,) = (home / "runs").iterdir()
    assert [out.splitlines()[-2:] for out, _ in said] == [["2 processes", str(folder)]] * 2
    monkeypatch.setenv("DVC_ROOT", str(tmp_path_factory.mktemp("alone")))
    alone = fit(changed(small_world.CONFIG, {"train.precision": "fp32"}), "instruct", world)
    assert alone.name == folder.name
    for one, two in zip(read_curve(alone), read_curve(folder), strict=True):
        assert one["tokens"] == two["tokens"]
        assert two["loss"] == pytest.approx(one["loss"], abs=1e-5)
        assert {k: v for k, v in one.items() if k.startswith("val")} == pytest.approx(
            {k: v for k, v in two.items() if k.startswith("val")}
        )
    weights, others = load_file(alone / WEIGHTS), load_file(folder / WEIGHTS)
    # softmax takes no notice of a key's bias: its gradient is rounding, of which Adam makes whole steps
    told = [name for name in weights if not name.endswith("key.bias")]
    assert [name for name in told if (weights[name] - others[name]).abs().max() > 1e-6] == []
    assert Record.read(folder).examples == Record.read(alone).examples
    assert Record.read(folder).cost.flops == pytest.approx(Record.read(alone).cost.flops, rel=0.2)

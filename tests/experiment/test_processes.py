"""Several processes under accelerate make one run together, and come to what one alone comes to."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import small_world
from safetensors.torch import load_file

import workbench
from workbench.experiment.answers import WEIGHTS
from workbench.experiment.fit import fit, read_curve
from workbench.experiment.record import Record

PROGRAM = """
import sys
from pathlib import Path
from small_world import CONFIG
from workbench.experiment.fit import fit
print(fit(CONFIG, "instruct", Path(sys.argv[1])))
"""


def test_two_processes_make_one_run(world, home, tmp_path_factory, monkeypatch):
    paths = os.pathsep.join(
        [str(Path(workbench.__file__).parents[1]), str(Path(small_world.__file__).parent)]
    )
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    running = []
    for rank in range(2):
        ours = {"PYTHONPATH": paths, "DVC_ROOT": str(home), "ACCELERATE_USE_CPU": "true"}
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
    assert {out.strip().splitlines()[-1] for out, _ in said} == {str(folder)}
    monkeypatch.setenv("DVC_ROOT", str(tmp_path_factory.mktemp("alone")))
    alone = fit(small_world.CONFIG, "instruct", world)
    assert alone.name == folder.name
    for one, two in zip(read_curve(alone), read_curve(folder), strict=True):
        assert one["tokens"] == two["tokens"]
        assert two["loss"] == pytest.approx(one["loss"], abs=1e-4)
        assert {k: v for k, v in one.items() if k.startswith("val")} == pytest.approx(
            {k: v for k, v in two.items() if k.startswith("val")}
        )
    weights, others = load_file(alone / WEIGHTS), load_file(folder / WEIGHTS)
    assert all((weights[name] - others[name]).abs().max() < 1e-4 for name in weights)
    assert Record.read(folder).cost.flops == pytest.approx(Record.read(alone).cost.flops, rel=0.2)

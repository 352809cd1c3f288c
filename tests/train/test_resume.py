import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import workbench

SCRIPT = Path(__file__).with_name("standin_run.py")
STEPS, EVERY = 120, 7


def start(folder, pause):
    folder.mkdir(exist_ok=True)
    paths = os.pathsep.join([str(Path(workbench.__file__).parents[1]), str(SCRIPT.parent)])
    environment = os.environ | {"PYTHONPATH": paths, "OMP_NUM_THREADS": "1"}
    arguments = [str(folder), str(STEPS), str(EVERY), str(pause), "0.2"]
    return subprocess.Popen([sys.executable, str(SCRIPT), *arguments], env=environment)


def lines(folder):
    path = folder / "curve.txt"
    return path.read_text().count("\n") if path.exists() else 0


def test_a_killed_run_goes_on_to_the_same_bytes(tmp_path):
    whole = start(tmp_path / "whole", pause=0)
    killed, seed = tmp_path / "killed", random.SystemRandom().randrange(2**32)
    kills = sorted(random.Random(seed).sample(range(3, STEPS - 10), 2))
    for kill in kills:
        process = start(killed, pause=0.01)
        while lines(killed) < kill and process.poll() is None:
            time.sleep(0.001)
        process.send_signal(signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL, "it ended before it was killed"
        assert kill <= lines(killed) < STEPS
    assert start(killed, pause=0).wait() == 0
    assert whole.wait() == 0
    for name in ("curve.txt", "final.safetensors"):
        assert (killed / name).read_bytes() == (tmp_path / "whole" / name).read_bytes(), f"kills at {kills}"
    assert lines(killed) == STEPS

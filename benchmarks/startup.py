"""What one waits for before anything happens: the command line, imports, DVC, and MLflow's records.

python benchmarks/startup.py                 # from the repository root, after `make repro`
python benchmarks/startup.py --whole 333     # as a share of the seconds that `make repro` took
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

REPEATS = 3
RUNS, POINTS, VALUES = (3 + 5) / 2, 20, 30  # trainings and examinations, two at a time; of each, in MLflow
READY = """
import tempfile
from pathlib import Path
from workbench.config import Config
from workbench.stages.side_by_side import ready
home = tempfile.TemporaryDirectory()
ready(Config(), Path(home.name))
"""
FORKED = """
from workbench.stages.fork_server import Server
raise SystemExit(Server().fork("builtins:print").wait())
"""
# what each stage of `make repro` does before its work begins
STAGES = {
    "prepare": "import workbench.stages.prepare",
    "features": "import workbench.stages.features" + READY + FORKED,  # the first one that wants a server
    "tune": "import workbench.stages.tune" + FORKED,
    "evaluate": "import workbench.stages.evaluate" + FORKED,
    "report": "import workbench.stages.report",
}
TRACKED = f"""
{READY}
import time
from workbench import tracking
begun = time.perf_counter()
with tracking.run(Path(home.name), Config(), name="run", signature="run", tags={{}}) as track:
    for step in range({POINTS}):
        track.metrics(step, {{f"value {{n}}": 1.0 for n in range({VALUES})}})
print(time.perf_counter() - begun)
"""


def seconds(*command: str) -> float:
    """The wall time of a command that has to succeed."""
    begun = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    return time.perf_counter() - begun


def main(whole: float) -> None:
    """One line each, then what `make repro` needs besides its work."""
    commands = {
        "python": [sys.executable, "-c", "pass"],
        "workbench --help": [sys.executable, "-m", "workbench.cli", "--help"],
        **{f"stage {name}": [sys.executable, "-c", begins] for name, begins in STAGES.items()},
        "dvc repro, nothing to do": [str(Path(sys.executable).parent / "dvc"), "repro"],
    }
    taken: dict[str, list[float]] = {name: [] for name in commands}
    for repeat in range(REPEATS):
        os.environ["STARTUP_REPEAT"] = str(repeat)  # another environment wants another server
        for name, command in commands.items():
            taken[name].append(seconds(*command))
    lines = {name: statistics.median(values) for name, values in taken.items()}
    found = subprocess.run([sys.executable, "-c", TRACKED], check=True, capture_output=True, text=True)
    lines["a run in MLflow"] = float(found.stdout.split()[-1])
    for name, took in lines.items():
        print(f"{name:26} {took:6.2f} s")
    besides = sum(took for name, took in lines.items() if name.startswith(("stage", "dvc")))
    besides += RUNS * lines["a run in MLflow"]
    share = f", {besides / whole:.1%} of {whole:g} s" if whole else ""
    print(f"start-up, DVC and tracking of `make repro`: {besides:.1f} s{share}")


if __name__ == "__main__":
    plain = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=plain)
    parser.add_argument("--whole", type=float, default=0.0, help="seconds that `make repro` took")
    main(parser.parse_args().whole)

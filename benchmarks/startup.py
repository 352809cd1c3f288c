"""What one waits for before anything happens: the command line, imports, DVC, and MLflow's records.

python benchmarks/startup.py                 # from the repository root, after `make repro`
python benchmarks/startup.py --whole 333     # as a share of the seconds that `make repro` took
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import time
from pathlib import Path

from workbench.stages.side_by_side import TRACKING

REPEATS = 3
QUICK = "import workbench.stages.uncollected, "
# what each stage of `make repro` imports before its work begins, as it does
STAGES = {
    "prepare": "import workbench.stages.prepare",
    "features": QUICK + "torch, workbench.data.features, workbench.stages.features",
    "tune": QUICK + ", ".join(["workbench.experiment.fit", *TRACKING]),
    "evaluate": QUICK + ", ".join(["workbench.experiment.score", *TRACKING]),
    "report": "import workbench.stages.report",
}
RUNS, POINTS, VALUES = (3 + 5) / 2, 20, 30  # trainings and examinations, two at a time; of each, in MLflow
# what the process that waits does while the fork server of `tune` imports
DATABASE = """
import tempfile
from pathlib import Path
from workbench.config import Config
from workbench.stages.side_by_side import ready
with tempfile.TemporaryDirectory() as home:
    ready(Config(), Path(home))
"""
TRACKED = f"""
import tempfile, time
from pathlib import Path
from workbench.config import Config
from workbench.stages.side_by_side import ready
from workbench import tracking
with tempfile.TemporaryDirectory() as home:
    ready(Config(), Path(home))
    begun = time.perf_counter()
    with tracking.run(Path(home), Config(), name="run", signature="run", tags={{}}) as track:
        for step in range({POINTS}):
            track.metrics(step, {{f"value {{n}}": 1.0 for n in range({VALUES})}})
    print(time.perf_counter() - begun)
"""


def seconds(*command: str) -> float:
    """The median wall time of a command that has to succeed."""
    taken = []
    for _ in range(REPEATS):
        begun = time.perf_counter()
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        taken.append(time.perf_counter() - begun)
    return statistics.median(taken)


def main(whole: float) -> None:
    """One line each, then what `make repro` needs besides its work."""
    lines = {
        "python": seconds(sys.executable, "-c", "pass"),
        "workbench --help": seconds(sys.executable, "-m", "workbench.cli", "--help"),
        **{f"stage {name}": seconds(sys.executable, "-c", imports) for name, imports in STAGES.items()},
        "the database, beside tune": seconds(sys.executable, "-c", DATABASE),
        "dvc repro, nothing to do": seconds(str(Path(sys.executable).parent / "dvc"), "repro"),
    }
    found = subprocess.run([sys.executable, "-c", TRACKED], check=True, capture_output=True, text=True)
    lines["a run in MLflow"] = float(found.stdout.split()[-1])
    for name, took in lines.items():
        print(f"{name:26} {took:6.2f} s")
    besides = sum(took for name, took in lines.items() if name.startswith(("stage", "dvc")))
    besides += max(0.0, lines["the database, beside tune"] - lines["stage tune"])
    besides += RUNS * lines["a run in MLflow"]
    share = f", {besides / whole:.1%} of {whole:g} s" if whole else ""
    print(f"start-up, DVC and tracking of `make repro`: {besides:.1f} s{share}")


if __name__ == "__main__":
    plain = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=plain)
    parser.add_argument("--whole", type=float, default=0.0, help="seconds that `make repro` took")
    main(parser.parse_args().whole)

"""What one waits for before anything happens: the command line, imports, and DVC finding nothing to do."""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from pathlib import Path

REPEATS = 3
IMPORTS = (
    "workbench.cli",
    "workbench.config",
    "workbench.experiment.fit",
    "workbench.experiment.score",
    "workbench.report.render",
    "torch",
    "transformers",
    "mlflow",
)


def seconds(*command: str) -> float:
    """The median wall time of a command that has to succeed."""
    taken = []
    for _ in range(REPEATS):
        begun = time.perf_counter()
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        taken.append(time.perf_counter() - begun)
    return statistics.median(taken)


def main() -> None:
    """One line each; the ratio is to a Python that does nothing. Run it from the repository root."""
    bare = seconds(sys.executable, "-c", "pass")
    lines = {
        "python": bare,
        "workbench --help": seconds(sys.executable, "-m", "workbench.cli", "--help"),
        **{f"import {name}": seconds(sys.executable, "-c", f"import {name}") for name in IMPORTS},
    }
    # --dry checks everything that a repro without changes checks, and runs nothing if there are some
    check = [sys.executable, "-m", "dvc", "repro", "--dry"]
    said = subprocess.run(check, check=True, capture_output=True, text=True, cwd=Path.cwd()).stdout
    stale = said.count("Running stage")
    lines[f"dvc repro --dry ({stale} stages to run)"] = seconds(*check)
    for name, taken in lines.items():
        print(f"{taken:7.2f} s {taken / bare:7.1f}x  {name}")


if __name__ == "__main__":
    main()

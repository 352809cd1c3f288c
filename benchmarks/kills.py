"""Kills a worker and then the driver of a study of 24 stand-in cells, again and again.

Each round kills one of three workers and then the driver at random moments, and runs the driver once
more; then every cell has to be done, and none twice.
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "tests/search"))
from kill_rounds import round_of  # noqa: E402
from standin_study import CELLS  # noqa: E402


def main(rounds: int, seed: int) -> None:
    """A line for each round, then the sum; exit status 1 when a cell was lost or doubled."""
    draw, good = random.Random(seed), 0
    for number in range(rounds):
        began = time.perf_counter()
        with tempfile.TemporaryDirectory() as folder:
            counts = round_of(Path(folder) / "study", draw.randrange(2**32))
        good += (counts["done"], counts["twice"]) == (CELLS, 0)
        said = ", ".join(f"{name} {count}" for name, count in counts.items())
        print(f"round {number + 1:2}: {said} ({time.perf_counter() - began:.1f} s)", flush=True)
    print(f"{good} of {rounds} rounds: {CELLS} of {CELLS} cells done, none twice (seed {seed})")
    sys.exit(good != rounds)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(2**32))
    given = parser.parse_args()
    main(given.rounds, given.seed)

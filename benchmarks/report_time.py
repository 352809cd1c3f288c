"""How long the pages take to build from records, on stand-in results of the size of a real study.

python benchmarks/report_time.py    # 3 arms with 10 seeds, 150 examples of each of 27 datasets
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests/report"))
from report_outputs import open_image, suite, write_outputs
from study_outputs import write_study

from workbench.data.catalog import SCORED
from workbench.report.render import build
from workbench.report.study.page import build_study


def main(seeds: int, examples: int) -> None:
    """Seconds, by the wall and of this process alone, for a study's page and for the report."""
    with tempfile.TemporaryDirectory() as folder:
        outputs, reports = Path(folder) / "outputs", Path(folder) / "reports"
        study = write_study(outputs, tuple(range(101, 101 + seeds)), examples)
        write_outputs(outputs, examples)
        for name, work in (
            ("a study's page", lambda: build_study(study, reports, SCORED, open_image)),
            ("the report", lambda: build(outputs, reports, open_image, suite(), ["toy"])),
        ):
            began, busy = time.perf_counter(), time.process_time()
            work()
            wall, own = time.perf_counter() - began, time.process_time() - busy
            print(f"{name}: {wall:.1f} s, {own:.1f} s of processor")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--examples", type=int, default=150)
    given = parser.parse_args()
    main(given.seeds, given.examples)

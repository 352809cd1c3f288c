"""A real A/A study: one arm twice, with disjoint seeds. Whatever it finds is a false alarm.

    python benchmarks/same_arm.py              # reports/calibration/same_arm.csv
    python benchmarks/same_arm.py --seeds 3

The arm is `instruct` with params.yaml, seeds 101 and up against as many that follow; what is recorded is
taken from runs/, the rest is trained here, one after the other. `workbench ablate instruction_vs_multitask
--arms instruct --seeds 106,107,108,109,110` records the second half two at once.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from workbench import files
from workbench.config import changed, load
from workbench.experiment.score import score
from workbench.report.outputs import evaluated
from workbench.report.statistics.effects import Paired, effect
from workbench.search.study import MEASURES

ROOT = Path(__file__).parents[1]
OUT = ROOT / "reports/calibration/same_arm.csv"
FIRST_SEED = 101  # the studies' first


def examined(seeds: Sequence[int]) -> dict[str, list[pd.DataFrame]]:
    """Dataset -> a frame of its examples for each seed, in one order."""
    base, found = load(ROOT / "params.yaml"), dict[str, list[pd.DataFrame]]()
    for seed in seeds:
        frame, _ = evaluated(score(changed(base, {"train.seed": seed}), "instruct", ROOT))
        frame = frame[~frame["blind"].astype(bool)].sort_values(["dataset", "example_id"])
        for name, part in frame.groupby("dataset", sort=True):
            found.setdefault(str(name), []).append(part)
    return found


def differences(first: dict[str, list[pd.DataFrame]], second: dict[str, list[pd.DataFrame]]) -> pd.DataFrame:
    """Every average and every dataset: first half minus second half of the seeds."""
    pairs = {}
    for name, parts in first.items():
        halves = first[name], second[name]
        shares = [np.stack([part["score"].to_numpy(float) for part in half]) for half in halves]
        one = parts[0]
        images, positive = one["image_id"].astype(str).tolist(), one["positive"].to_numpy(bool)
        pairs[name] = Paired(str(one["metric"].iloc[0]), *shares, images, positive)
    measures = {**MEASURES, **{name: (name,) for name in sorted(pairs)}}
    lines = []
    for measure, names in measures.items():
        found = effect([pairs[name] for name in names])
        interval = found.interval
        lines.append((measure, found.seeds, found.value, interval.low, interval.high, found.p))
    return pd.DataFrame(lines, columns=["measure", "seeds", "effect", "low", "high", "p"])


def main() -> None:
    plain = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=plain)
    parser.add_argument("--seeds", type=int, default=5, help="of each half")
    count = parser.parse_args().seeds
    seeds = range(FIRST_SEED, FIRST_SEED + 2 * count)
    table = differences(examined(seeds[:count]), examined(seeds[count:]))
    files.write_text(OUT, table.to_csv(index=False, float_format="%.4g", lineterminator="\n"))
    print(table.to_string(index=False, float_format="%.3g"))
    apart = table.iloc[len(MEASURES) :]
    found = int((apart["p"] < 0.05).sum())
    print(f"p < .05 on {found} of {len(apart)} datasets, {0.05 * len(apart):.1f} expected")


if __name__ == "__main__":
    main()

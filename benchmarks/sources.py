"""How much seeds, images and their combinations vary in the recorded studies, for calibration.py's worlds.

    python benchmarks/sources.py        # after `workbench ablate` of some studies; prints a table

A line is the mean over one metric's datasets of the variances of the paired differences between two arms,
as standard deviations in points: what a training adds (seed), what is easier for one arm about an image
(image), and what only this training makes of this image (both). `alone` are image and both of the better
arm's own scores, and `level` is their mean. AUC's are of its margins, in nats.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from workbench.report.statistics.intervals import BOOTSTRAPPED, Floats
from workbench.report.statistics.variance import variance
from workbench.report.study.cells import Study
from workbench.report.study.collected import read_study
from workbench.report.study.effects import comparisons

ROOT = Path(__file__).parents[1]


def squares(shares: Floats, images: Sequence[str]) -> tuple[float, float, float]:
    """Variance of a seed, an image and a cell, in squared points."""
    found = variance(shares, images)
    seed = max(found.by_seed - found.residual, 0.0) * found.seeds
    return seed, found.common * found.images, found.residual * found.seeds * found.images


def lines(study: Study) -> Iterator[dict[str, object]]:
    """One for each comparison and dataset."""
    for better, worse in comparisons(study):
        for dataset in study.asked:
            pair = study.pair(better, worse, dataset)
            if len(pair.first) < 3:
                continue
            seed, image, both = squares(pair.first - pair.second, pair.images)
            _, alone, noise = squares(pair.first, pair.images)
            yield {
                "study": study.name,
                "arms": f"{better}, {worse}",
                "metric": pair.metric if pair.metric in BOOTSTRAPPED else "share",
                "seed": seed,
                "image": image,
                "both": both,
                "alone image": alone,
                "alone both": noise,
                "level": pair.first.mean(),
            }


def main() -> None:
    """Prints the table."""
    folders = sorted((ROOT / "outputs/studies").glob("*/cells.json"))
    found = pd.DataFrame([line for path in folders for line in lines(read_study(path.parent))])
    means = found.groupby(["metric", "study", "arms"], sort=False).mean()
    parts = [name for name in means if name != "level"]
    means[parts] = np.sqrt(means[parts])
    print(means.round(1).to_string())


if __name__ == "__main__":
    main()

"""How much of the residual variance may come off the seeds' share (`HIDDEN`, report/statistics/variance.py)?

    python benchmarks/share_of_seeds.py        # prints a table, in a minute

Studies of a normal model with 100 images, over all ratios of its three sources: what a seed adds, what an
image adds and the residual. Less off makes intervals too wide where seeds add nothing; more off finds what
is not there where they do, above all far out, where Holm decides.
"""

from __future__ import annotations

import itertools

import numpy as np

from workbench.report.statistics.behrens_fisher import Floats, criticals

SEEDS, IMAGES, STUDIES = (3, 5, 10), 100, 50_000
RATIOS = (0.0, 0.05, 0.1, 0.2, 0.35, 0.5, 0.7, 0.9, 1.0)
LEVELS = (0.05, 0.0125, 0.005)
TAKEN = (0.0, 0.2, 0.3, 0.4, 0.5, 0.7, 1.0)


def missed(rng: np.random.Generator, seeds: int, of_seeds: float, of_residual: float) -> list[list[float]]:
    """Percentage of studies whose truth lies outside, for each of TAKEN and of LEVELS.

    Args:
        of_seeds: their share of the error, beyond the residual's.
        of_residual: its share of the rest.
    """
    residual = (1 - of_seeds) * of_residual
    by_seed = (of_seeds + residual) * _estimates(rng, seeds - 1)
    by_image = (1 - of_seeds) * _estimates(rng, IMAGES - 1)
    left = residual * _estimates(rng, (seeds - 1) * (IMAGES - 1))
    rows, columns = seeds - 1, IMAGES - 1
    by_cell = (rows * columns * left + rows * by_seed + columns * by_image) / (seeds * IMAGES - 1)
    total = np.maximum.reduce([by_seed + by_image - by_cell, by_seed, by_image])  # Variance.total
    ratios = np.abs(rng.standard_normal(STUDIES)) / np.sqrt(total)
    found = []
    for taken in TAKEN:
        shares = np.clip((by_seed - taken * left) / total, 0, 1)
        bars = [criticals(level, seeds - 1, IMAGES - 1)(shares) for level in LEVELS]
        found.append([float(100 * (ratios > bar).mean()) for bar in bars])
    return found


def _estimates(rng: np.random.Generator, freedom: int) -> Floats:
    return rng.chisquare(freedom, STUDIES) / freedom


def main() -> None:
    """Prints coverage, and false findings further out, for each part taken off."""
    rng = np.random.default_rng(2023)
    far = " and at ".join(map(str, LEVELS[1:]))
    print(f"taken off  seeds  coverage, %    found by chance, %, worst and mean at {far}")
    for seeds in SEEDS:
        cases = np.array([missed(rng, seeds, *both) for both in itertools.product(RATIOS, RATIOS)])
        for taken, lines in zip(TAKEN, np.moveaxis(cases, 1, 0), strict=True):
            covered = 100 - lines[:, 0]
            far = "   ".join(f"{line.max():.1f} {line.mean():.1f}" for line in lines[:, 1:].T)
            print(f"{taken:9.1f}  {seeds:5d}  {covered.min():.1f} to {covered.max():.1f}   {far}")


if __name__ == "__main__":
    main()

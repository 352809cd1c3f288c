"""How much scores move with the wording of a template, and whether arms change places."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pandas as pd
from scipy.stats import f as f_distribution

ROUNDING = 1e-12  # share of all squares below which a sum of squares is none


def shared(values: pd.DataFrame) -> pd.DataFrame:
    """The lines of those seeds that every arm has: arms with other seeds would differ by these as well."""
    arms = values.groupby("seed")["arm"].nunique()
    return values[values["seed"].isin(arms[arms == values["arm"].nunique()].index)]


def by_template(frame: pd.DataFrame) -> pd.DataFrame:
    """arm, seed, dataset, template, value: means over the examples of a probe frame."""
    means = frame.groupby(["arm", "seed", "probe", "group"], sort=False)["score"].mean().reset_index()
    return means.rename(columns={"probe": "dataset", "group": "template", "score": "value"})


def spreads(values: pd.DataFrame) -> pd.DataFrame:
    """By arm and dataset, over templates: mean, worst and best, their distance, standard deviation.

    Values are averaged over seeds first, so that the noise of a training does not pass for sensitivity.
    """
    cells = values.groupby(["arm", "dataset", "template"], sort=False)["value"].mean()
    table = cells.groupby(["arm", "dataset"], sort=False).agg(["mean", "min", "max", "std"]).reset_index()
    table = table.rename(columns={"min": "worst", "max": "best", "std": "deviation"})
    return table.assign(spread=table["best"] - table["worst"])


def flips(values: pd.DataFrame) -> pd.DataFrame:
    """By dataset and pair of arms: how often two templates disagree about which arm is better, in percent.

    Over all pairs of templates and the seeds that all arms share; a tie agrees with nothing and disagrees
    with nothing. At 0 the choice of the template does not decide who wins, at 50 it decides as a coin would.
    """
    lines = []
    cells = shared(values).groupby(["dataset", "template", "arm"], sort=False)["value"].mean()
    for dataset, part in cells.groupby("dataset", sort=False):
        wide = part.droplevel("dataset").unstack("arm")
        for one, other in combinations(dict.fromkeys(values["arm"]), 2):
            signs = np.sign((wide[one] - wide[other]).to_numpy())
            pairs = [first * second for first, second in combinations(signs, 2)]
            share = 100 * float(np.mean([product < 0 for product in pairs])) if pairs else 0.0
            lines.append({"dataset": dataset, "one": one, "other": other, "flips": share})
    return pd.DataFrame(lines)


def interaction(values: pd.DataFrame) -> pd.DataFrame:
    """By dataset: whether arms differ in what templates do to them.

    Two-way analysis of variance of arms and templates with seeds as replicates of an arm, the templates
    crossed with them (a split plot): arms are tested against seeds within arms, templates and the
    interaction against what is left. Needs two seeds.

    Raises:
        ValueError: when cells are missing, or with one seed.
    """
    lines = []
    for dataset, part in values.groupby("dataset", sort=False):
        cube = part.pivot_table(index=["arm", "seed"], columns="template", values="value", sort=False)
        seeds = sorted(set(part["seed"]))
        arms = list(dict.fromkeys(part["arm"]))
        if len(seeds) < 2 or len(cube) != len(arms) * len(seeds) or cube.isna().to_numpy().any():
            raise ValueError(
                f"{dataset}: an interaction needs two seeds at least and every arm with each of them; "
                "run the cells that are missing"
            )
        block = cube.to_numpy().reshape(len(arms), len(seeds), -1)
        total = float(((block - block.mean()) ** 2).sum())
        for effect, squares, freedom, against, left in _split_plot(block):
            if not freedom:  # of one arm, or one template
                continue
            ratio = _ratio(squares / freedom, against / left, ROUNDING * total)
            lines.append(
                {
                    "dataset": dataset,
                    "effect": effect,
                    "share": 100 * squares / total if total else 0.0,
                    "F": ratio,
                    "p": float(f_distribution.sf(ratio, freedom, left)),
                }
            )
    return pd.DataFrame(lines)


def _ratio(effect: float, error: float, nothing: float) -> float:
    """F of two mean squares; infinite without error, NaN where there is no effect either."""
    if error > nothing:
        return effect / error
    return np.inf if effect > nothing else np.nan


def _split_plot(block: np.ndarray) -> list[tuple[str, float, int, float, int]]:
    """(effect, sum of squares, its freedom, the error's sum of squares, the error's freedom)."""
    arms, seeds, templates = block.shape
    grand = block.mean()
    by_arm, by_template = block.mean((1, 2)), block.mean((0, 1))
    plots, cells = block.mean(2), block.mean(1)
    arm = seeds * templates * float(((by_arm - grand) ** 2).sum())
    plot = templates * float(((plots - by_arm[:, None]) ** 2).sum())
    template = arms * seeds * float(((by_template - grand) ** 2).sum())
    both = seeds * float(((cells - by_arm[:, None] - by_template + grand) ** 2).sum())
    rest = float(((block - grand) ** 2).sum()) - arm - plot - template - both
    plots_left, left = arms * (seeds - 1), arms * (seeds - 1) * (templates - 1)
    return [
        ("arm", arm, arms - 1, plot, plots_left),
        ("template", template, templates - 1, max(rest, 0.0), left),
        ("arm x template", both, (arms - 1) * (templates - 1), max(rest, 0.0), left),
    ]

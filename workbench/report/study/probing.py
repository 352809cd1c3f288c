"""Tables about probes: rates with intervals, what changes between groups, and errors of counting."""

from __future__ import annotations

import numpy as np
import pandas as pd

from workbench.report.statistics.intervals import Floats
from workbench.report.statistics.variance import variance


def rates(frame: pd.DataFrame, column: str = "score") -> pd.DataFrame:
    """Mean of a column by arm, probe and group, with 95 % intervals over training seeds and pictures.

    Args:
        frame: see `frames.probes`.
    """
    lines = []
    for (arm, probe, group), part in frame.groupby(["arm", "probe", "group"], sort=False):
        shares, images = _shares(part, column)
        lines.append({"arm": arm, "probe": probe, "group": group, **_numbers(shares, images)})
    return pd.DataFrame(lines)


def yes_rates(frame: pd.DataFrame) -> pd.DataFrame:
    """How often the answer is yes, in percent: a model that says yes to everything is right half the time."""
    presence = frame[frame["probe"] == "presence"]
    return rates(presence.assign(yes=100.0 * (presence["prediction"] == "yes")), "yes")


def counting_errors(frame: pd.DataFrame) -> pd.DataFrame:
    """By arm, probe and true number: mean of said minus true, mean distance, percent that are no number."""
    counted = frame[frame["probe"].str.startswith("counting")]
    said = pd.to_numeric(counted["prediction"], errors="coerce")
    counted = counted.assign(said=said.where(np.isfinite(said)))  # "infinity" is no number of things
    counted = counted.assign(error=counted["said"] - counted["group"].astype(float))
    lines = []
    for (arm, probe, group), part in counted.groupby(["arm", "probe", "group"], sort=False):
        lines.append(
            {
                "arm": arm,
                "probe": probe,
                "true": int(str(group)),
                "bias": float(part["error"].mean()),
                "distance": float(part["error"].abs().mean()),
                "no number": 100 * float(part["said"].isna().mean()),
                "n": len(part),
            }
        )
    return pd.DataFrame(lines)


def changes(frame: pd.DataFrame, probe: str, base: str) -> pd.DataFrame:
    """By arm and group: points gained over the base group on the same pictures, and how often answers differ.

    Answers are compared by their last word, because candidates can be worded otherwise.
    """
    lines = []
    for arm, part in frame[frame["probe"] == probe].groupby("arm", sort=False):
        told = part.assign(word=part["prediction"].str.split().str[-1].fillna(""))
        plain = told[told["group"] == base].set_index(["seed", "image_id"])
        for group, own in told[told["group"] != base].groupby("group", sort=False):
            own = own.set_index(["seed", "image_id"])
            both = own.join(plain[["score", "word"]], rsuffix="_base", how="inner")
            both = both.assign(change=both["score"] - both["score_base"]).reset_index()
            shares, images = _shares(both, "change")
            line = {"arm": arm, "group": group, **_numbers(shares, images)}
            line["other answer"] = 100 * float((both["word"] != both["word_base"]).mean())
            lines.append(line)
    return pd.DataFrame(lines)


def attention(frame: pd.DataFrame) -> pd.DataFrame:
    """By arm and group: how much more attention than its area a box gets (1: as much)."""
    boxed = frame[frame["attention"].notna()]
    return rates(boxed.assign(focus=boxed["attention"] / boxed["area"]), "focus")


def _shares(part: pd.DataFrame, column: str) -> tuple[Floats, list[str]]:
    """(S, n) values and the picture of each example; seeds that lack an example do not count."""
    wide = part.pivot_table(index="seed", columns=["image_id", "example_id"], values=column).dropna()
    return wide.to_numpy(dtype=np.float64), [str(image) for image in wide.columns.get_level_values(0)]


def _numbers(shares: Floats, images: list[str]) -> dict[str, float]:
    found = variance(shares, images).interval(float(shares.mean()))
    numbers = {"value": found.value, "low": found.low, "high": found.high}
    return numbers | {"seeds": shares.shape[0], "n": shares.shape[1]}

"""How high the right candidate comes in the sets that are scored by MRR: recall@k and mean rank.

Visual Dialog's own figures beside the MRR that the paper reports (Das et al. 2017, section 4.2). They
follow from the reciprocal ranks that every prediction carries.
"""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

PLACES = (1, 5, 10)


def ranked(predictions: pd.DataFrame, titles: Mapping[str, str]) -> pd.DataFrame:
    """One line per dataset and row: recall@1, @5 and @10 in percent and mean_rank (1 is best).

    The same without the picture ends in ``_blind``, NaN where that was not asked.

    Args:
        predictions: the report's: dataset, metric, row, blind, and 100 / rank in `score`.
        titles: of the datasets, in the order of the lines.
    """
    asked = predictions[(predictions["metric"] == "mrr") & predictions["dataset"].isin(list(titles))]
    rank = (100 / asked["score"]).round()
    places = {f"recall@{k}": 100.0 * (rank <= k) for k in PLACES}
    keys = ["dataset", "row", "blind"]
    means = asked[keys].assign(**places, mean_rank=rank).groupby(keys, sort=False).mean().reset_index()
    seeing, blind = (means[means["blind"] == kind].drop(columns="blind") for kind in (False, True))
    lines = seeing.merge(blind, how="left", on=keys[:2], suffixes=("", "_blind"))
    lines.insert(1, "title", lines["dataset"].map(dict(titles)))
    place = {name: number for number, name in enumerate(titles)}
    return lines.sort_values("dataset", key=lambda names: names.map(place), kind="stable", ignore_index=True)

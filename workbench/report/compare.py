"""From tables to the comparisons of the paper's Figure 4: scores, averages and paired differences."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from functools import cached_property
from typing import Any, Protocol

import numpy as np
import pandas as pd

from workbench.report.outputs import ReportError, Tables
from workbench.report.statistics.intervals import (
    BOOTSTRAPPED,
    Floats,
    Interval,
    Resampling,
    clustered,
    percentile,
    replicates,
    resample,
    value_of,
)


class Dataset(Protocol):
    """What the report wants to know of a catalogue entry."""

    @property
    def name(self) -> str: ...
    @property
    def title(self) -> str: ...
    @property
    def category(self) -> str: ...
    @property
    def metric(self) -> str: ...


@dataclass(frozen=True, slots=True)
class Suite:
    """The catalogue, passed in because the report does not know the data's room.

    Attributes:
        datasets: in the order of the tables; those in no average too.
        held_in, held_out: names; what is in neither is in no average.
        figure4: the held-out sets that the paper's Figure 4 averages.
        sampling: rule (sqrt, uniform, proportional) -> dataset -> probability, the manual factors in.
    """

    datasets: Sequence[Dataset]
    held_in: Sequence[str]
    held_out: Sequence[str]
    figure4: Sequence[str]
    sampling: Mapping[str, Mapping[str, float]]

    @property
    def groups(self) -> Mapping[str, Sequence[str]]:
        """The averages: title -> datasets."""
        percent = [d.name for d in self.datasets if d.metric != "cider"]
        return {
            HELD_OUT: self.figure4,
            HELD_IN: self.held_in,
            "held-out, all": self.held_out,
            "held-in, without CIDEr": [name for name in self.held_in if name in percent],
            "held-out, without CIDEr": [name for name in self.held_out if name in percent],
        }


HELD_IN = "held-in"
HELD_OUT = "held-out (Figure 4)"
OVERALL = "overall"
DOMAIN_COLUMNS = ("row", "dataset", "metric", "domain", "blind", "n", *(f.name for f in fields(Interval)))


@dataclass(frozen=True)
class Comparison:
    """Values with 95 % intervals over images; every frame has value, low, high, error, clusters.

    Attributes:
        scores: row, dataset, metric, blind, n.
        averages: row, group, datasets, blind.
        differences: minuend, subtrahend ("blind" for the same row without the picture), group (an
            average's title or a dataset's name).
        domains: row, dataset, metric, domain, blind, n; for datasets whose examples have one. CIDEr's
            document frequencies are those of the whole dataset, so that OVERALL is the mean of all
            domains' examples.
    """

    scores: pd.DataFrame
    averages: pd.DataFrame
    differences: pd.DataFrame
    domains: pd.DataFrame

    def average(self, row: str, group: str, blind: bool = False) -> Interval | None:
        """One average; None if the row was not scored blind."""
        return self._averages.get((row, group, blind))

    def score(self, row: str, dataset: str, blind: bool = False) -> Interval | None:
        """One score; None where there is none."""
        return self._scores.get((row, dataset, blind))

    def difference(self, minuend: str, subtrahend: str, group: str) -> Interval | None:
        """One difference; None if one of the rows is missing."""
        return self._differences.get((minuend, subtrahend, group))

    def domain_names(self, dataset: str) -> list[str]:
        """The dataset's domains in their order, OVERALL last; none if it has none."""
        return list(self.domains.loc[self.domains["dataset"] == dataset, "domain"].unique())

    def domain_size(self, dataset: str, domain: str) -> int:
        """How many examples of the dataset are of the domain."""
        frame = self.domains
        return int(frame.loc[(frame["dataset"] == dataset) & (frame["domain"] == domain), "n"].iloc[0])

    def domain(self, row: str, dataset: str, domain: str, blind: bool = False) -> Interval | None:
        """One domain's score; None where there is none."""
        return self._domains.get((row, dataset, domain, blind))

    # a page asks a thousand times, and to search a frame takes a millisecond

    @cached_property
    def _averages(self) -> dict[tuple[Any, ...], Interval]:
        return _by(self.averages, "row", "group", "blind")

    @cached_property
    def _scores(self) -> dict[tuple[Any, ...], Interval]:
        return _by(self.scores, "row", "dataset", "blind")

    @cached_property
    def _differences(self) -> dict[tuple[Any, ...], Interval]:
        return _by(self.differences, "minuend", "subtrahend", "group")

    @cached_property
    def _domains(self) -> dict[tuple[Any, ...], Interval]:
        return _by(self.domains, "row", "dataset", "domain", "blind")


@dataclass(frozen=True, slots=True)
class _Cell:
    """One row's predictions on one dataset, with or without the picture, in the order of example ids."""

    metric: str
    shares: Floats
    images: list[str]
    value: float
    replicated: Floats

    def interval(self) -> Interval:
        if self.metric in BOOTSTRAPPED:
            return percentile(self.value, self.replicated, len(set(self.images)))
        return clustered(self.shares, self.images)

    def minus(self, other: _Cell) -> Interval:
        if self.metric in BOOTSTRAPPED:
            difference = self.value - other.value
            return percentile(difference, self.replicated - other.replicated, len(set(self.images)))
        return clustered(self.shares - other.shares, self.images)


Cells = Mapping[tuple[str, bool, str], _Cell]


def compare(tables: Tables, suite: Suite) -> Comparison:
    """All scores, averages and differences with their intervals.

    Means of shares have image-clustered errors; CIDEr, AUC, MRR and averages over datasets an image
    bootstrap, the same counts for all rows, so that differences are paired.

    Raises:
        ReportError: if a dataset of the suite was not scored, or one is unknown to it.
    """
    known, scored = {d.name for d in suite.datasets}, set(tables.scores["dataset"])
    if unknown := sorted(scored - known):
        raise ReportError(f"{unknown[0]} was scored but is not in the catalogue; run `dvc repro`")
    if absent := sorted({*suite.held_in, *suite.held_out} - scored):
        raise ReportError(
            f"{absent[0]} is in the catalogue but was not scored, and the report averages over all; run "
            "`dvc repro` with an empty evaluate.datasets, or look at what there is with `workbench reproduce`"
        )
    resampling = resample(tables.predictions["image_id"])
    cells = {
        (str(row), bool(blind), str(dataset)): _cell(part.sort_values("example_id"), resampling)
        for (row, blind, dataset), part in tables.predictions.groupby(["row", "blind", "dataset"], sort=False)
    }
    order = {d.name: place for place, d in enumerate(suite.datasets)}
    scores = [
        {"row": row, "dataset": name, "metric": cell.metric, "blind": blind, "n": len(cell.shares)}
        | asdict(cell.interval())
        for (row, blind, name), cell in sorted(
            cells.items(), key=lambda item: (tables.rows.index(item[0][0]), item[0][1], order[item[0][2]])
        )
    ]
    return Comparison(
        pd.DataFrame(scores),
        pd.DataFrame(_averages(cells, tables.rows, suite)),
        pd.DataFrame(_differences(cells, tables.rows, suite)),
        pd.DataFrame(_domains(tables, cells, resampling), columns=DOMAIN_COLUMNS),
    )


def _cell(part: pd.DataFrame, resampling: Resampling) -> _Cell:
    metric = str(part["metric"].iloc[0])
    shares, positive = part["score"].to_numpy(float), part["positive"].to_numpy(bool)
    images = [str(image) for image in part["image_id"]]
    replicated = replicates(metric, shares, positive, images, resampling)
    return _Cell(metric, shares, images, value_of(metric, shares, positive), replicated)


def _domains(tables: Tables, cells: Cells, resampling: Resampling) -> list[dict[str, Any]]:
    """Each domain in the order in which the examples name them, then the whole dataset."""
    named = tables.predictions[tables.predictions["domain"] != ""]
    found = []
    for (row, blind, dataset), part in named.groupby(["row", "blind", "dataset"], sort=False):
        split = {
            str(domain): _cell(lines.sort_values("example_id"), resampling)
            for domain, lines in part.groupby("domain", sort=False)
            if lines["image_id"].nunique() > 1  # one picture has no interval
        }
        split[OVERALL] = cells[str(row), bool(blind), str(dataset)]
        for domain, cell in split.items():
            line = {"row": row, "dataset": dataset, "metric": cell.metric, "domain": domain, "blind": blind}
            found.append(line | {"n": len(cell.shares)} | asdict(cell.interval()))
    return found


def _averages(cells: Cells, rows: Sequence[str], suite: Suite) -> list[dict[str, Any]]:
    found = []
    for row in rows:
        for blind in (False, True):
            for group, names in suite.groups.items():
                parts = [cells[row, blind, name] for name in names if (row, blind, name) in cells]
                if parts and len(parts) == len(names):
                    line = {"row": row, "group": group, "datasets": len(names), "blind": blind}
                    found.append(line | asdict(_mean(parts)))
    return found


def _mean(parts: Sequence[_Cell], others: Sequence[_Cell] | None = None) -> Interval:
    """The average of the parts, or of parts minus others, each dataset counting the same."""
    values = np.array([part.value for part in parts])
    replicated = np.stack([part.replicated for part in parts])
    if others is not None:
        values = values - [other.value for other in others]
        replicated = replicated - np.stack([other.replicated for other in others])
    images = {image for part in parts for image in part.images}
    return percentile(float(values.mean()), replicated.mean(0), len(images))


def _differences(cells: Cells, rows: Sequence[str], suite: Suite) -> list[dict[str, Any]]:
    """`instruct` minus each other row, and each row minus itself without the picture."""
    pairs = [(("instruct", False), (row, False)) for row in rows if row != "instruct" and "instruct" in rows]
    pairs += [((row, False), (row, True)) for row in rows]
    found = []
    for minuend, subtrahend in pairs:
        names = {"minuend": minuend[0], "subtrahend": "blind" if subtrahend[1] else subtrahend[0]}
        for group, members in suite.groups.items():
            if members and all((*subtrahend, name) in cells for name in members):
                ours, theirs = ([cells[(*side, name)] for name in members] for side in (minuend, subtrahend))
                found.append(names | {"group": group} | asdict(_mean(ours, theirs)))
        for dataset in suite.datasets:
            if (*subtrahend, dataset.name) in cells:
                cell, other = cells[(*minuend, dataset.name)], cells[(*subtrahend, dataset.name)]
                found.append(names | {"group": dataset.name} | asdict(cell.minus(other)))
    return found


def _by(frame: pd.DataFrame, *names: str) -> dict[tuple[Any, ...], Interval]:
    """Each line's interval by the columns that tell it from the others."""
    keys = frame[list(names)].itertuples(index=False, name=None)
    found = frame[[field.name for field in fields(Interval)]].itertuples(index=False, name=None)
    return {key: Interval(*values) for key, values in zip(keys, found, strict=True)}

"""The tables of a study's page as files: <study>_<table>.csv beside it, with what the arms cost."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from workbench.report.study.cells import Cell, Study
from workbench.report.study.effects import Found, frame
from workbench.report.study.flips import Count

# Of one busy core with its share of memory, power supply and cooling. Nobody measured it: servers of 64
# cores draw 400 to 800 W under load. A cell is one process with one thread (env.sh).
WATTS = 10.0


@dataclass(frozen=True, slots=True)
class Cost:
    """Of one arm, mean over its cells; NaN-free: an arm without cells has no line.

    Attributes:
        trained: whether it is tuned at all.
    """

    arm: str
    cells: int
    trained: bool
    tune_seconds: float
    evaluate_seconds: float
    tune_flops: float
    evaluate_flops: float
    probe_seconds: float
    probe_flops: float
    peak_memory_bytes: float

    @property
    def watt_hours(self) -> float:
        """Of training, examination and probes of one cell: seconds x WATTS, an estimate."""
        return (self.tune_seconds + self.evaluate_seconds + self.probe_seconds) * WATTS / 3600


def costs(study: Study) -> list[Cost]:
    """What a cell of each arm took, on average; a training that arms share counts for each of them."""
    found = []
    for arm in study.arms:
        cells = [cell for cell in study.cells if cell.arm == arm.name]
        if cells:
            found.append(
                Cost(
                    arm=arm.name,
                    cells=len(cells),
                    trained=bool(cells[0].tune),
                    tune_seconds=_mean(cells, "tune", "seconds"),
                    evaluate_seconds=_mean(cells, "evaluate", "seconds"),
                    tune_flops=_mean(cells, "tune", "flops"),
                    evaluate_flops=_mean(cells, "evaluate", "flops"),
                    probe_seconds=_mean(cells, "probe", "seconds"),
                    probe_flops=_mean(cells, "probe", "flops"),
                    peak_memory_bytes=max(
                        cost["peak_memory_bytes"] for cell in cells for cost in cell.cost.values()
                    ),
                )
            )
    return found


def _mean(cells: Sequence[Cell], kind: str, field: str) -> float:
    values = [float(cell.cost[kind][field]) for cell in cells if kind in cell.cost]
    return sum(values) / len(values) if values else 0.0


def tables(study: Study, found: Found, changed: Sequence[Count]) -> dict[str, pd.DataFrame]:
    """Name -> what the page's table of that name shows, in full precision."""
    averages = [
        {
            "arm": one.arm,
            "measure": one.measure,
            "seeds": " ".join(map(str, one.seeds)),
            "value": one.found.value,
            "low": one.found.low,
            "high": one.found.high,
        }
        for one in found.averages
    ]
    runs = [
        {
            "arm": cell.arm,
            "seed": cell.seed,
            "training": cell.tune,
            "examination": cell.evaluate,
            "probing": cell.probe,
            "mlflow_training": cell.mlflow.get("tune", ""),
            "mlflow_examination": cell.mlflow.get("evaluate", ""),
            "mlflow_probing": cell.mlflow.get("probe", ""),
            "data": cell.data,
            "code": cell.code,
            "revision": study.revision.get("commit", ""),
        }
        for cell in study.cells
    ]
    spent = [
        {field: getattr(cost, field) for field in Cost.__dataclass_fields__}
        | {"watt_hours": cost.watt_hours, "watts_assumed": WATTS}
        for cost in costs(study)
    ]
    turns = [{field: getattr(one, field) for field in Count.__dataclass_fields__} for one in changed]
    shown = {
        "effects": frame(found),
        "arms": pd.DataFrame(averages),
        "cost": pd.DataFrame(spent),
        "flips": pd.DataFrame(turns),
        "runs": pd.DataFrame(runs),
    }
    if not study.probed:  # as in most studies
        for name in ("cost", "runs"):
            shown[name] = shown[name].drop(columns=[c for c in shown[name].columns if "prob" in c])
    return shown

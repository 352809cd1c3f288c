"""`workbench plan STUDY`: what is there, what is missing, and what it will take here."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from workbench.config import Config
from workbench.experiment.estimate import training_flops
from workbench.experiment.record import RECORD, Cost, Record
from workbench.records import ROWS
from workbench.search import probes
from workbench.search.cells import OnDisk, standing
from workbench.search.seeds import seeds_of
from workbench.search.study import Cell, cells, load
from workbench.surroundings import home

COUNTED = "counted on the first batch"


@dataclass(frozen=True, slots=True)
class ArmPlan:
    """One arm's cells and what one of them takes.

    Attributes:
        trainings: how many tuning runs are missing; fewer than cells where arms share them.
        examinations: how many examinations are missing.
        probings: how often its probes are still to be asked, if the study has any.
        tune_flops, evaluate_flops, probe_flops: of one cell; None where nothing here tells.
        source: where tune_flops is from.
    """

    arm: str
    row: str
    cells: int
    recorded: int
    trainings: int
    examinations: int
    probings: int
    tune_flops: float | None
    evaluate_flops: float | None
    probe_flops: float | None
    source: str


@dataclass(frozen=True, slots=True)
class Plan:
    """A study before it runs.

    Attributes:
        probed: whether the study asks its cells probes.
        tune_rate, evaluate_rate, probe_rate: seconds per floating-point operation of the records in runs/,
            which were made on this machine unless runs/ was copied; None where there are none. That of
            probes is the examinations' as long as none was asked.
    """

    arms: Sequence[ArmPlan]
    workers: int
    probed: bool
    tune_rate: float | None
    evaluate_rate: float | None
    probe_rate: float | None

    @property
    def hours(self) -> float | None:
        """Expected wall hours of what is missing, or None while a rate or a count is not known."""
        if self.unpriced:
            return None
        seconds = sum(runs * (flops or 0.0) * (rate or 0.0) for _, runs, flops, rate in self._missing())
        return seconds / 3600 / self.workers

    @property
    def unpriced(self) -> list[str]:
        """Kinds of runs that are missing and of which none is recorded to go by."""
        found = (kind for kind, runs, flops, rate in self._missing() if runs and None in (flops, rate))
        return list(dict.fromkeys(found))

    def _missing(self) -> Iterator[tuple[str, int, float | None, float | None]]:
        """Kind, runs of an arm, FLOPs of one, seconds for a FLOP; kind after kind."""
        yield from (("training", a.trainings, a.tune_flops, self.tune_rate) for a in self.arms)
        yield from (("examination", a.examinations, a.evaluate_flops, self.evaluate_rate) for a in self.arms)
        yield from (("asking of probes", a.probings, a.probe_flops, self.probe_rate) for a in self.arms)


def plan(
    base: Config,
    root: Path,
    name: str,
    seeds: str,
    workers: int | None,
    development: bool = False,
    arms: str = "",
) -> Plan:
    """Counts a study's cells, of some arms or of all, and prices the missing ones; nothing is trained.

    Args:
        workers: cells side by side; None: as many as `base` says.

    Raises:
        StudyError: for bad input.
        RunError: for missing data and edited records.
    """
    study = load(root / "experiments" / name, base)
    asked = study.named(arms)
    grid = [c for c in cells(study, base, seeds_of(seeds, development)) if c.arm.name in asked]
    found = standing(grid, asked, root)
    known = records(root)
    counted: set[str] = set()
    flops: dict[str, float] = {}
    priced = []
    for arm in study.arms:
        if own := [cell for cell in grid if cell.arm == arm]:
            priced.append(_arm(own, found, known, root, counted, flops))
    probed = any(on_disk.probed for on_disk in found.values())
    rates = {kind: rate(known, kind) for kind in ("tune", "evaluate", "probe")}
    asking = rates["probe"] or rates["evaluate"]
    at_once = base.workers if workers is None else workers
    return Plan(priced, at_once, probed, rates["tune"], rates["evaluate"], asking)


def lines(made: Plan) -> list[str]:
    """The plan as text: a line for each arm, then the sum."""
    width = max(len(arm.arm) for arm in made.arms)
    said = [f"{'arm':{width}}  cells  recorded  TFLOP to tune  TFLOP to examine"]
    said[0] += "  TFLOP to probe" if made.probed else ""
    for arm in made.arms:
        tune, evaluate = _tera(arm.tune_flops), _tera(arm.evaluate_flops)
        said.append(f"{arm.arm:{width}}  {arm.cells:5}  {arm.recorded:8}  {tune:>13}  {evaluate:>16}")
        said[-1] += f"  {_tera(arm.probe_flops):>14}" if made.probed else ""
    if any(arm.source == COUNTED for arm in made.arms):
        names = ", ".join(arm.arm for arm in made.arms if arm.source == COUNTED)
        said.append(f"{COUNTED}, not measured: tuning of {names}")
    total, recorded = sum(arm.cells for arm in made.arms), sum(arm.recorded for arm in made.arms)
    trainings = sum(arm.trainings for arm in made.arms)
    examinations = sum(arm.examinations for arm in made.arms)
    said.append(
        f"{total} cells, {recorded} recorded; missing: {trainings} trainings, {examinations} examinations"
        + (f", {sum(arm.probings for arm in made.arms)} times the probes" if made.probed else "")
    )
    if made.hours is None:
        lacking = " and no ".join(made.unpriced)
        said.append(f"expected hours: unknown, because no {lacking} is recorded here yet")
    else:
        said.append(f"expected: {made.hours:.1f} h with -j {made.workers}, at the speed of what runs/ holds")
    return said


def _arm(
    own: Sequence[Cell],
    found: Mapping[str, OnDisk],
    known: Sequence[Record],
    root: Path,
    counted: set[str],
    flops: dict[str, float],
) -> ArmPlan:
    """What an arm shares with an earlier one is counted there: see `counted`, and `flops` by training."""
    recipe, row = ROWS[own[0].arm.row], own[0].arm.row
    stand = [found[cell.name] for cell in own]
    trainings = {s.training for s in stand if s.training and s.tune is None} - counted
    examinations = {s.key for s in stand if s.evaluate is None}
    counted |= trainings
    tuned = _mean(Record.read(s.tune).cost for s in stand if s.tune)
    examined = _mean(Record.read(s.evaluate).cost for s in stand if s.evaluate)
    source = "records"
    if recipe is None:
        tuned = 0.0
    elif tuned is None:
        first = stand[0].training
        if first not in flops:
            flops[first] = training_flops(own[0].config, recipe, root)
        tuned, source = flops[first], COUNTED
    family = own[0].config.model.language_model
    alike = [r for r in known if r.config["model"]["language_model"] == family]
    if examined is None:  # other weights, but as many examples and much the same answers
        examined = _mean(r.cost for r in alike if r.kind == "evaluate")
    asked = probes.of(own[0].study, own[0].config, root)
    return ArmPlan(
        arm=own[0].arm.name,
        row=row,
        cells=len(own),
        recorded=sum(s.done for s in stand),
        trainings=len(trainings),
        examinations=len(examinations),
        probings=len({s.key for s in stand if s.probed and s.probe is None}),
        tune_flops=tuned,
        evaluate_flops=examined,
        probe_flops=_asking(alike, len(asked)),
        source=source,
    )


def records(root: Path) -> list[Record]:
    """Every finished run of this machine."""
    return [Record.read(path.parent) for path in sorted((home(root) / "runs").glob(f"*/{RECORD}"))]


def rate(known: Iterable[Record], kind: str) -> float | None:
    """Seconds per floating-point operation over all runs of a kind; None where there are none."""
    costs = [record.cost for record in known if record.kind == kind]
    flops = sum(cost.flops for cost in costs)
    return sum(cost.seconds for cost in costs) / flops if flops else None


def _asking(alike: Sequence[Record], questions: int) -> float | None:
    """FLOPs of so many probes: by what probes took a question or, where none was asked, examinations."""
    if not questions:
        return 0.0
    for kind in ("probe", "evaluate"):
        known = [record for record in alike if record.kind == kind]
        if asked := sum(sum(record.examples.values()) * _sightings(record) for record in known):
            return questions * sum(record.cost.flops for record in known) / asked
    return None


def _sightings(record: Record) -> int:
    """How often each of its examples was asked: with the picture, and without."""
    return 2 if record.kind == "evaluate" and record.config["evaluate"].get("blind") else 1


def _mean(costs: Iterable[Cost]) -> float | None:
    flops = [cost.flops for cost in costs]
    return sum(flops) / len(flops) if flops else None


def _tera(flops: float | None) -> str:
    return "?" if flops is None else f"{flops / 1e12:.3g}"

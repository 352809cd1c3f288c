"""A study: a question, its arms as changes to params.yaml, and the claims it decides.

It is written down in experiments/<name>/study.py as ``STUDY``, which is loaded by its path: adding a
study touches no file of the package. Everything is checked before anything runs.
"""

from __future__ import annotations

import importlib.util
import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

from workbench import files
from workbench.config import Config, ConfigError, changed
from workbench.data.catalog import BY_NAME, FIGURE4_HELD_OUT, HELD_IN, HELD_OUT, SECOND, TABLE2_HELD_IN
from workbench.records import ROWS, Row
from workbench.search import compute

FIRST_SEED = 101  # of reported runs; those below were looked at while the workbench was made
# One seed in so many, from the first on, is examined without the picture as well, which takes as long as with
# it and is for the model cards alone.
BLIND_EVERY = 5
# The averages that a claim can be about; a claim can also name one dataset.
MEASURES: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "held_in": HELD_IN,
        "held_out": HELD_OUT,
        "figure4": FIGURE4_HELD_OUT,
        "table2_held_in": TABLE2_HELD_IN,
        "table2_held_out": ("gqa", "scienceqa", "iconqa", "vizwiz", "ivqa"),
    }
)


class StudyError(ConfigError):
    """A study is not what it should be, or cannot be run as asked."""


@dataclass(frozen=True, slots=True)
class Arm:
    """One configuration of a study.

    Attributes:
        name: lower case letters, digits and underscores; it names folders.
        changes: dotted fields of params.yaml -> values, ``{"model.instruction_aware": False}``.
        row: what is examined; it also says which recipe is tuned with, if any.
        title: for tables and legends; the name if empty.
        after: the arm whose tuned weights this one begins with, seed by seed; the start's if empty.
    """

    name: str
    changes: Mapping[str, object] = field(default_factory=dict)
    row: Row = "instruct"
    title: str = ""
    after: str = ""


@dataclass(frozen=True, slots=True)
class Claim:
    """That one arm is better than another, by how much it has to be to matter, and what the paper says.

    Attributes:
        measure: one of MEASURES, or a dataset.
        smallest_effect: points of the measure; smaller differences count as none.
        paper: the published difference, better minus worse, in points; None where there is none.
        source: where `paper` can be looked up.
        primary: part of the study's family of primary claims, whose p-values are adjusted together.
        published: dataset -> the published difference on it, for the figure; likewise from `source`.
    """

    name: str
    better: str
    worse: str
    measure: str
    smallest_effect: float
    paper: float | None = None
    source: str = ""
    primary: bool = False
    published: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Study:
    """A question with the arms in the order in which they are told.

    Attributes:
        name: that of its folder in experiments/.
        baseline: the arm with which tables compare the others.
        matched: all arms are tuned with the baseline's floating-point operations: train.steps of each
            follows from flops.json in the study's folder, see search/compute.py.

    Raises:
        StudyError: for duplicates, an empty grid, and claims about arms or measures that do not exist.
    """

    name: str
    question: str
    arms: Sequence[Arm]
    baseline: str
    claims: Sequence[Claim] = ()
    matched: bool = False

    def __post_init__(self) -> None:
        if not self.arms:
            raise StudyError("arms is empty; a study compares two arms at least")
        names = [arm.name for arm in self.arms]
        for arm in self.arms:
            if not re.fullmatch(r"[a-z0-9_]+", arm.name):
                raise StudyError(f"the name of arm {arm.name!r} may hold a-z, 0-9 and _ only")
            if names.count(arm.name) > 1:
                raise StudyError(f"two arms are named {arm.name!r}; rename one")
            if arm.row not in ROWS:
                raise StudyError(f"arm {arm.name!r}: row is {arm.row!r}; choose one of {', '.join(ROWS)}")
            if arm.after:
                _check_after(arm, self.arms)
        if self.baseline not in names:
            raise StudyError(f"baseline {self.baseline!r} is no arm; choose one of {', '.join(names)}")
        if double := twice(claim.name for claim in self.claims):
            raise StudyError(f"two claims are named {double!r}; rename one")
        for claim in self.claims:
            _check_claim(claim, names)

    def named(self, listed: str) -> set[str]:
        """Names of arms, with those of the arms whose weights they begin with.

        Args:
            listed: with commas between them; empty: all.

        Raises:
            StudyError: for a name that is no arm.
        """
        found = [self.arm(name.strip()) for name in listed.split(",")] if listed else self.arms
        return {name for arm in found for name in (arm.name, arm.after) if name}

    def arm(self, name: str) -> Arm:
        """The arm of that name.

        Raises:
            StudyError: when there is none.
        """
        for arm in self.arms:
            if arm.name == name:
                return arm
        raise StudyError(f"study {self.name} has no arm {name!r}: {', '.join(a.name for a in self.arms)}")


@dataclass(frozen=True, slots=True)
class Cell:
    """One arm with one seed, resolved: what is trained once and examined once.

    Attributes:
        after: the cell whose tuned weights it begins with.
    """

    study: str
    arm: Arm
    seed: int
    config: Config
    after: Cell | None = None

    @property
    def name(self) -> str:
        """``full_t5@101``, unique in its study."""
        return f"{self.arm.name}@{self.seed}"


def load(folder: Path, base: Config, counted: bool = True) -> Study:
    """The study in a folder below experiments/, checked as a whole.

    Args:
        base: params.yaml, which every arm changes.
        counted: whether arms of a study that is `matched` get their steps; not while they are counted.

    Raises:
        StudyError: naming file, field and remedy.
    """
    path = folder / "study.py"
    with explained(path):
        study = module(path).STUDY
        if not isinstance(study, Study) or study.name != folder.name:
            raise StudyError(f"STUDY has to be a Study with name={folder.name!r}")
        if study.matched and counted:
            steps = compute.steps(folder, study.arms, study.baseline, base)
            longer = ((arm, {**arm.changes, "train.steps": steps[arm.name]}) for arm in study.arms)
            study = replace(study, arms=[replace(arm, changes=changes) for arm, changes in longer])
        cells(study, base, [FIRST_SEED])
    return study


def module(path: Path) -> Any:
    """The module in a study's folder, loaded by its path.

    Raises:
        StudyError: when there is none.
    """
    if not path.is_file():
        near = sorted(p.parent.name for p in path.parent.parent.glob(f"*/{path.name}"))
        raise StudyError(f"it does not exist; studies here: {', '.join(near) or 'none'}")
    spec = importlib.util.spec_from_file_location(f"{path.parent.name}_{path.stem}", path)
    assert spec is not None
    assert spec.loader is not None  # the path ends in .py
    made = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(made)
    return made


@contextmanager
def explained(path: Path) -> Iterator[None]:
    """What goes wrong with a file of a study ends as a StudyError that names the file."""
    try:
        yield
    except Exception as error:  # a user's file may fail in any way
        kind = "" if isinstance(error, ValueError) else f"{type(error).__name__}: "
        raise StudyError(f"{path}: {kind}{error}") from error


def cells(study: Study, base: Config, seeds: Sequence[int]) -> list[Cell]:
    """Every arm with every seed, seed after seed, so that a study that is stopped early is paired.

    Raises:
        StudyError: for an unknown field, or two arms that are the same.
    """
    for arm in study.arms:
        _resolve(arm, base, FIRST_SEED)
    resolved: dict[str, str] = {}
    for arm in study.arms:
        config = _resolve(arm, base, FIRST_SEED).to_dict()
        same = files.digest({**config, "tracking": None, "workers": None, "as": [arm.row, arm.after]})
        if same in resolved:
            raise StudyError(
                f"arms {resolved[same]!r} and {arm.name!r} are the same configuration and row; "
                "remove one, or change a field that params.yaml does not already set so"
            )
        resolved[same] = arm.name
    return [cell(study, base, arm.name, seed) for seed in seeds for arm in study.arms]


def cell(study: Study, base: Config, arm: str, seed: int) -> Cell:
    """One arm with one seed."""
    found = study.arm(arm)
    after = cell(study, base, found.after, seed) if found.after else None
    return Cell(study.name, found, seed, _resolve(found, base, seed), after)


def _resolve(arm: Arm, base: Config, seed: int) -> Config:
    if "train.seed" in arm.changes:
        raise StudyError(f"arm {arm.name!r} sets train.seed; remove it, all arms get the seeds of --seeds")
    tuned = ROWS[arm.row] is not None  # what is not is examined once for all seeds
    seeing = {"evaluate.blind": False} if tuned and (seed - FIRST_SEED) % BLIND_EVERY else {}
    try:
        return changed(base, {**seeing, **arm.changes, "train.seed": seed})
    except ConfigError as error:
        raise StudyError(f"arm {arm.name!r}: {error}") from error


def _check_after(arm: Arm, arms: Sequence[Arm]) -> None:
    earlier = [other for other in arms if other.name == arm.after]
    if not earlier or earlier[0].after or None in (ROWS[earlier[0].row], ROWS[arm.row]):
        raise StudyError(
            f"arm {arm.name!r}: after is {arm.after!r}; both have to be arms that are tuned, and the earlier "
            "one from the start"
        )


def _check_claim(claim: Claim, arms: Sequence[str]) -> None:
    where = f"claim {claim.name!r}"
    for side, arm in (("better", claim.better), ("worse", claim.worse)):
        if arm not in arms:
            raise StudyError(f"{where}: {side} is {arm!r}, which is no arm; choose one of {', '.join(arms)}")
    if claim.better == claim.worse:
        raise StudyError(f"{where} compares {claim.better!r} with itself")
    if claim.measure not in {*MEASURES, *BY_NAME, *SECOND}:
        raise StudyError(
            f"{where}: measure is {claim.measure!r}; choose one of {', '.join(MEASURES)}, or a dataset"
        )
    if not 0 < claim.smallest_effect < math.inf:
        raise StudyError(f"{where}: smallest_effect is {claim.smallest_effect}; it has to be above 0")
    if not all(map(math.isfinite, (claim.paper or 0, *claim.published.values()))):
        raise StudyError(f"{where}: the paper's numbers have to be finite; leave out what is not known")
    if (claim.paper is None) != (not claim.source):
        raise StudyError(f"{where}: give paper and its source, or neither")
    if odd := [name for name in claim.published if name not in BY_NAME]:
        raise StudyError(f"{where}: published names {odd[0]!r}, which is no dataset")


def twice(names: Iterable[str]) -> str:
    """The first name that comes a second time, or an empty text."""
    seen: set[str] = set()
    for name in names:
        if name in seen:
            return name
        seen.add(name)
    return ""

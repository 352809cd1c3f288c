"""The front section of the report: what each study came to, in one line per primary claim.

A study's page leaves its summary beside itself, in git, and the report reads that alone: outputs/studies
is there only where a study was run, and is no dependency that DVC could do without.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from workbench import files
from workbench.report.outputs import ReportError
from workbench.report.statistics.intervals import Interval
from workbench.report.study.cells import Study
from workbench.report.study.effects import Found

FOLDER = "studies"  # below reports/


@dataclass(frozen=True, slots=True)
class Line:
    """A primary claim; numbers are None and `word` is empty while no seed has both arms."""

    name: str
    better: str
    worse: str
    measure: str
    seeds: Sequence[int]
    effect: float | None
    low: float | None
    high: float | None
    adjusted: float | None
    careful: float | None
    word: str
    paper: float | None
    sign: str
    size: str

    @property
    def found(self) -> Interval | None:
        """The effect as the templates show it."""
        if self.effect is None or self.low is None or self.high is None:
            return None
        return Interval(self.effect, self.low, self.high, math.nan, len(self.seeds))


@dataclass(frozen=True, slots=True)
class Front:
    """One study; without lines it was not run, or declares no primary claim.

    Attributes:
        starts: language model -> hashes of the folders that its cells were tuned from.
    """

    study: str
    question: str
    finished: int
    missing: int
    lines: Sequence[Line]
    starts: Mapping[str, Sequence[str]]

    @property
    def run(self) -> bool:
        """Whether it has a page."""
        return self.finished > 0


def write(folder: Path, study: Study, found: Found) -> Path:
    """<study>.json in reports/studies."""
    lines = []
    for judged in found.claims:
        claim, verdict = judged.declared, judged.verdict
        if claim.primary:
            lines.append(
                Line(
                    name=claim.name,
                    better=study.arm(claim.better).title,
                    worse=study.arm(claim.worse).title,
                    measure=claim.measure,
                    seeds=list(judged.seeds),
                    effect=verdict.effect.value if verdict else None,
                    low=verdict.effect.low if verdict else None,
                    high=verdict.effect.high if verdict else None,
                    adjusted=verdict.adjusted if verdict else None,
                    careful=verdict.careful if verdict else None,
                    word=verdict.word if verdict else "",
                    paper=claim.paper,
                    sign=judged.sign,
                    size=judged.size,
                )
            )
    starts = starts_of(cell.tuned for cell in study.cells)
    front = Front(study.name, study.question, len(study.cells), len(study.missing), lines, starts)
    files.write_json(folder / f"{study.name}.json", asdict(front))
    return folder / f"{study.name}.json"


def starts_of(tuned: Iterable[Mapping[str, Any]]) -> dict[str, list[str]]:
    """Language model -> hashes of the starts of these records of trainings; empty records have none."""
    found: dict[str, set[str]] = {}
    for record in filter(None, tuned):
        found.setdefault(record["config"]["model"]["language_model"], set()).add(record["hashes"]["start"])
    return {model: sorted(hashes) for model, hashes in sorted(found.items())}


def several(starts: Iterable[Mapping[str, Sequence[str]]]) -> list[str]:
    """The language models of which these were tuned from more than one start: scores do not compare then."""
    found: dict[str, set[str]] = {}
    for each in starts:
        for model, hashes in each.items():
            found.setdefault(model, set()).update(hashes)
    return sorted(model for model, hashes in found.items() if len(hashes) > 1)


def read(folder: Path, study: str) -> Front:
    """What the study's page left, or a study that was not run.

    Raises:
        ReportError: for a summary that is not one, or whose page is missing.
    """
    path = folder / f"{study}.json"
    if not path.is_file():
        return Front(study, "", 0, 0, [], {})
    remedy = f"run `workbench ablate {study}`, which writes it again"
    try:
        raw: Mapping[str, Any] = files.read_json(path)
        front = Front(**{**raw, "lines": [Line(**line) for line in raw["lines"]]})
    except (KeyError, TypeError, ValueError) as error:
        raise ReportError(f"{path} is no summary of a study ({error}); {remedy}") from error
    if front.study != study:
        raise ReportError(f"{path}: study is {front.study!r}, not {study!r}; {remedy}")
    if not (folder / f"{study}.html").is_file():
        raise ReportError(f"{folder / f'{study}.html'} is missing; {remedy}")
    return front

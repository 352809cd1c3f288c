"""`workbench verify`: is the report what its records say, and are the records what the runs wrote?

Every hash is checked and the report is built a second time, into a folder of its own; nothing is changed.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from workbench import files
from workbench.config import load
from workbench.experiment.answers import WEIGHTS
from workbench.experiment.record import RECORD, Record, verified
from workbench.report.calibration import FOLDER as CALIBRATION
from workbench.report.front import FOLDER
from workbench.report.outputs import ReportError
from workbench.report.study.cells import Cell
from workbench.report.study.collected import RECORDS, read_study
from workbench.stages.page import own_of, page
from workbench.stages.report import whole
from workbench.surroundings import home


def verify(root: Path, study: str = "") -> Iterator[tuple[bool, str]]:
    """Findings, one after the other: whether all is well, and a sentence that says what was compared.

    Args:
        study: verify its page alone; by default the report and every study that has a page and results here.
    """
    if study:
        yield from _study(root, study)
        return
    for name in sorted(path.stem for path in (root / "reports" / FOLDER).glob("*.json")):
        if (root / "outputs/studies" / name).is_dir():
            yield from _study(root, name)
        else:  # a fresh clone has the pages, which git keeps, and no results
            yield True, f"{name}: not checked, its results are not here; `workbench ablate {name}` makes them"
    yield from _outputs(root)
    yield from _whole(root)


def _study(root: Path, name: str) -> Iterator[tuple[bool, str]]:
    try:
        found = read_study(root / "outputs/studies" / name)
        yield True, f"{name}: {len(found.cells)} cells match their hashes and seals"
        yield copies(root, name, found.cells)
        with tempfile.TemporaryDirectory() as again:
            page(root, name, Path(again))
            same, said = _same(name, root / "reports", Path(again))
        own = None if same else own_of(root, name)
        yield same, f"{said}; {own.note}" if own and own.note else said
    except (ValueError, OSError) as error:
        yield False, f"{name}: {error}"


def copies(root: Path, study: str, cells: Sequence[Cell]) -> tuple[bool, str]:
    """The records in outputs/studies against those in runs/, and these against their results and weights.

    Raises:
        ValueError: naming the file that differs, and a remedy.
    """
    compared = 0
    for cell in cells:
        copy = root / "outputs/studies" / study / "cells" / f"{cell.arm}@{cell.seed}"
        for kind, file in RECORDS.items():
            signature = getattr(cell, kind)
            run = home(root) / "runs" / signature
            if signature and run.is_dir():
                _intact(run)
                compared += 1
                if not _equal(copy / file, run / RECORD):
                    remedy = f"run `workbench ablate {study}`"
                    raise ReportError(f"{copy / file} is not {run / RECORD}; {remedy}")
    if not compared:
        return True, f"{study}: runs/ is not here, so the copies alone were checked"
    return True, f"{study}: {compared} records in runs/ are intact and the same"


def _intact(run: Path) -> None:
    """Record, results and weights of a run are as they were written."""
    wanted = verified(run).result.get("weights_sha256")
    if wanted and (not (run / WEIGHTS).is_file() or files.file_sha256(run / WEIGHTS) != wanted):
        raise ReportError(f"{run / WEIGHTS} is not the file of {run / RECORD}; delete {run} and rerun")


def _outputs(root: Path) -> Iterator[tuple[bool, str]]:
    """outputs/tune and outputs/evaluate against their records."""
    for folder in sorted([*root.glob("outputs/tune/*"), *root.glob("outputs/evaluate/*")]):
        name = folder.relative_to(root).as_posix()
        try:
            result = Record.read(folder).result
        except ValueError as error:
            yield False, str(error)
            continue
        written = dict(result.get("sha256", {}))
        written |= {WEIGHTS: result["weights_sha256"]} if "weights_sha256" in result else {}
        odd = [
            file
            for file, mark in written.items()
            if not (folder / file).is_file() or files.file_sha256(folder / file) != mark
        ]
        remedy = f"; {name}/{odd[0]} is not the file its record names: run `dvc repro`" if odd else ""
        yield not odd, f"{name}: {len(written)} files against the record{remedy}"


def _whole(root: Path) -> Iterator[tuple[bool, str]]:
    try:
        with tempfile.TemporaryDirectory() as again:
            for given in (FOLDER, CALIBRATION):  # what the report is built from beside outputs/
                if (root / "reports" / given).is_dir():
                    shutil.copytree(root / "reports" / given, Path(again) / given)
            whole(load(root / "params.yaml"), root, Path(again))
            for given in (FOLDER, CALIBRATION):
                shutil.rmtree(Path(again) / given, ignore_errors=True)
            yield _same("report", root / "reports", Path(again))
    except (ValueError, OSError) as error:
        yield False, f"report: {error}"


def _same(name: str, kept: Path, again: Path) -> tuple[bool, str]:
    """Every file that was built again, byte by byte against the one in reports/."""
    built = sorted(path.relative_to(again) for path in again.rglob("*") if path.is_file())
    odd = [file for file in built if not (kept / file).is_file() or not _equal(kept / file, again / file)]
    if not odd:
        return True, f"{name}: {len(built)} files of reports/ follow from the records, byte by byte"
    what = "is not what the records give" if (kept / odd[0]).is_file() else "is missing"
    remedy = "run `dvc repro`" if name == "report" else f"run `workbench report {name}`"
    return False, (
        f"{name}: {kept / odd[0]} {what} ({len(odd)} of {len(built)} files differ): it was edited, or other "
        f"code wrote it; {remedy}"
    )


def _equal(one: Path, other: Path) -> bool:
    return one.read_bytes() == other.read_bytes()

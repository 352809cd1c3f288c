"""What is installed and what lies around: the first thing to run when something looks wrong."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import shutil
import stat
from collections.abc import Iterator
from pathlib import Path

from workbench import files
from workbench.config import Config, Tracking, load
from workbench.surroundings import home

PACKAGES = ("torch", "transformers", "accelerate", "dvc", "mlflow", "pandas", "numpy", "safetensors")
LITTLE_DISK = 5e9  # bytes


def examine(root: Path) -> Iterator[tuple[bool, str]]:
    """Findings, one after the other: whether all is well, and a sentence."""
    yield True, f"Python {platform.python_version()} on {platform.platform()}"
    for name in PACKAGES:
        try:
            yield True, f"{name} {importlib.metadata.version(name)}"
        except importlib.metadata.PackageNotFoundError:
            yield False, f"{name} is not installed; run `make install`"
    yield from _devices()
    free = shutil.disk_usage(root).free
    yield free > LITTLE_DISK, f"{free / 1e9:.0f} GB of disk are free"
    yield from _site_cache(root)
    yield from _prepared(root)
    try:
        config = load(root / "params.yaml")
    except ValueError as error:
        yield False, str(error)
    else:
        yield from _features(root, config)
        yield from _runs(root, config)
        yield from _tracking(home(root), config.tracking)
    yield from _unfinished(home(root))


def _devices() -> Iterator[tuple[bool, str]]:
    import torch

    yield True, f"{os.cpu_count()} processors, {torch.get_num_threads()} threads for PyTorch"
    for index in range(torch.cuda.device_count()):
        properties = torch.cuda.get_device_properties(index)
        yield True, f"GPU {index}: {properties.name}, {properties.total_memory / 1e9:.0f} GB"


def _site_cache(root: Path) -> Iterator[tuple[bool, str]]:
    """DVC loads pickles from there (CVE-2025-69872)."""
    place = root / ".dvc/site"
    if place.is_dir():
        private = not stat.S_IMODE(place.stat().st_mode) & 0o077
        advice = "" if private else f"; run `chmod 700 {place}`"
        yield private, f".dvc/site is {'private' if private else 'open to other users'}{advice}"


def _prepared(root: Path) -> Iterator[tuple[bool, str]]:
    from workbench.data.prepare import read_manifest

    prepared = root / "data/prepared"
    if not prepared.is_dir():
        yield True, "data/prepared is not made yet"
        return
    try:
        listed = read_manifest(prepared)["files"]
    except ValueError as error:
        yield False, str(error)
        return
    odd = [name for name, sha in listed.items() if _sha(prepared / name) != sha]
    yield not odd, _verdict("data/prepared", len(listed), odd, "run `dvc repro --force prepare`")


def _features(root: Path, config: Config) -> Iterator[tuple[bool, str]]:
    from workbench.data.features import FeatureStore, FeatureStoreError

    if not (root / "data/features").is_dir():
        yield True, "data/features is not made yet"
        return
    encoder = root / config.model.start / "vision"
    try:
        features, prepared = root / "data/features", root / "data/prepared"
        FeatureStore.open(features, prepared=prepared, encoder=encoder, thorough=True)
        yield True, "data/features matches its checksum, the pictures and the encoder"
    except (FeatureStoreError, ValueError) as error:
        yield False, str(error)


def _runs(root: Path, config: Config) -> Iterator[tuple[bool, str]]:
    """Every output has to be what the record of its run says."""
    from workbench.experiment.answers import WEIGHTS
    from workbench.experiment.record import Record, folder_hash, start_folder

    for folder in [*sorted(root.glob("outputs/tune/*")), *sorted(root.glob("outputs/evaluate/*"))]:
        try:
            known = Record.read(folder)
            start = folder_hash(start_folder(config, root))
        except ValueError as error:
            yield False, str(error)
            continue
        marks = known.result.get("sha256", {WEIGHTS: known.result.get("weights_sha256")})
        same = all(_sha(folder / name) == mark for name, mark in marks.items())
        place = folder.relative_to(root).as_posix()
        yield same, f"{place} {'matches' if same else 'differs from'} its record"
        if known.hashes.get("start") != start:
            yield False, f"{place} was made of another start than {config.model.start} is; run `dvc repro`"


def _unfinished(place: Path) -> Iterator[tuple[bool, str]]:
    from workbench import tracking
    from workbench.experiment.record import RECORD

    for folder in sorted((place / "runs").glob("*")):
        if folder.is_dir() and not (folder / RECORD).is_file():
            yield True, f"runs/{folder.name} is unfinished; its stage goes on from there when it is run again"
    yield True, f"{tracking.waiting(place)} runs wait in spool/ to be sent to MLflow"
    for refused in sorted((place / "spool").glob("*.refused")):
        yield False, f"{refused} is a run that MLflow refused; runs/ has its record, so it may be deleted"


def _tracking(place: Path, options: Tracking) -> Iterator[tuple[bool, str]]:
    from workbench import tracking

    if not options.uri and not (place / "mlflow.db").is_file():
        yield True, "mlflow.db is not made yet"
        return
    try:
        stale = tracking.stale(place, options)
    except tracking.unavailable() as error:
        yield False, f"MLflow cannot be reached: {str(error).splitlines()[0]}"
        return
    yield not stale, f"{len(stale)} runs are marked as running but their process is gone" + (
        "; the next run marks them as killed" if stale else ""
    )


def _sha(path: Path) -> str:
    return files.file_sha256(path) if path.is_file() else "missing"


def _verdict(what: str, count: int, odd: list[str], remedy: str) -> str:
    if not odd:
        return f"{what}: {count} files match their checksums"
    return f"{what}: {len(odd)} of {count} files are missing or altered, {odd[0]} for one; {remedy}"

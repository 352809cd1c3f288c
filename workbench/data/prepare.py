"""From sources to files: examples as parquet, pictures as PNGs in uncompressed zip archives, a manifest.

``<out>/<dataset>/{train,val,test}.parquet``, ``<out>/scenes/<pool>_<split>.zip`` and
``<out>/manifest.json``. Everything is a function of the configuration: two runs give equal bytes.
A dataset is the module of its name in data/sources/ and its line in data/catalog.py.
"""

from __future__ import annotations

import importlib
import io
import itertools
import json
import multiprocessing
import os
import shutil
import threading
import time
import zipfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar, get_args

import pyarrow as pa
import pyarrow.parquet as pq

from workbench import progress
from workbench.config import Config
from workbench.data.catalog import BY_NAME, CATALOG, DOWNSTREAM, EXTERNAL, Entry, entry
from workbench.data.micro.render import render
from workbench.data.micro.scene import Scene
from workbench.data.stored import Stored
from workbench.files import file_sha256, read_json, replace_folder, replacing, write_json
from workbench.records import Example, Split

Frame = Scene | Path  # a scene to render, or a PNG to copy
Frames = dict[str, dict[str, Frame]]  # archive -> member -> what it shows
Job = TypeVar("Job")
Done = TypeVar("Done")

SPLITS: tuple[Split, ...] = get_args(Split)
AT_ONCE = 4096  # examples read at a time
IN_MEMORY = 100_000  # examples of a split; as Python's objects they take 0.8 kB each
LISTS = ("images", "references", "candidates")
TEXT = pa.string()
SCHEMA = pa.schema(
    [(name, TEXT) for name in ("dataset", "example_id", "image_id")]
    + [(name, pa.list_(TEXT)) for name in LISTS]
    + [("fields", TEXT), ("domain", TEXT)]  # fields: a JSON object
)


class PreparedError(ValueError):
    """Prepared data is missing, empty or cannot be made with this configuration."""


@dataclass(frozen=True, slots=True)
class Task:
    """One dataset to write below `out`: how many examples each split has."""

    dataset: str
    counts: Mapping[Split, int]
    seed: int
    out: Path


def prepare(config: Config, out: Path, workers: int = 2, root: Path | None = None) -> dict[str, Any]:
    """Writes the datasets of the suite below `out` and returns the manifest.

    The folder is built beside `out` and takes its place when it is complete; an interrupted run
    leaves `out` as it was.

    Args:
        root: what data.root is relative to; the working directory by default.

    Raises:
        PreparedError: when a dataset would have no examples.
        ValueError: for an official file that is missing or wrong.
    """
    chosen = [entry(name) for name in config.data.datasets] or [*CATALOG, *EXTERNAL]
    if config.suite == "official":
        from workbench.data.official.write import write  # it writes its parts with what is here

        return write(config, chosen, ((root or Path.cwd()) / config.data.root).resolve(), out, workers)
    building = out.parent / f".{out.name}.building"
    shutil.rmtree(building, ignore_errors=True)
    try:
        manifest = _write(config, chosen, building, workers)
    except BaseException:
        shutil.rmtree(building, ignore_errors=True)
        raise
    replace_folder(out, building)
    return manifest


def _write(config: Config, chosen: Sequence[Entry], out: Path, workers: int) -> dict[str, Any]:
    tasks = [Task(row.name, sizes(row, config), config.data.world_seed, out) for row in chosen]
    tasks.sort(key=lambda task: -sum(task.counts.values()))  # the longest first, so that workers end together
    archives: Frames = {}
    for frames in progress.shown(in_parallel(write_dataset, tasks, workers), "datasets", len(tasks)):
        for name, members in frames.items():
            archives.setdefault(name, {}).update(members)
    drawings = sorted(
        ((out / name, members) for name, members in archives.items()), key=lambda job: -len(job[1])
    )
    for _ in progress.shown(in_parallel(write_archive, drawings, workers), "pictures", len(drawings)):
        pass
    written = sorted(path for path in out.rglob("*") if path.is_file())
    manifest = {
        "suite": config.suite,
        "world_seed": config.data.world_seed,
        "datasets": {task.dataset: dict(task.counts) for task in tasks},
        "pictures": {name: len(members) for name, members in archives.items()},
        "files": {path.relative_to(out).as_posix(): file_sha256(path) for path in written},
    }
    write_json(out / "manifest.json", manifest)
    return manifest


def sizes(row: Entry, config: Config) -> dict[Split, int]:
    """How many examples each split of a dataset has.

    train: the catalogue's size x data.size_scale, none for held-out sets but those of DOWNSTREAM; val:
    train.validation_examples (held-out sets: data.eval_examples, for development; only fine-tuning
    looks at them); test: data.eval_examples.

    Raises:
        PreparedError: when nothing would be left to train on.
    """
    counts: dict[Split, int] = {}
    if full := row.micro_size or DOWNSTREAM.get(row.name, 0):
        counts["train"] = round(full * config.data.size_scale)
        if not counts["train"]:
            scale = config.data.size_scale
            raise PreparedError(f"data.size_scale {scale} leaves {row.name} nothing to train on: raise it")
    counts["val"] = config.train.validation_examples if row.held_in else config.data.eval_examples
    counts["test"] = config.data.eval_examples
    return counts


def in_parallel(work: Callable[[Job], Done], jobs: Sequence[Job], workers: int) -> Iterator[Done]:
    """Results in the order of the jobs; one worker means this process.

    Raises:
        PreparedError: when a process was killed.
    """
    if workers == 1:
        yield from map(work, jobs)
        return
    try:
        spawn = multiprocessing.get_context("spawn")
        with ProcessPoolExecutor(workers, spawn, _leave_with, (os.getpid(),)) as pool:
            yield from pool.map(work, jobs)
    except BrokenProcessPool as error:
        raise PreparedError(
            "a process that prepares data was killed, as happens when memory runs out: "
            "free some and start again"
        ) from error


def _leave_with(parent: int) -> None:
    """Ends this process when the one that started it was killed; it would wait for work for ever."""

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(1)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def write_dataset(task: Task) -> Frames:
    """Writes the splits of a dataset and returns the pictures they show."""
    source = importlib.import_module(f"workbench.data.sources.{task.dataset}")
    frames: Frames = {}
    for split, count in task.counts.items():
        examples = []
        for example, shown in source.micro(split, count, task.seed):
            examples.append(example)
            for reference, frame in zip(example.images, shown, strict=True):
                archive, member = reference.split(".zip/")
                frames.setdefault(f"{archive}.zip", {})[member] = frame
        write_examples(task.out / task.dataset / f"{split}.parquet", examples)
    return frames


def write_archive(job: tuple[Path, Mapping[str, Frame]]) -> None:
    """Renders pictures into an uncompressed zip archive; time stamps are fixed."""
    path, members = job
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        for name in sorted(members):
            archive.writestr(zipfile.ZipInfo(name), _png(members[name]))


def _png(frame: Frame) -> bytes:
    if isinstance(frame, Path):
        return frame.read_bytes()
    buffer = io.BytesIO()
    render(frame).save(buffer, "PNG", compress_level=1)
    return buffer.getvalue()


# ---------------------------------------------------------------- examples on disk


def write_examples(path: Path, examples: Iterable[Example], at_once: int = 65_536) -> int:
    """One row per example; `fields` as a JSON object. The file is whole or absent.

    Args:
        at_once: how many examples are in memory, and in a row group.

    Returns:
        How many there were.

    Raises:
        PreparedError: when there are none.
    """
    waiting, written = iter(examples), 0
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as temporary, pq.ParquetWriter(temporary, SCHEMA) as writer:
        while rows := [_row(example) for example in itertools.islice(waiting, at_once)]:
            writer.write_table(pa.Table.from_pylist(rows, SCHEMA))
            written += len(rows)
        if not written:
            raise PreparedError(
                f"{path.parent.name} has no {path.stem} examples: look at its source and its sizes"
            )
    return written


def _row(example: Example) -> dict[str, Any]:
    row: dict[str, Any] = {name: getattr(example, name) for name in SCHEMA.names}
    row |= {name: list(getattr(example, name)) for name in LISTS}
    return row | {"fields": json.dumps(dict(example.fields), sort_keys=True, ensure_ascii=False)}


def load_examples(root: Path, dataset: str, split: Split) -> Sequence[Example]:
    """The examples of a split, in their order; those of a large one stay on disk.

    Raises:
        ValueError: for an unknown dataset, or a file that is missing, damaged or empty.
    """
    path = root / dataset / f"{split}.parquet"
    if dataset not in BY_NAME or not path.is_file():
        raise PreparedError(
            f"there is no {path}: check the dataset's name and split, then run the stage prepare"
        )
    shared: dict[tuple[str, ...], tuple[str, ...]] = {}  # thousands of questions rank the same candidates
    examples: list[Example] = []
    try:
        with pq.ParquetFile(path) as file:
            batches = file.iter_batches(AT_ONCE)
            if file.metadata.num_rows > IN_MEMORY:
                return Stored(file.schema_arrow, batches, lambda row: _example(row, {}))
            for batch in batches:
                examples += [_example(row, shared) for row in batch.to_pylist()]
    except (pa.ArrowInvalid, OSError) as error:
        raise PreparedError(
            f"{path} cannot be read ({error}): delete it and run the stage prepare"
        ) from error
    if not examples:
        raise PreparedError(f"{path} holds no examples: run the stage prepare again")
    return examples


def _example(row: dict[str, Any], shared: dict[tuple[str, ...], tuple[str, ...]]) -> Example:
    lists = {name: tuple(row[name]) for name in LISTS}
    lists["candidates"] = shared.setdefault(lists["candidates"], lists["candidates"])
    return Example(**row | lists | {"fields": json.loads(row["fields"])})


def read_manifest(root: Path) -> dict[str, Any]:
    """What prepare wrote: suite, world seed, sizes, and the SHA-256 of every file.

    Raises:
        ValueError: when it is missing or damaged.
    """
    path = root / "manifest.json"
    if not path.is_file():
        raise PreparedError(f"{path} does not exist: run the stage prepare")
    manifest: dict[str, Any] = read_json(path)
    return manifest

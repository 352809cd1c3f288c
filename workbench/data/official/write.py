"""The official suite on disk: examples as parquet, four frames of each video; pictures stay in the data root.

Parts are written by several processes into a hidden folder beside the prepared one, which takes its place
when everything is there. What was finished before an error or a kill is kept there and not made again, nor
is what an earlier preparation made of the same files.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from workbench import progress
from workbench.config import Config
from workbench.data import prepare as room
from workbench.data.catalog import Entry
from workbench.data.official import hub
from workbench.data.official.hygiene import shared_images
from workbench.data.official.part import STATE, Part, write_clip, write_part
from workbench.data.official.releases import RELEASES, missing
from workbench.files import file_sha256, replace_folder, write_json
from workbench.records import Split


def write(config: Config, entries: Sequence[Entry], root: Path, out: Path, workers: int) -> dict[str, Any]:
    """Writes the datasets below `out` and returns the manifest.

    Raises:
        ValueError: naming file, record and remedy.
    """
    if not root.is_dir():
        raise room.PreparedError(f"data.root {root} is not a folder: put the official files below it")
    if config.data.size_scale > 1:
        raise room.PreparedError(f"data.size_scale is {config.data.size_scale}: official data cannot grow")
    building = out.parent / f".{out.name}.official"
    parts = _parts(config, [entry for entry in entries if entry.name in RELEASES], root, building, out)
    states = _all(write_part, parts, workers, "splits")
    clips = sorted({clip for state in states for clip in state["videos"]})
    _all(write_clip, [(root, clip, building, out) for clip in clips], workers, "videos")
    sizes: dict[str, dict[str, int]] = {}
    for name, size in _noted(parts, states, "examples"):
        dataset, _, split = name.partition("/")
        sizes.setdefault(dataset, {})[split] = size
    wanted = {f"{part.name}{ending}" for part in parts for ending in (".parquet", STATE)}
    wanted |= {f"{clip}.zip" for clip in clips} | {name for state in states for name in state["archives"]}
    for entry in entries:
        if entry.name not in RELEASES:
            sizes[entry.name], made = _package(config, entry, building)
            wanted |= made
    written = _swept(building, wanted)
    manifest = {
        "suite": config.suite,
        "world_seed": config.data.world_seed,
        "data_root": os.path.relpath(root, out.parent.resolve() / out.name),
        "datasets": sizes,
        "shared_images": shared_images(building, sizes),
        "missing_pictures": {name: n for name, n in _noted(parts, states, "missing") if n},
        "faulty_records": {name: faults for name, faults in _noted(parts, states, "faulty") if faults},
        "answers_covered": dict(_noted(parts, states, "covers")),
        "files": {name: file_sha256(building / name) for name in written},
    }
    write_json(building / "manifest.json", manifest)
    replace_folder(out, building)
    return manifest


def _noted(parts: Sequence[Part], states: Sequence[dict[str, Any]], what: str) -> list[tuple[str, Any]]:
    return [(part.name, state[what]) for part, state in zip(parts, states, strict=True) if what in state]


def _parts(config: Config, entries: Iterable[Entry], root: Path, out: Path, before: Path) -> list[Part]:
    """What has to be written, the longest first; the files are there.

    A held-out dataset's val is for development and its train for fine-tuning: they are left out where their
    files are missing, and so is what a copy on the hub lacks.

    Raises:
        PreparedError: naming every file that is missing.
    """
    parts: list[Part] = []
    lacking: dict[str, str] = {}
    pinned = hub.pinned(root)
    for entry in entries:
        for split, release in RELEASES[entry.name].parts.items():
            absent = [] if hub.gives(root, entry.name, split) else missing(root, release)
            if absent and split != "test" and (not entry.held_in or entry.name in pinned):
                continue
            lacking = dict.fromkeys(absent, entry.name) | lacking
            share = config.data.size_scale if split == "train" else 1.0
            drawn = (config.data.world_seed, _most(config, entry, split), share)
            given = (config.data.allow_missing, config.data.answer_vocabulary)
            parts.append(Part(entry.name, split, root, out, before, *drawn, *given))
    if lacking:
        names = ", ".join(f"{file} ({dataset})" for file, dataset in lacking.items())
        raise room.PreparedError(
            f"{root} lacks {names}: `workbench data check {root}` says where to get them; "
            "data.datasets prepares some datasets only"
        )
    return sorted(parts, key=lambda part: -RELEASES[part.dataset].parts[part.split].examples)


def _most(config: Config, entry: Entry, split: Split) -> int | None:
    if split == "train":
        return None
    return config.train.validation_examples if entry.held_in and split == "val" else config.data.eval_examples


def _all(
    work: Callable[[room.Job], room.Done], jobs: Sequence[room.Job], workers: int, title: str
) -> list[room.Done]:
    return list(progress.shown(room.in_parallel(work, jobs, workers), title, len(jobs)))


def _package(config: Config, entry: Entry, out: Path) -> tuple[dict[str, int], set[str]]:
    """A dataset that comes as a Python package, whatever the suite: its sizes and files."""
    room_for = room.Task(entry.name, room.sizes(entry, config), config.data.world_seed, out)
    frames = room.write_dataset(room_for)
    for name, members in frames.items():
        room.write_archive((out / name, members))
    rows = {split: f"{entry.name}/{split}.parquet" for split in room_for.counts}
    sizes: dict[str, int] = {split: pq.read_metadata(out / name).num_rows for split, name in rows.items()}
    return sizes, {*rows.values(), *frames}


def _swept(building: Path, wanted: set[str]) -> list[str]:
    """The files that make up the suite; what another configuration left is removed."""
    found = {path.relative_to(building).as_posix() for path in building.rglob("*") if path.is_file()}
    for name in found - wanted:
        (building / name).unlink()
    return sorted(name for name in wanted if not name.endswith(STATE))

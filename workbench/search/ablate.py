"""`workbench ablate STUDY`: every cell of a study recorded, and its results collected."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path

from workbench.config import Config
from workbench.progress import counting
from workbench.search import grid
from workbench.search.cells import OnDisk, inspect, standing
from workbench.search.collect import Collection
from workbench.search.queue import Queue
from workbench.search.seeds import seeds_of
from workbench.search.study import Cell, cells, load
from workbench.search.worker import STORAGE


def ablate(
    base: Config,
    root: Path,
    name: str,
    seeds: str,
    workers: int,
    storage: str = "",
    development: bool = False,
    arms: str = "",
    reclaim: str = "",
) -> Path:
    """Runs what is missing of a study; the folder with cells.json.

    Args:
        base, seeds: params.yaml; see `seeds_of`.
        workers: cells side by side, each in a process of its own.
        storage: an SQLAlchemy URL for Optuna; empty: sqlite below studies/.
        arms: names with commas between them; empty: all. The others stay declared, lest claims get easier.
        reclaim: a host that is gone for good, whose cells are taken back.

    Raises:
        StudyError: for bad input, before anything runs; at the end, for the cells that failed.
        RunError: for missing data and edited records, before anything runs.
    """
    grid.check(workers, reclaim)
    study = load(root / "experiments" / name, base)
    asked = study.named(arms)
    everything = {cell.name: cell for cell in cells(study, base, seeds_of(seeds, development))}
    with grid.alone(place := grid.place_of(root, name)):
        queue = Queue(place, name, storage)
        running = queue.standing().running  # by workers that an earlier driver left behind
        found = standing(everything.values(), asked, root)
        already = {cell for cell, on_disk in found.items() if on_disk.done}
        collection, made = Collection(study, list(everything.values()), base, root, development), set[str]()
        wanted = {n: cell for n, cell in everything.items() if cell.arm.name in asked or n in already}

        def recorded(cell: str) -> bool:
            if cell in running and cell not in already:  # perhaps just now
                found[cell] = inspect(wanted[cell], root)
            return found[cell].done

        with counting(name) as count:
            count(len(already), len(wanted))

            def finished(cell: str) -> None:
                if cell not in already:
                    found[cell] = inspect(wanted[cell], root)
                    made.add(cell)
                collection.add(cell, found[cell])
                count(len(already) + len(made), len(wanted))

            grid.Grid(
                queue,
                {cell: found[cell].key for cell in _spread(wanted, {cell: found[cell] for cell in wanted})},
                recorded,
                [sys.executable, "-m", "workbench.search.worker", name],
                workers, finished, {STORAGE: storage}, reclaim,
            ).run()  # fmt: skip
    return collection.folder


def _spread(wanted: Mapping[str, Cell], found: Mapping[str, OnDisk]) -> list[str]:
    """The cells, a seed later those that wait for another's training: side by side, one would stand idle.

    No later than that, so that a study that is stopped early has pairs.
    """
    seen: set[str] = set()
    seeds = {seed: place for place, seed in enumerate(dict.fromkeys(wanted[cell].seed for cell in found))}
    places = {}
    for cell, on_disk in found.items():
        shared = on_disk.training or on_disk.key
        waits = on_disk.tune is None and (shared in seen or wanted[cell].after is not None)
        places[cell] = (seeds[wanted[cell].seed] + waits, waits)
        seen.add(shared)
    return sorted(found, key=places.__getitem__)

"""What a finished run leaves behind, and the signature that keeps runs apart.

    runs/<signature>/record.json    written last: a run that has one is finished and never done again

A signature is a hash over everything the result follows from: the part of the configuration that
matters, the examples and their pictures, the start's weights and the code's import closure. What is in
it is also in the record, under `hashes`, so that two records can be compared.
"""

from __future__ import annotations

import functools
import hashlib
import resource
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pyarrow.parquet
import torch

from workbench import code, files
from workbench.config import Config, changed
from workbench.data.catalog import BY_NAME, DOWNSTREAM, HELD_IN, Suite, entry, for_suite
from workbench.data.encoder import Encoder
from workbench.records import PUBLISHED, Row, Split, named

RECORD = "record.json"
START = "start.json"  # beside a start: what it was made of
_REMEDY = "delete it and rerun its stage, which makes it again from what it computed"
# Modules whose influence on a result is hashed as data (the examples, the features, the values of the
# parameters, the rows of the catalogue) or that have none.
PLUMBING = frozenset(
    {
        "workbench.code",
        "workbench.config",
        "workbench.data.catalog",
        "workbench.data.features",
        "workbench.data.prepare",
        "workbench.database",
        "workbench.evaluate.metrics",
        "workbench.experiment.record",
        "workbench.experiment.sample",
        "workbench.files",
        "workbench.progress",
        "workbench.surroundings",
        "workbench.tracking",
    }
)


class RunError(ValueError):
    """A run cannot be made from what is on disk."""


@dataclass(frozen=True, slots=True)
class Cost:
    """What a run took: wall seconds, floating-point operations (estimated), bytes of memory at the peak."""

    seconds: float
    flops: float
    peak_memory_bytes: int


@dataclass(frozen=True, slots=True)
class Record:
    """The contents of record.json.

    Attributes:
        kind: tune, evaluate or probe; name: the recipe or the row.
        config: the whole resolved configuration.
        hashes: config, data, pictures, start, code, and what else the signature covers.
        examples: dataset, or probe -> how many were trained on or answered.
        result: tune: best step, validation scores and weights_sha256; the others: sha256, file -> hash.
    """

    kind: str
    name: str
    signature: str
    suite: str
    seed: int
    config: Mapping[str, Any]
    hashes: Mapping[str, str]
    cost: Cost
    examples: Mapping[str, int]
    result: Mapping[str, Any]

    def write(self, folder: Path) -> None:
        """Finishes the run."""
        files.write_sealed(folder / RECORD, asdict(self))

    @classmethod
    def read(cls, folder: Path) -> Record:
        """The record of a finished run.

        Raises:
            RunError: when there is none, it lacks a field or was edited.
        """
        path = folder / RECORD
        if not path.is_file():
            raise RunError(f"{path} does not exist; rerun the stage that writes it")
        try:
            raw = files.read_sealed(path)
            return cls(**{**raw, "cost": Cost(**raw["cost"])})
        except files.Edited as error:
            raise RunError(f"{error}; {_REMEDY}") from error
        except (KeyError, TypeError) as error:
            raise RunError(f"{path} is not a record of this version ({error}); rerun its stage") from error


def verified(folder: Path) -> Record:
    """The record of a run in runs/, once it is sure that it and the run's results are as they were written.

    Raises:
        RunError: naming the file that was edited, and what to delete.
    """
    record, path = Record.read(folder), folder / RECORD
    own = {key: value for key, value in record.hashes.items() if key != "metrics"}
    if not record.signature == folder.name == files.digest(own):
        raise RunError(f"{path} is the record of another run, {record.signature}; {_REMEDY}")
    for name, written in record.result.get("sha256", {}).items():
        if not (folder / name).is_file() or files.file_sha256(folder / name) != written:
            raise RunError(f"{folder / name} was edited or removed after {path} was written; {_REMEDY}")
    return record


def held_in(config: Config) -> tuple[str, ...]:
    """The datasets to train on.

    Raises:
        ValueError: for a name that is not in the catalogue, is held out or has nothing to train on.
    """
    if only := config.data.downstream:
        if not entry(only).held_in and only not in DOWNSTREAM:
            raise RunError(
                f"data.downstream is {only}, which has no training examples; choose a held-in set or one of "
                + ", ".join(DOWNSTREAM)
            )
        return (only,)
    for name in config.data.held_in:
        if not entry(name).held_in:
            raise RunError(f"data.held_in names {name}, which is held out; remove it")
    return config.data.held_in or HELD_IN


def asked(config: Config) -> tuple[str, ...]:
    """The datasets to examine a model on.

    Raises:
        ValueError: for a name that is not in the catalogue.
    """
    return tuple(entry(name).name for name in config.evaluate.datasets) or tuple(BY_NAME)


def start_folder(config: Config, root: Path) -> Path:
    """The BLIP-2 start that the configuration names.

    Raises:
        RunError: when it was made of something else than model.checkpoint.
    """
    folder = root / config.model.start / f"blip2-{config.model.language_model}"
    wanted, note = list(config.model.checkpoint), folder.with_name(START)
    if wanted and (not note.is_file() or files.read_json(note).get("checkpoint") != wanted):
        raise RunError(f"{folder} was not made of model.checkpoint {wanted}; run `workbench start`")
    return folder


def as_asked(config: Config, row: Row) -> Config:
    """The configuration with which a row is examined: BLIP-2's own Q-Former reads no instruction.

    Its second stage is trained without text (BLIP-2, section 3.2), so that what the first stage's text path
    adds to the queries is nothing that the language model has met. The row `blip2` of a start that is tuned
    already, a published InstructBLIP or one of our own, is that model, and reads.
    """
    sources = (config.model.start, *config.model.checkpoint)
    if row != "blip2" or named(sources, (*PUBLISHED, "best.safetensors")):
        return config
    return changed(config, {"model.instruction_aware": False, "model.unaware_form": "drop"})


def switches(config: Config) -> dict[str, Any]:
    """The model section but for where the start lies and comes from: its contents are hashed."""
    section: dict[str, Any] = config.to_dict()["model"]
    return {key: v for key, v in section.items() if key not in ("start", "checkpoint", "allow_pickle")}


def encoder_folder(config: Config, root: Path) -> Path:
    """The frozen vision encoder of the starts."""
    return root / config.model.start / "vision"


def data_hashes(
    root: Path, config: Config, datasets: Iterable[str], splits: Sequence[Split]
) -> dict[str, str]:
    """Hashes of exactly the examples and pictures a run sees, so that other datasets can change freely.

    Raises:
        RunError: naming a file that is missing.
    """
    prepared, index_path = root / "data/prepared", root / "data/features/index.json"
    if not index_path.is_file():
        raise RunError(f"{index_path} does not exist; run the stage features first")
    index = files.read_json(index_path)
    examples, pictures = {}, hashlib.sha256()
    for dataset in sorted(datasets):
        for split in splits:
            path = prepared / dataset / f"{split}.parquet"
            if not path.is_file() and path.parent.is_dir() and config.suite == "official":
                raise RunError(
                    f"{dataset} was prepared without {split}, for which {config.data.root} lacks the files "
                    "(`workbench data check` names them); get them and run `dvc repro --force prepare`"
                )
            if not path.is_file():
                raise RunError(f"{path} does not exist; run the stage prepare first")
            examples[f"{dataset}/{split}"] = files.file_sha256(path)
            column = pyarrow.parquet.read_table(path, columns=["images"]).column("images")
            for ref in sorted(set(column.combine_chunks().flatten().to_pylist())):
                if ref not in index["refs"]:
                    raise RunError(f"{index_path} has no picture {ref}; rerun the stage features")
                pictures.update(f"{ref} {index['keys'][index['refs'][ref]]}\n".encode())
    encoder = files.digest(Encoder.open(encoder_folder(config, root)).identity)
    return {"data": files.digest(examples), "pictures": pictures.hexdigest()[:16], "encoder": encoder}


def folder_hash(folder: Path) -> str:
    """One hash for all files of a folder, names included; of a file it stays known while size and time do.

    Raises:
        RunError: when the folder is missing or empty.
    """
    paths = sorted(path for path in folder.rglob("*") if path.is_file()) if folder.is_dir() else []
    if not paths:
        raise RunError(f"{folder} is missing or empty; check model.start, or get it back with git")
    return files.digest({path.relative_to(folder).as_posix(): _known(path) for path in paths})


def _known(path: Path) -> str:
    found = path.stat()
    return _hashed(path.resolve(), found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino)


@functools.cache  # a start of many gigabytes is asked for several times in a process
def _hashed(path: Path, *state: int) -> str:
    return files.file_sha256(path)


def rows_hash(datasets: Iterable[str], suite: Suite) -> str:
    """What the catalogue says about datasets, but for the metric, which decides no weight and no answer, and
    the factor, which parameters have the word on."""
    rows = {name: asdict(for_suite(name, suite)) for name in datasets}
    free = ("metric", "factor")
    return files.digest({name: {k: v for k, v in row.items() if k not in free} for name, row in rows.items()})


def code_hash(*modules: str) -> str:
    """The digest of everything the modules' results follow from."""
    return code.digest(modules, without=PLUMBING | _metric_modules())


def metrics_hash(suite: Suite = "micro") -> str:
    """The digest of the metrics' code; official has more of them."""
    more = ["workbench.evaluate.metrics.beside"] if suite == "official" else []
    return code.digest(["workbench.evaluate.metrics", *more])


def _metric_modules() -> frozenset[str]:
    names = map(code.name_of, code.closure("workbench.evaluate.metrics"))
    return frozenset(name for name in names if name.startswith("workbench.evaluate.metrics."))


def peak_memory() -> int:
    """Bytes: the most this process has held so far, on the GPU if there is one."""
    if torch.cuda.is_available():
        return int(torch.cuda.max_memory_allocated())
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit

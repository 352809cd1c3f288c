"""Datasets from the hub through `datasets` (the extra `official`), where a copy holds the pictures.

``hub.json`` in the data root names the datasets to take from there, each with its repository and revision:

    {"gqa": {"repo": "lmms-lab/GQA", "revision": "<40 hexadecimal digits>"}}

`workbench data pin ROOT DATASET` writes it. A repository may also be a folder below the data root, as
``hf download --repo-type dataset --local-dir`` makes it; then there is nothing to pin. The pictures are
copied into archives of the prepared folder.
"""

from __future__ import annotations

import hashlib
import re
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import Any

from workbench.data.images import ImageError, decode, inside
from workbench.data.official.copies import COPIES
from workbench.data.official.extras import extra
from workbench.data.official.rows import DataFault, Row
from workbench.files import read_json, replacing, write_json
from workbench.records import Example, Split

PINS = "hub.json"
_HEXADECIMAL = frozenset("0123456789abcdef")
_HUB_ID = re.compile(r"[\w.-]+/[\w.-]+")


def pinned(root: Path) -> dict[str, dict[str, str]]:
    """Dataset -> repository and revision.

    Raises:
        DataFault: for a dataset without a copy there, or a revision that can move.
    """
    if not (root / PINS).is_file():
        return {}
    try:
        found = read_json(root / PINS)
    except (OSError, ValueError, RecursionError) as error:
        remedy = f"correct it, or delete it and run `workbench data pin {root} DATASET`"
        raise DataFault(PINS, "", f"cannot be read ({error.__cause__ or error})", remedy) from error
    if not isinstance(found, dict):
        raise DataFault(PINS, "", "has to map datasets to repo and revision", "see README of the data root")
    for dataset, pin in found.items():
        if dataset not in COPIES:
            raise DataFault(PINS, dataset, "has no copy with pictures on the hub", "use its official files")
        if not isinstance(pin, dict) or not isinstance(pin.get("repo"), str):
            raise DataFault(PINS, dataset, "names no repo", "write a repository of the hub, or a folder")
        revision = pin.get("revision") or ""
        fixed = isinstance(revision, str) and len(revision) == 40 and set(revision) <= _HEXADECIMAL
        if _folder(root, pin["repo"]):
            continue
        if not _HUB_ID.fullmatch(pin["repo"]) or Path(pin["repo"]).exists():
            # `datasets` would read a folder of that name where the program stands
            problem = f"{pin['repo']!r} is neither a repository of the hub nor a folder below the data root"
            raise DataFault(PINS, dataset, problem, "write owner/name, or move the folder below the root")
        if not fixed:
            remedy = f"run `workbench data pin {root} {dataset}`"
            raise DataFault(PINS, dataset, f"the revision {revision!r} is no commit", remedy)
    return found


def gives(root: Path, dataset: str, split: Split) -> bool:
    """Whether a split is read from the hub; one that a copy lacks is read from the official files."""
    return dataset in pinned(root) and split in COPIES[dataset].splits


def local(root: Path, dataset: str) -> bool:
    """Whether a dataset's copy is a folder below the root, which can be read at no cost but time."""
    return dataset in (found := pinned(root)) and _folder(root, found[dataset]["repo"]) is not None


def pin(root: Path, dataset: str) -> str:
    """Writes the newest revision of a dataset's copy into hub.json, for good, and returns it.

    Raises:
        DataFault: for a dataset without a copy, or when the hub cannot be asked.
    """
    from httpx2 import HTTPError  # of the hub's client, and no OSError
    from huggingface_hub import HfApi

    if dataset not in COPIES:
        known = ", ".join(COPIES)
        raise DataFault(PINS, dataset, "has no copy with pictures on the hub", f"there are: {known}")
    repo = COPIES[dataset].repo
    try:
        revision = str(HfApi().dataset_info(repo).sha)
    except (OSError, HTTPError) as error:
        reason = " ".join(str(error).split())[:160]
        remedy = "unset HF_HUB_OFFLINE and try again with a network, or write the revision there yourself"
        raise DataFault(PINS, dataset, f"the hub does not answer for {repo} ({reason})", remedy) from error
    write_json(root / PINS, pinned(root) | {dataset: {"repo": repo, "revision": revision}})
    return revision


def examples(root: Path, dataset: str, split: Split, archive: Path) -> Iterator[Example]:
    """The examples of a split; their pictures are in `archive` when the last one was given.

    Raises:
        DataFault: naming the row that lacks something, or whose picture is damaged.
    """
    copy = COPIES[dataset]
    if split not in copy.splits:
        raise DataFault(PINS, dataset, f"its copy has no {split}", "use its official files")
    name, wanted = f"hub/{archive.name}", copy.choose(root, split)
    with replacing(archive) as temporary, zipfile.ZipFile(temporary, "w", zipfile.ZIP_STORED) as pictures:
        if copy.pictures_config:
            for row in _rows(root, dataset, copy.pictures_config, copy.splits[split]):
                _put(pictures, row, row.name("id"))
        for row in _rows(root, dataset, copy.config, copy.splits[split]):
            if not wanted(row):
                continue
            if copy.pictures_config:
                member = f"{row.name('imageId')}.png"
                if member not in pictures.NameToInfo:
                    raise row.fault(f"its picture {member} is not in {copy.pictures_config}")
            else:
                member = _put(pictures, row, "")
            made = copy.make(row, f"{name}/{member}")
            yield from _each_caption(made) if copy.captions and split == "train" else (made,)


def _each_caption(example: Example) -> Iterator[Example]:
    for number, caption in enumerate(example.references):
        yield replace(example, example_id=f"{example.example_id}_{number}", references=(caption,))


def _put(pictures: zipfile.ZipFile, row: Row, name: str) -> str:
    """Adds a row's picture, once, under a name or that of its content."""
    picture = row.values.get(next((key for key in ("image", "query_image") if key in row.values), "image"))
    data = picture.get("bytes") if isinstance(picture, Mapping) else None
    if not data:
        raise row.fault("it holds no picture")
    member = f"{name or hashlib.sha256(data).hexdigest()[:32]}.png"
    if len(PurePosixPath(member).parts) != 1 or set(member) & set("\\\0:"):
        raise row.fault(f"its picture's name {name!r} is none of a file")
    if member not in pictures.NameToInfo:
        try:
            decode(data, f"{row.file}, {row.place}")
        except ImageError as error:
            raise row.fault(str(error), "get the file again") from error
        pictures.writestr(zipfile.ZipInfo(member), data)
    return member


def _rows(root: Path, dataset: str, config: str | None, split: str) -> Iterator[Row]:
    from httpx2 import HTTPError

    datasets = extra("datasets")
    pin = pinned(root)[dataset]
    folder = _folder(root, pin["repo"])
    source: dict[str, Any] = {"path": pin["repo"], "revision": pin.get("revision")}
    if folder:
        source = {"path": str(folder)}
    try:
        builder = datasets.load_dataset_builder(name=config, **source)
        if folder:
            _inside(root, folder, (builder.config.data_files or {}).get(split, ()))
        stream = builder.as_streaming_dataset(split=split)
        stream = stream if stream.features else stream._resolve_features()
        columns = [key for key in stream.features if isinstance(stream.features[key], datasets.Image)]
        for column in columns:
            stream = stream.cast_column(column, datasets.Image(decode=False))
        for number, values in enumerate(stream):
            yield Row(pin["repo"], f"{split} row {number}", values)
    except (OSError, HTTPError, ValueError) as error:
        if isinstance(error, DataFault):
            raise
        reason = " ".join(str(error).split())[:200]
        remedy = "check its name and revision in hub.json and the network, or use its official files"
        raise DataFault(pin["repo"], split, f"cannot be read ({reason})", remedy) from error


def _inside(root: Path, folder: Path, files: Iterable[str]) -> None:
    """Refuses files outside the folder of a copy: its README.md may name any, and each may be a link."""
    for file in files:
        if not Path(file).resolve().is_relative_to(folder):
            name = folder.relative_to(root.resolve()).as_posix()
            raise DataFault(name, "", f"reads {file}, outside its folder", "put the file itself there")


def state(root: Path, dataset: str) -> list[Any]:
    """What tells whether a dataset of hub.json is what it was: its pin, and the files of a folder."""
    pin = pinned(root).get(dataset)
    folder = _folder(root, pin["repo"]) if pin else None
    files = sorted(path for path in folder.rglob("*") if path.is_file()) if folder else []
    return [pin, [[path.name, path.stat().st_size, path.stat().st_mtime_ns] for path in files]]


def _folder(root: Path, repo: str) -> Path | None:
    try:
        path = inside(root, repo)
    except ImageError:
        return None
    return path if path.is_dir() else None

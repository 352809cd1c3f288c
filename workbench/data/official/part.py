"""One part of the prepared official suite, whole or absent: a split's examples, or a video's frames."""

from __future__ import annotations

import functools
import os
import shutil
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from workbench import code
from workbench.data.micro.sampling import stream
from workbench.data.official import hub, vetting, video
from workbench.data.official.pictures import video_of
from workbench.data.official.releases import RELEASES, archives, chosen, file_of, folders
from workbench.data.prepare import write_examples
from workbench.files import digest, file_sha256, read_json, write_json
from workbench.records import Example, Split

AT_ONCE = 8192  # examples in memory
STATE = ".state.json"


@dataclass(frozen=True, slots=True)
class Part:
    """A split to write.

    Attributes:
        root: the data root.
        out: the folder that is being built; before: that of an earlier preparation.
        seed: of the drawing.
        most: how many examples to keep at most; share: what share of them. Those are drawn at random.
    """

    dataset: str
    split: Split
    root: Path
    out: Path
    before: Path
    seed: int
    most: int | None = None
    share: float = 1.0

    @property
    def name(self) -> str:
        """As in the manifest: ``gqa/test``."""
        return f"{self.dataset}/{self.split}"


def write_part(part: Part) -> dict[str, Any]:
    """Writes a split, unless that was done from the same files, and says what is in it.

    Returns:
        fingerprint, examples, and the videos whose frames they show.

    Raises:
        DataFault: for anything in the files that is wrong, their size included.
    """
    wanted = _fingerprint(part)
    found = _made_before(part, wanted)
    if found is not None:
        return found
    clips: set[str] = set()

    def noted() -> Iterator[Example]:
        for example in _drawn(part):
            clips.update(filter(None, map(video_of, example.images)))
            yield example

    written = write_examples(part.out / f"{part.name}.parquet", noted(), AT_ONCE)
    own = [_archive(part)] if part.dataset in hub.pinned(part.root) else []
    state = {"fingerprint": wanted, "examples": written, "videos": sorted(clips), "archives": own}
    write_json(part.out / f"{part.name}{STATE}", state)
    return state


def write_clip(job: tuple[Path, str, Path, Path]) -> None:
    """Writes the frames of a video, unless that was done: data root, video, new and earlier folder.

    Raises:
        DataFault: for a video that is damaged.
    """
    root, clip, out, before = job
    name, wanted = f"{clip}.zip", video.stamp(root, clip)
    for place in (out, before):
        if _comment(place / name) == wanted:
            return _take(place / name, out / name)
    return video.write_frames(root, clip, out / name)


def _comment(path: Path) -> bytes | None:
    """What an archive was made of; None for one that is missing or damaged."""
    try:
        with zipfile.ZipFile(path) as archive:
            return archive.comment
    except (OSError, zipfile.BadZipFile):
        return None


def _fingerprint(part: Part) -> str:
    """What the examples follow from: annotation files, places of pictures, what is drawn, and the code."""
    release = RELEASES[part.dataset]
    files = (*release.parts[part.split].files, *release.parts[part.split].optional)
    names = [chosen(part.root, file) for file in files]
    states = {name: _state(part.root / name) for name in names}
    states |= {name: _state(part.root / name) for name in archives(part.root, release)}
    states |= {f"{name}/": _listing(part.root / name) for name in folders(release)}
    drawn = [part.seed, part.most, part.share]
    return digest([states, drawn, _code(part.dataset), hub.state(part.root, part.dataset)])


@functools.cache
def _code(dataset: str) -> dict[str, str]:
    """The files that a dataset is read with, without the micro world."""
    reached = code.closure(f"workbench.data.sources.{dataset}")
    return {path.name: file_sha256(path) for path in reached if path.parent.name in ("official", "sources")}


def _state(path: Path) -> list[Any]:
    """Size and time of change of a file, or of the records in a folder; nothing for what is not there."""
    if path.is_dir():
        return [[record.parent.name, *_state(record)] for record in sorted(path.glob("*/data.json"))]
    return [path.stat().st_size, path.stat().st_mtime_ns] if path.exists() else []


def _listing(folder: Path) -> list[int]:
    """When something came into a folder or went, nothing if there is no folder."""
    return [folder.stat().st_mtime_ns] if folder.is_dir() else []


def _made_before(part: Part, wanted: str) -> dict[str, Any] | None:
    for place in (part.out, part.before):
        found = _kept(place, part)
        if found is not None and found["fingerprint"] == wanted:
            for name in (f"{part.name}.parquet", *found["archives"], f"{part.name}{STATE}"):
                _take(place / name, part.out / name)
            return found
    return None


def _kept(place: Path, part: Part) -> dict[str, Any] | None:
    """The state of a part that is whole; what was damaged or deleted since counts as not made."""
    try:
        found: dict[str, Any] = read_json(place / f"{part.name}{STATE}")
        whole = pq.read_metadata(place / f"{part.name}.parquet").num_rows == found["examples"]
        whole = whole and all(zipfile.is_zipfile(place / name) for name in found["archives"])
        whole = whole and {"fingerprint", "videos"} <= set(found)
    except (OSError, ValueError, LookupError, TypeError):  # of a missing file, of JSON, of Arrow
        return None
    return found if whole else None


def _take(path: Path, target: Path) -> None:
    """The same file under another name, a copy where the disk knows no links."""
    if path == target:
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    target.unlink(missing_ok=True)
    try:
        os.link(path, target)
    except OSError:
        shutil.copyfile(path, target)


def _archive(part: Part) -> str:
    return f"hub/{part.dataset}_{part.split}.zip"


def _all(part: Part) -> Iterator[Example]:
    if part.dataset not in hub.pinned(part.root):
        return vetting.examples(part.root, part.dataset, part.split)
    found = hub.examples(part.root, part.dataset, part.split, part.out / _archive(part))
    return vetting.vetted(found, hub.PINS)


def _drawn(part: Part) -> Iterator[Example]:
    """The examples to keep, in their order; all are read, and counted.

    Selection sampling: example i is kept with the probability (still wanted) / (still to come).
    """
    size = RELEASES[part.dataset].parts[part.split].examples
    keep = round(size * part.share) if part.most is None else min(size, part.most)
    everything = keep >= size
    rng = stream(part.seed, "official", part.dataset, part.split)
    seen = kept = 0
    for example in _all(part):
        if everything or rng.random() * max(size - seen, 1) < keep - kept:
            kept += 1
            yield example
        seen += 1
    from_hub = part.dataset in hub.pinned(part.root)
    file = hub.PINS if from_hub else file_of(part.root, part.dataset, part.split)
    fault = vetting.counted(file, part.dataset, part.split, seen)
    if fault is not None:
        raise fault

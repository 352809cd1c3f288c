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
from workbench.data.candidates import coverage
from workbench.data.micro.sampling import stream
from workbench.data.official import hub, vetting, video
from workbench.data.official.pictures import video_of
from workbench.data.official.releases import RELEASES, archives, chosen, file_of, folders
from workbench.data.official.rows import DataFault, NoPicture, Note, refuse
from workbench.data.official.video_qa import RANKED, VOCABULARY
from workbench.data.prepare import write_examples
from workbench.files import digest, file_sha256, read_json, write_json
from workbench.records import Example, Split

AT_ONCE = 8192  # examples in memory
STATE = ".state.json"
FAULTY = 0.001  # of a split, the records that may have a fault and be left out


@dataclass(frozen=True, slots=True)
class Part:
    """A split to write.

    Attributes:
        root: the data root.
        out: the folder that is being built; before: that of an earlier preparation.
        seed: of the drawing.
        most: how many examples to keep at most; share: what share of them. Those are drawn at random.
        allow_missing: leave out, and count, examples whose picture is missing or damaged, and a few records
            that have something else wrong with them.
        vocabulary: how many answers the video sets rank.
    """

    dataset: str
    split: Split
    root: Path
    out: Path
    before: Path
    seed: int
    most: int | None = None
    share: float = 1.0
    allow_missing: bool = False
    vocabulary: int = VOCABULARY

    @property
    def name(self) -> str:
        """As in the manifest: ``gqa/test``."""
        return f"{self.dataset}/{self.split}"


def write_part(part: Part) -> dict[str, Any]:
    """Writes a split, unless that was done from the same files, and says what is in it.

    Returns:
        fingerprint, examples, the videos whose frames they show, how many were left out for want of a
        picture, what was wrong with others that were, and, where a vocabulary is ranked, the share of the
        answers that are in it.

    Raises:
        DataFault: for anything in the files that is wrong, their size included.
    """
    wanted = _fingerprint(part)
    found = _made_before(part, wanted)
    if found is not None:
        return found
    tally = _Tally(part)
    note = tally.left_out if part.allow_missing else refuse
    examples = _drawn(part, note)
    if not _from_hub(part):  # whose pictures are decoded as they come
        examples = vetting.whole(part.root, examples, note, videos=part.allow_missing)
    try:
        written = write_examples(part.out / f"{part.name}.parquet", tally.noted(examples), AT_ONCE)
    except BaseException:
        (part.out / _archive(part)).unlink(missing_ok=True)  # a copy's pictures, without their examples
        raise
    state = {
        "fingerprint": wanted,
        "examples": written,
        "videos": sorted(tally.clips),
        "archives": [_archive(part)] if _from_hub(part) else [],
        "missing": tally.missing,
        "faulty": tally.faulty,
    }
    if tally.answers:
        state["covers"] = round(coverage(tally.ranked, tally.answers), 1)
    write_json(part.out / f"{part.name}{STATE}", state)
    return state


class _Tally:
    """What is noticed while a part is written.

    Attributes:
        missing: examples whose picture is missing or damaged.
        faulty: what else was wrong with records that were left out.
    """

    def __init__(self, part: Part) -> None:
        self.missing = 0
        self.faulty: list[str] = []
        self.clips: set[str] = set()
        self.answers: list[str] = []
        self.ranked: tuple[str, ...] = ()
        self._part = part
        self._most = int(FAULTY * max(one.examples for one in RELEASES[part.dataset].parts.values()))

    def left_out(self, fault: DataFault) -> None:
        """Counts an example that cannot be used.

        Raises:
            DataFault: for a fault of a record, when too many had one.
        """
        if isinstance(fault, NoPicture):
            self.missing += 1
        elif len(self.faulty) < self._most:
            self.faulty.append(str(fault))
        else:
            file, place, problem, remedy = fault.args
            more = f"{problem}; data.allow_missing leaves out {self._most} such records of {file}, not more"
            raise DataFault(file, place, more, remedy)

    def noted(self, examples: Iterator[Example]) -> Iterator[Example]:
        """The examples as they come."""
        for example in examples:
            self.clips.update(filter(None, map(video_of, example.images)))
            if self._part.dataset in RANKED:
                self.answers.append(example.references[0])
                self.ranked = example.candidates
            yield example


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
    drawn = [part.seed, part.most, part.share, part.allow_missing]
    drawn += [part.vocabulary] if part.dataset in RANKED else []
    return digest([states, drawn, _code(part.dataset), hub.state(part.root, part.dataset)])


@functools.cache
def _code(dataset: str) -> list[Any]:
    """The files that a dataset is read with, and what all of them are vetted, drawn and written with."""
    reached = code.closure(f"workbench.data.sources.{dataset}")
    own = {path.name: file_sha256(path) for path in reached if path.parent.name in ("official", "sources")}
    return [own, _common()]


@functools.cache
def _common() -> str:
    """The code that decides about every dataset.

    The datasets' own modules and the micro world do not, but for the drawing; what is taken from the
    configuration and the catalogue is in the fingerprint.
    """
    others = [path for name in ("micro", "sources") for path in (code.PACKAGE / "data" / name).glob("*.py")]
    without = {*map(code.name_of, others), "workbench.config", "workbench.data.catalog"}
    return code.digest([__name__], without=without - {stream.__module__})


def _state(path: Path) -> list[Any]:
    """Size and time of change of a file, or of the records in a folder; nothing for what is not there."""
    if path.is_dir():
        records = sorted([*path.glob("*/data.json"), *path.glob("*.parquet")])
        return [[record.relative_to(path).as_posix(), *_state(record)] for record in records]
    return [path.stat().st_size, path.stat().st_mtime_ns] if path.exists() else []


def _listing(folder: Path) -> list[Any]:
    """When something last came into a folder or its folders, or went; nothing if it is not there."""
    if not folder.is_dir():
        return []
    with os.scandir(folder) as entries:
        shards = sorted([entry.name, entry.stat().st_mtime_ns] for entry in entries if entry.is_dir())
    return [folder.stat().st_mtime_ns, shards]


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
        whole = whole and {"fingerprint", "videos", "missing", "faulty"} <= set(found)
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


def _from_hub(part: Part) -> bool:
    return hub.gives(part.root, part.dataset, part.split)


def _all(part: Part, note: Note) -> Iterator[Example]:
    if not _from_hub(part):
        return vetting.examples(part.root, part.dataset, part.split, note, part.vocabulary)
    found = hub.examples(part.root, part.dataset, part.split, part.out / _archive(part))
    return vetting.vetted(found, hub.PINS, note)


def _drawn(part: Part, note: Note) -> Iterator[Example]:
    """The examples to keep, in their order; all are read, and counted.

    Selection sampling: example i is kept with the probability (still wanted) / (still to come); of a set with
    fewer examples than the paper's, correspondingly fewer are kept.
    """
    size = RELEASES[part.dataset].parts[part.split].examples
    keep = round(size * part.share) if part.most is None else min(size, part.most)
    everything = keep >= size
    rng = stream(part.seed, "official", part.dataset, part.split)
    seen = kept = 0
    for example in _all(part, note):
        if everything or rng.random() * max(size - seen, 1) < keep - kept:
            kept += 1
            yield example
        seen += 1
    file = hub.PINS if _from_hub(part) else file_of(part.root, part.dataset, part.split)
    fault = vetting.counted(file, part.dataset, part.split, seen, part.allow_missing)
    if fault is not None:
        raise fault

"""`workbench data check ROOT`: what of the 26 datasets is there, and what is wrong with it, by name."""

from __future__ import annotations

import stat
import zipfile
from collections import deque
from collections.abc import Callable, Collection, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory
from typing import Literal

from workbench.data.catalog import BY_NAME
from workbench.data.images import decode
from workbench.data.official import hub, vetting
from workbench.data.official.extras import NotInstalled
from workbench.data.official.hygiene import EXCEPTED, NOTHING, Album, Looked, Looks, look
from workbench.data.official.lookup import Seen
from workbench.data.official.pictures import UNREADABLE, source_of
from workbench.data.official.releases import RELEASES, Part, Release, archives, file_of, missing
from workbench.data.official.rows import DataFault
from workbench.records import Example, Split

SHOWN = 20  # faults of a dataset, unless more are asked for; the others are counted
_USES: dict[tuple[Split, ...], str] = {("train",): "tuning", ("val",): "development"}
State = Literal["present", "partial", "missing"]


@dataclass
class Finding:
    """What there is of a dataset.

    Attributes:
        sizes: split -> examples that could be read.
        origin: where on the hub it is taken from, "" for official files; compared: whether its pictures
            are compared with those of other sets all the same.
        room: how many faults are named at most.
        faults: the first of them; more: how many others there are.
        skipped: why something was not looked at, said once in a check.
    """

    dataset: str
    room: int = SHOWN
    state: State = "missing"
    origin: str = ""
    compared: bool = False
    sizes: dict[Split, int] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)
    more: int = 0
    skipped: list[str] = field(default_factory=list)

    def note(self, fault: DataFault | str) -> None:
        """Takes a fault down."""
        if len(self.faults) < self.room:
            self.faults.append(str(fault))
        else:
            self.more += 1


class Check:
    """An examination of a data root, dataset by dataset.

    Args:
        pictures: decode every picture and video, and look for test pictures in training.
        shown: how many faults of a dataset are named at most.
    """

    def __init__(self, root: Path, pictures: bool = True, workers: int = 2, shown: int = SHOWN) -> None:
        self.root, self.pictures, self.workers, self.shown = root, pictures, workers, shown
        self.album, self.looks = Album(), Looks()
        self.pinned = hub.pinned(root)
        self.lacking: set[str] = set()

    def dataset(self, name: str) -> Finding:
        """Reads everything of a dataset once; of what it takes from the hub only a folder that is here."""
        release, finding = RELEASES[name], Finding(name, self.shown)
        seen, before = Seen(), set(self.lacking)
        there = 0
        if name in self.pinned:
            pin = self.pinned[name]
            finding.origin, there = f"{pin['repo']} {pin.get('revision') or ''}".strip(), 1
            finding.compared = self.pictures and hub.local(self.root, name)
        for archive in archives(self.root, release):
            for fault in archive_faults(self.root, archive):
                finding.note(fault)
        for part, splits in _parts(release):
            if hub.gives(self.root, name, splits[0]):
                if finding.compared:
                    self._copy(name, splits, finding)
                continue
            absent = missing(self.root, part)
            for file in absent:
                spare = finding.origin or not BY_NAME[name].held_in
                use = f" (for {_USES[splits]} only)" if spare and splits in _USES else ""
                finding.note(DataFault(file, "", f"is missing{use}", "get it from the address below"))
            there += len(part.files) - len(absent)
            if not absent:
                size = self._part(name, splits, finding, seen)
                finding.sizes |= dict.fromkeys(splits, size)
        finding.skipped = sorted(self.lacking - before)
        if there:
            finding.state = "partial" if finding.faults else "present"
        return finding

    def _copy(self, name: str, splits: tuple[Split, ...], finding: Finding) -> None:
        """Reads a split of a hub's copy as it would be prepared, in a folder that is thrown away."""
        role, keep = _role(name, splits)
        with TemporaryDirectory() as folder:
            archive, kept, size = Path(folder, "pictures.zip"), dict[str, set[str]](), 0
            try:
                found = hub.examples(self.root, name, splits[0], archive)
                for example in vetting.vetted(found, hub.PINS, finding.note):
                    kept.setdefault(example.images[0], set()).add(example.image_id)
                    size += 1
                finding.sizes |= dict.fromkeys(splits, size)
                wrong = vetting.counted(hub.PINS, name, splits[0], size)
                if wrong is not None:
                    finding.note(wrong)
                with zipfile.ZipFile(archive) as pictures:
                    for ref, image_ids in kept.items() if keep else ():
                        looks = look(decode(pictures.read(PurePosixPath(ref).name), ref))
                        for image_id in sorted(image_ids):  # a picture may have two names
                            self.album.add(role, name, image_id, ref, looks)
            except DataFault as fault:
                finding.note(fault)
            except NotInstalled as error:
                self.lacking.add(str(error))

    def _part(self, name: str, splits: tuple[Split, ...], finding: Finding, seen: Seen) -> int:
        """Reads one part and its pictures; returns how many examples could be read."""
        size, before = 0, len(finding.faults) + finding.more
        role, keep = _role(name, splits)
        try:
            found = vetting.read(self.root, name, splits[0], finding.note)
            for example, looks in self._looked(found, finding, seen):
                size += 1
                if keep:
                    self.album.add(role, name, example.image_id, example.images[0], looks)
        except DataFault as fault:
            finding.note(fault)
        wrong = vetting.counted(file_of(self.root, name, splits[0]), name, splits[0], size)
        if wrong is not None and (size or len(finding.faults) + finding.more == before):
            finding.note(wrong)
        return size

    def _looked(
        self, examples: Iterator[Example], finding: Finding, seen: Seen
    ) -> Iterator[tuple[Example, int | None]]:
        """Each example, the first of a picture with its look; pictures are decoded side by side, once."""
        waiting: deque[tuple[Example, Callable[[], Looked]]] = deque()
        with ThreadPoolExecutor(self.workers) as pool:
            for example in examples:
                waiting.append((example, self._begun(pool, example, seen)))
                if len(waiting) > 4 * self.workers:
                    yield self._ended(*waiting.popleft(), finding)
            while waiting:
                yield self._ended(*waiting.popleft(), finding)

    def _begun(self, pool: ThreadPoolExecutor, example: Example, seen: Seen) -> Callable[[], Looked]:
        source = source_of(example.images[0])
        known = self.looks.get(source) if seen.add(source) else NOTHING
        return pool.submit(self._look, example).result if known is None else lambda: known

    def _ended(
        self, example: Example, looked: Callable[[], Looked], finding: Finding
    ) -> tuple[Example, int | None]:
        looks, fault = looked()
        if (looks, fault) != NOTHING:
            self.looks.put(source_of(example.images[0]), looks, fault)
        if fault is not None:
            finding.note(fault)
        return example, looks

    def _look(self, example: Example) -> Looked:
        """Look and fault of an example's picture; a video has no look."""
        try:
            fault = vetting.without_picture(self.root, example)
            if fault is not None or not self.pictures:
                return None, None if fault is None else str(fault)
            picture = vetting.opened(self.root, example, source_of(example.images[0]))
            return (None if picture is None else look(picture)), None
        except NotInstalled as error:
            self.lacking.add(str(error))
        except DataFault as error:
            return None, str(error)
        return NOTHING

    def shared(self) -> Iterator[tuple[bool, str]]:
        """Pictures of tests that are in the training of other datasets: whether that is as it should be."""
        pairs: dict[tuple[str, str], list[str]] = {}
        for test, train, image in self.album.by_name():
            pairs.setdefault((test, train), []).append(image)
        for (test, train), images in pairs.items():
            some = ", ".join(images[:3]) + (", ..." if len(images) > 3 else "")
            expected, why = _judged(test)
            yield expected, f"{len(images)} pictures of {test} are in the training of {train} ({some}); {why}"
        shown = {True: 0, False: 0}
        for test, ref, train, other in self.album.by_look():
            expected, _ = _judged(test)
            shown[expected] += 1
            if shown[expected] <= self.shown:
                yield expected, f"{ref} of {test} looks like {other} in the training of {train}; look at both"
        for expected, number in shown.items():
            if number > self.shown:
                yield expected, f"and {number - self.shown:,} more pictures that look alike"


def _role(name: str, splits: tuple[Split, ...]) -> tuple[str, bool]:
    """train or test, and whether its pictures are to be compared."""
    role = "train" if "train" in splits else "test"
    return role, (BY_NAME[name].held_in or role == "test") and splits != ("val",)


def _judged(test: str) -> tuple[bool, str]:
    """Whether a test may share pictures with training, and why."""
    if test in EXCEPTED:
        return True, EXCEPTED[test]
    if BY_NAME[test].held_in:
        return True, "both are held-in, where the paper keeps nothing apart; its score counts known pictures"
    return False, "the paper keeps them apart; drop their training records, or tell it with the score"


def _parts(release: Release) -> list[tuple[Part, tuple[Split, ...]]]:
    """The parts of a release, each once, and which of our splits it is; one that is val only comes last.

    Its pictures are not compared with others, and each picture is looked at where it is met first.
    """
    found: dict[int, tuple[Part, tuple[Split, ...]]] = {}
    for split, part in release.parts.items():
        found[id(part)] = (part, (*found.get(id(part), (part, ()))[1], split))
    return sorted(found.values(), key=lambda one: one[1] == ("val",))


def archive_faults(root: Path, file: str) -> Iterator[DataFault]:
    """Members of a zip archive that would lead out of a folder, links, and members nobody can read."""
    try:
        with zipfile.ZipFile(root / file) as archive:
            for member in archive.infolist():
                parts = PurePosixPath(member.filename).parts
                remedy = "get the archive from its publisher"
                if member.filename.startswith(("/", "\\")) or ".." in parts or ":" in "".join(parts[:1]):
                    yield DataFault(file, f"member {member.filename!r}", "leads out of the archive", remedy)
                elif stat.S_ISLNK(member.external_attr >> 16):
                    yield DataFault(file, f"member {member.filename!r}", "is a link", remedy)
                elif member.flag_bits & 1:
                    yield DataFault(file, f"member {member.filename!r}", "is encrypted", remedy)
    except UNREADABLE as error:
        yield DataFault(file, "", f"is damaged ({error})", "get it again")


def lines(finding: Finding) -> Iterator[str]:
    """A finding for people to read."""
    release = RELEASES[finding.dataset]
    found = [
        f"{split} {size:,}" + (f" of {part.examples:,}" if part.fewer and size < part.examples else "")
        for split, part in release.parts.items()
        if (size := finding.sizes.get(split)) is not None
    ]
    if finding.origin:
        found.append(f"from the hub: {finding.origin}")
        if not finding.compared:
            found[-1] += "; its pictures are checked when it is prepared, and not"
            found[-1] += " compared with those of other sets"
    yield f"{finding.state:8} {finding.dataset}{'  ' if found else ''}{', '.join(found)}"
    for sentence in finding.skipped:
        yield f"           left out: {sentence}"
    for fault in finding.faults:
        yield f"           {fault}"
    if finding.more:
        yield f"           and {finding.more:,} more"
    yield f"           licence: {release.licence}; get it: {release.home}"


def named(names: Collection[str]) -> list[str]:
    """The datasets of these names, all of them for none.

    Raises:
        ValueError: for a name that is no dataset of the paper.
    """
    for name in names:
        if name not in RELEASES:
            raise ValueError(f"unknown dataset {name!r}; known: {', '.join(RELEASES)}")
    return list(names) or list(RELEASES)

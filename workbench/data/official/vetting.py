"""What has to hold for every example, whatever file it is from; and how a split is read and counted."""

from __future__ import annotations

import importlib
import os
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

from PIL import Image

from workbench.data import images
from workbench.data.official import video
from workbench.data.official.lookup import Seen
from workbench.data.official.pictures import UNREADABLE, source_of, video_of
from workbench.data.official.releases import RELEASES, file_of
from workbench.data.official.rows import DataFault, NoPicture, Note, refuse
from workbench.data.official.video_qa import RANKED, VOCABULARY
from workbench.records import Example, Split

Read = Callable[..., Iterator[Example]]
_RECENT = 4096  # pictures of which it is known whether they can be decoded


def examples(
    root: Path, dataset: str, split: Split, note: Note = refuse, vocabulary: int = VOCABULARY
) -> Iterator[Example]:
    """The examples of an official split, each with a name of its own, an answer and its picture.

    Args:
        note: hears of every example of which that does not hold; by default the first ends the reading.
        vocabulary: how many answers the video sets rank.

    Raises:
        DataFault: from `note`; and for a file that cannot be read on.
    """
    for example in read(root, dataset, split, note, vocabulary):
        fault = without_picture(root, example)
        if fault is None:
            yield example
        else:
            note(fault)


def read(
    root: Path, dataset: str, split: Split, note: Note, vocabulary: int = VOCABULARY
) -> Iterator[Example]:
    """The examples of an official split; whether their pictures are there is not looked at.

    Raises:
        DataFault: from `note`; and for a file that cannot be read on.
    """
    source = importlib.import_module(f"workbench.data.sources.{dataset}")
    reader: Read = source.official
    sized = (vocabulary,) if dataset in RANKED else ()
    return vetted(reader(split, root, note, *sized), file_of(root, dataset, split), note)


def without_picture(root: Path, example: Example) -> DataFault | None:
    """The fault of an example whose picture or video is not there."""
    for source in dict.fromkeys(map(source_of, example.images)):
        try:
            if not images.holds(root, source, own=True):
                remedy = "put it there, or get its archive again"
                return NoPicture(source, f"the picture of {example.example_id}", "is missing", remedy)
        except (images.ImageError, *UNREADABLE) as error:
            remedy = "correct the folder of its pictures"
            return DataFault(source, f"the picture of {example.example_id}", str(error), remedy)
    return None


def opened(root: Path, example: Example, source: str) -> Image.Image | None:
    """A picture of an example, decoded; None for a video, of which the frames could be.

    Raises:
        NoPicture: for one that is damaged, or a single pixel, which shops serve for a picture they lack.
    """
    place = f"the picture of {example.example_id}"
    try:
        if video_of(example.images[0]):
            video.frames(root, source)
            return None
        picture = images.open_image(root, source, own=True)
    except (images.ImageError, *UNREADABLE) as error:
        raise NoPicture(source, place, str(error), "get it again") from error
    except DataFault as fault:
        raise NoPicture(*fault.args) from fault
    if picture.size == (1, 1):
        raise NoPicture(source, place, "is a single pixel, in place of a picture", "get it again")
    return picture


def whole(root: Path, examples: Iterator[Example], note: Note, videos: bool) -> Iterator[Example]:
    """The examples whose pictures can be decoded, in their order; pictures are decoded side by side.

    Args:
        note: hears of the others.
        videos: whether videos are decoded as well.
    """
    workers = os.cpu_count() or 1
    recent: dict[str, Future[NoPicture | None]] = {}  # of a picture, most files have all questions together
    waiting: deque[tuple[Example, list[Future[NoPicture | None]]]] = deque()

    def sound() -> Iterator[Example]:
        example, looks = waiting.popleft()
        fault = next(filter(None, (look.result() for look in looks)), None)
        if fault is None:
            yield example
        else:
            note(fault)

    with ThreadPoolExecutor(workers) as pool:
        for example in examples:
            sources = [source_of(ref) for ref in example.images if videos or not video_of(ref)]
            for source in dict.fromkeys(sources):
                if source not in recent:
                    recent[source] = pool.submit(_damage, root, example, source)
            waiting.append((example, [recent[source] for source in dict.fromkeys(sources)]))
            while len(recent) > _RECENT:
                del recent[next(iter(recent))]
            if len(waiting) > 4 * workers:
                yield from sound()
        while waiting:
            yield from sound()


def _damage(root: Path, example: Example, source: str) -> NoPicture | None:
    try:
        opened(root, example, source)
    except NoPicture as fault:
        return fault
    return None


def vetted(examples: Iterator[Example], file: str, note: Note = refuse) -> Iterator[Example]:
    """The examples that have a name of their own and an answer."""
    seen = Seen()
    for example in examples:
        if not seen.add(example.example_id):
            problem, remedy = "its name stands twice", "remove one of the two, or get the file again"
        elif not any(example.references):
            problem, remedy = "it has no answer", "remove the record, or get the file again"
        else:
            yield example
            continue
        note(DataFault(file, f"example {example.example_id}", problem, remedy))


def counted(
    file: str, dataset: str, split: Split, examples: int, fewer: bool = False
) -> DataFault | None:
    """What is wrong with a split's size, if anything.

    Args:
        file: what it was read from.
        fewer: whether fewer examples than the paper's will do.
    """
    part = RELEASES[dataset].parts[split]
    if part.suits(examples, fewer):
        return None
    about = "about " if part.tolerance else ""
    return DataFault(
        file,
        split,
        f"{examples:,} examples, but {dataset} as published has {about}{part.examples:,}",
        f"get the whole file from {RELEASES[dataset].home}",
    )

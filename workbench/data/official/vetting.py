"""What has to hold for every example, whatever file it is from; and how a split is read and counted."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator
from pathlib import Path

from workbench.data import images
from workbench.data.official.lookup import Seen
from workbench.data.official.pictures import source_of
from workbench.data.official.releases import RELEASES, file_of
from workbench.data.official.rows import DataFault, NoPicture, Note, refuse
from workbench.data.official.video_qa import RANKED, VOCABULARY
from workbench.records import Example, Split

Read = Callable[..., Iterator[Example]]


def examples(
    root: Path, dataset: str, split: Split, lacking: Note = refuse, vocabulary: int = VOCABULARY
) -> Iterator[Example]:
    """The examples of an official split, each with a name of its own, an answer and its picture.

    Args:
        lacking: hears of every picture that is not there; by default that ends the reading.
        vocabulary: how many answers the video sets rank.

    Raises:
        DataFault: for the first of which that does not hold.
    """

    def note(fault: DataFault) -> None:
        (lacking if isinstance(fault, NoPicture) else refuse)(fault)

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
        except images.ImageError as error:
            remedy = "correct the folder of its pictures"
            return DataFault(source, f"the picture of {example.example_id}", str(error), remedy)
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

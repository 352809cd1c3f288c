"""What has to hold for every example, whatever file it is from; and how a split is read and counted."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator
from pathlib import Path

from workbench.data import images
from workbench.data.official.lookup import Seen
from workbench.data.official.pictures import source_of
from workbench.data.official.releases import RELEASES, file_of
from workbench.data.official.rows import DataFault, Note, refuse
from workbench.records import Example, Split

Read = Callable[[Split, Path, Note], Iterator[Example]]


def examples(root: Path, dataset: str, split: Split) -> Iterator[Example]:
    """The examples of an official split, each with a name of its own, an answer and its picture.

    Raises:
        DataFault: for the first of which that does not hold.
    """
    for example in read(root, dataset, split, refuse):
        fault = without_picture(root, example)
        if fault is not None:
            raise fault
        yield example


def read(root: Path, dataset: str, split: Split, note: Note) -> Iterator[Example]:
    """The examples of an official split; whether their pictures are there is not looked at.

    Raises:
        DataFault: from `note`; and for a file that cannot be read on.
    """
    source = importlib.import_module(f"workbench.data.sources.{dataset}")
    reader: Read = source.official
    return vetted(reader(split, root, note), file_of(root, dataset, split), note)


def without_picture(root: Path, example: Example) -> DataFault | None:
    """The fault of an example whose picture or video is not there."""
    for source in dict.fromkeys(map(source_of, example.images)):
        try:
            if images.holds(root, source, own=True):
                continue
            problem, remedy = "is missing", "put it there, or get its archive again"
        except images.ImageError as error:
            problem, remedy = str(error), "correct the folder of its pictures"
        return DataFault(source, f"the picture of {example.example_id}", problem, remedy)
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


def counted(file: str, dataset: str, split: Split, examples: int) -> DataFault | None:
    """What is wrong with a split's size, if anything; `file` is what it was read from."""
    part = RELEASES[dataset].parts[split]
    if part.suits(examples):
        return None
    about = "about " if part.tolerance else ""
    return DataFault(
        file,
        split,
        f"{examples:,} examples, but the paper's {dataset} has {about}{part.examples:,}",
        f"get the whole file from {RELEASES[dataset].home}",
    )

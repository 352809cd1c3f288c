"""Karpathy's caption files (dataset_coco.json, dataset_flickr30k.json): images with their sentences."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from workbench.data.official.reading import json_rows
from workbench.data.official.rows import Row


def images(root: Path, file: str, split: str) -> Iterator[Row]:
    """The images of a split."""
    for row in json_rows(root, file, "images.item"):
        if row.text("split") == split:
            yield row


def sentences(row: Row) -> tuple[str, ...]:
    """The captions of an image as they were written, without empty ones."""
    found = tuple(filter(None, (sentence.optional("raw") for sentence in row.rows("sentences"))))
    if not found:
        raise row.fault("has no caption that is not empty")
    return found

"""Splits for datasets that have none: by a hash of the image, so that all sets agree about an image."""

from __future__ import annotations

import hashlib

from workbench.records import Split


def carved(image: str, among: int) -> Split:
    """The split of an image: one in `among` is val, another test."""
    place = int.from_bytes(hashlib.sha256(image.encode()).digest()[:8]) % among
    splits: dict[int, Split] = {0: "val", 1: "test"}
    return splits.get(place, "train")

"""OCR tokens as in TextVQA's Rosetta files: ``{"data": [{"image_id": ..., "ocr_tokens": [...]}]}``."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from workbench.data.official.lookup import Lookup
from workbench.data.official.reading import json_rows

MOST = 30  # tokens in an instruction, as LAVIS (blip2_t5_instruct.py, generate)


class Tokens:
    """The tokens of each image."""

    def __init__(self, root: Path, file: str) -> None:
        self._rows = Lookup(_tokens(root, file))

    def of(self, image: str) -> str:
        """The first tokens joined by ", "; "" for an image in which nothing was read."""
        return ", ".join(next(iter(self._rows.get(image)), []))


def _tokens(root: Path, file: str) -> Iterator[tuple[str, list[str]]]:
    for row in json_rows(root, file, "data.item"):
        tokens = [row.clean(token, "ocr_tokens") for token in row.value("ocr_tokens")[:MOST]]
        yield row.name("image_id"), [token for token in tokens if token]

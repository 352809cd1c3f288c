"""OCR tokens as in TextVQA's Rosetta files: ``{"data": [{"image_id": ..., "ocr_tokens": [...]}]}``."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from workbench.data.official.lookup import Lookup
from workbench.data.official.reading import json_rows
from workbench.data.official.rows import Row, short

MOST = 30  # tokens in an instruction, as LAVIS (blip2_t5_instruct.py, generate)


class Tokens:
    """The tokens of each image."""

    def __init__(self, root: Path, file: str) -> None:
        self._rows = Lookup(_tokens(root, file))

    def of(self, image: str) -> str:
        """The first tokens joined by ", "; "" for an image in which nothing was read."""
        return ", ".join(next(iter(self._rows.get(image)), []))


def first(row: Row, tokens: Any) -> list[str]:
    """The tokens of an instruction among those that a record lists.

    Raises:
        DataFault: when that is no list of texts.
    """
    if not isinstance(tokens, list):
        raise row.fault(f"the field 'ocr_tokens' has to be a list, not {short(tokens)}")
    return list(filter(None, (row.clean(token, "ocr_tokens") for token in tokens[:MOST])))


def _tokens(root: Path, file: str) -> Iterator[tuple[str, list[str]]]:
    for row in json_rows(root, file, "data.item"):
        yield row.name("image_id"), first(row, row.value("ocr_tokens"))

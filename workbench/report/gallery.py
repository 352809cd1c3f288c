"""A few examples as people see them: picture, instruction, every row's answer, the references."""

from __future__ import annotations

import base64
import hashlib
import io
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd
from PIL import Image

from workbench.report.compare import Suite
from workbench.report.methods import METHODS, Method

OpenImage = Callable[[str], Image.Image]
WIDEST = 96  # pixels; the micro suite's 64 stay as they are
COLOURS = 128


@dataclass(frozen=True, slots=True)
class Answer:
    """What one row said, and what it earned (empty for AUC, where no example has a score of its own)."""

    method: Method
    text: str
    score: str
    instruction: str  # only where it differs from the exhibit's
    blind: bool = False


@dataclass(frozen=True, slots=True)
class Exhibit:
    """One example of one dataset; `pictures` are data URIs, one per frame."""

    dataset: Any
    example_id: str
    pictures: tuple[str, ...]
    instruction: str
    references: tuple[str, ...]
    answers: tuple[Answer, ...]


def gallery(
    predictions: pd.DataFrame, suite: Suite, rows: Sequence[str], open_image: OpenImage
) -> list[Exhibit]:
    """One example per dataset, in the catalogue's order: the first by the hash of its id.

    So the choice does not look at answers. The instruction is that of the last row (`instruct`, if it
    was evaluated), whose blind answer is shown too.
    """
    shown = []
    for dataset in suite.datasets:
        part = predictions[predictions["dataset"] == dataset.name]
        if part.empty:
            continue
        chosen = min(part["example_id"].unique(), key=_hash)
        part = part[part["example_id"] == chosen]
        lines = {(line["row"], bool(line["blind"])): line for _, line in part.iterrows()}
        main = lines[rows[-1], False]
        answers = [_answer(lines[row, False], str(main["instruction"])) for row in rows]
        if (rows[-1], True) in lines:
            answers.append(_answer(lines[rows[-1], True], str(main["instruction"])))
        counted = Counter(str(reference) for reference in main["references"])
        shown.append(
            Exhibit(
                dataset=dataset,
                example_id=str(chosen),
                pictures=tuple(data_uri(open_image(str(ref))) for ref in main["images"]),
                instruction=str(main["instruction"]),
                references=tuple(text + (f" ×{n}" if n > 1 else "") for text, n in counted.most_common()),
                answers=tuple(answers),
            )
        )
    return shown


def _hash(name: object) -> bytes:
    return hashlib.sha256(str(name).encode()).digest()


def _answer(line: Any, instruction: str) -> Answer:
    asked = str(line["instruction"])
    score = "" if line["metric"] == "auc" else f"{line['score']:.0f}"
    different = asked if asked != instruction else ""
    return Answer(METHODS[line["row"]], str(line["prediction"]), score, different, bool(line["blind"]))


def data_uri(image: Image.Image) -> str:
    """A small PNG of at most 96 pixels and 128 colours inside the page itself."""
    small = image.convert("RGB")
    small.thumbnail((WIDEST, WIDEST), Image.Resampling.LANCZOS)
    written = io.BytesIO()
    small.quantize(COLOURS).save(written, format="PNG", optimize=True)
    return "data:image/png;base64," + base64.b64encode(written.getvalue()).decode("ascii")

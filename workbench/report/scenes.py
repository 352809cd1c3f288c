"""What the datasets ask, as a figure: for a few of them a picture, what is asked about it, what is right."""

from __future__ import annotations

import base64
import io
import textwrap
from collections.abc import Sequence

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure
from PIL import Image

from workbench.report.figures import INK, LINE, MUTED, STYLE
from workbench.report.gallery import Exhibit

# one of a kind: captions, questions, books, dialogue; statements, memes, layouts, clips
SHOWN = (
    "coco_caption", "vqav2", "ocrvqa", "llava_reasoning", "vsr", "hatefulmemes", "iconqa", "msvd_qa",
)  # fmt: skip
COLUMNS, LETTERS, LINES = 4, 30, 4
GAP = 4  # pixels between the frames of a clip


def scenes(exhibits: Sequence[Exhibit]) -> Figure | None:
    """Two lines of four; None where none of these datasets was examined.

    Args:
        exhibits: of the gallery, so that nobody chose the examples.
    """
    by_name = {exhibit.dataset.name: exhibit for exhibit in exhibits}
    shown = [by_name[name] for name in SHOWN if name in by_name]
    if not shown:
        return None
    lines = -(-len(shown) // COLUMNS)
    with mpl.rc_context(STYLE | {"font.size": 7.5, "axes.titlesize": 8.5}):
        figure = Figure(figsize=(7.6, 3.0 * lines), layout="constrained")
        for axes in figure.subplots(lines, COLUMNS, squeeze=False).ravel():
            axes.set(xticks=[], yticks=[])
            axes.spines[:].set_color(LINE)
            axes.set_visible(False)
        for axes, exhibit in zip(figure.axes, shown, strict=False):
            axes.set_visible(True)
            axes.imshow(_side_by_side(exhibit.pictures), interpolation="none")
            axes.set_title(exhibit.dataset.title, loc="center", color=MUTED)
            reference, *_ = exhibit.references[0].split(" ×")  # how many people gave it is no matter here
            asked, right = _short(exhibit.instruction), _short(reference)
            axes.set_xlabel(f"{asked}\n→ {right}", color=INK, fontsize=7.5)
    return figure


def _side_by_side(pictures: Sequence[str]) -> np.ndarray:
    """Frames of a clip in two lines, as one picture (height, width, 3)."""
    written = (io.BytesIO(base64.b64decode(uri.partition(",")[2])) for uri in pictures)
    found = [Image.open(one).convert("RGB") for one in written]
    columns = 1 if len(found) == 1 else 2
    width, height = found[0].width + GAP, found[0].height + GAP
    sheet = Image.new("RGB", (columns * width - GAP, -(-len(found) // columns) * height - GAP), "white")
    for place, frame in enumerate(found):
        sheet.paste(frame, (place % columns * width, place // columns * height))
    return np.asarray(sheet)


def _short(text: str) -> str:
    """At most so many lines; no dollar sign starts a formula."""
    plain = " ".join(text.split()).replace("$", r"\$")
    return textwrap.fill(plain, LETTERS, max_lines=LINES, placeholder=" …")

"""The compared methods: one title, colour and marker each, the same in every figure and table."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Method:
    """One row of the comparison.

    Attributes:
        title: for tables and legends.
        colour: from Okabe and Ito's palette, told apart under colour-blindness; the marker tells too.
        paper: its name in the paper's Figure 4 (paper_tables.json).
    """

    title: str
    colour: str
    marker: str
    paper: str


METHODS: Mapping[str, Method] = {
    "blip2": Method("BLIP-2 zero-shot", "#8A8A8A", "o", "BLIP-2 zero-shot"),
    "multitask_plain": Method(
        "multitask plain", "#E69F00", "s", "multitask, plain input-output; eval with instructions"
    ),
    "multitask_tagged": Method(
        "multitask tagged", "#56B4E9", "D", "multitask, [Task:Dataset] identifier; eval with instructions"
    ),
    "multitask_tagged_tags": Method(
        "multitask tagged + tags",
        "#0072B2",
        "^",
        "multitask, [Task:Dataset] identifier; eval with identifier",
    ),
    "instruct": Method("instruction tuning", "#D55E00", "P", "InstructBLIP (instruction tuning)"),
}

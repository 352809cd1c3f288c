"""Draws the probes of outputs/studies/diagnostics: rates, yes-rates, changes, counting, attention."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
from matplotlib.figure import Figure

from workbench.report.study import frames, probing
from workbench.report.study.drawing import rows_figure

RATES = ("presence", "reading", "counting things", "counting a category", "space")


CAPTIONS = {
    "rates": "Right answers to each kind of probe, with 95 % intervals over seeds.",
    "yes": "How often the answer is yes, by whether the thing is there and how the absent one was chosen.",
    "changes": "Points gained or lost when a thing is hidden, and when the candidate set changes.",
    "gaze": "Attention on the thing asked about, as a multiple of its share of the picture.",
    "probes": "Right answers, percent.",
    "yes_rates": "Answers that are yes, percent.",
    "changed": "Points gained or lost.",
    "counting": "Counting: mean error by true count.",
    "focus": "Attention on the thing asked about, times its area.",
}


def draw(outputs: Path) -> dict[str, Figure | pd.DataFrame]:
    """Name -> figure or table."""
    folder = outputs / "studies/diagnostics"
    frame, titles = frames.probes(folder), frames.titles(folder)
    rates, yes = probing.rates(frame), probing.yes_rates(frame)
    grounding = probing.changes(frame, "grounding", "whole").assign(panel="hidden against whole")
    candidates = probing.changes(frame, "candidates", "four").assign(panel="against four candidates")
    changed = pd.concat([grounding, candidates], ignore_index=True)
    attention = probing.attention(frame)
    return {
        "rates": rows_figure(rates, RATES, "probe", titles, "right answers, percent"),
        "yes": rows_figure(yes, ["presence"], "probe", titles, "answers that are yes, percent"),
        "changes": rows_figure(
            changed, list(dict.fromkeys(changed["panel"])), "panel", titles, "points gained or lost", 0
        ),
        "gaze": rows_figure(
            attention, ["grounding"], "probe", titles, "attention on the thing asked about, times its area", 1
        ),
        "probes": rates,
        "yes_rates": yes,
        "changed": changed.drop(columns="panel"),
        "counting": probing.counting_errors(frame),
        "focus": attention,
    }

"""Draws each task from both starts, beside the tuned model that was not fine-tuned."""

from __future__ import annotations

from pathlib import Path

import matplotlib as mpl
import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure

from workbench.data.catalog import ASKED_AGAIN
from workbench.report.figures import STYLE
from workbench.report.study import frames
from workbench.report.study.figures import COLOURS
from workbench.search.study import module

STARTS = {"tuned": "not fine-tuned", "blip2": "from BLIP-2", "after": "from the tuned model"}


CAPTIONS = {
    "tasks": "Test score of each task from both starts, with 95 % intervals over seeds.",
    "tasks_table": "Test score by task, start and seed.",
    "elsewhere": "What is left of the other tasks after fine-tuning on one.",
}


def draw(outputs: Path) -> dict[str, Figure | pd.DataFrame]:
    """Name -> figure or table: test scores of what was fine-tuned on, and what is left of the others."""
    scores = frames.scores(outputs / "studies/finetuning")
    tasks = {name: title for name, (title, _) in module(Path(__file__).parent / "study.py").TASKS.items()}
    own, other = [], []
    for arm, seed, dataset, value in scores.itertuples(index=False):
        task, _, start = arm.rpartition("_")
        line = {"seed": seed, "start": STARTS["after" if start == "tuned" else start], "value": value}
        if arm == "tuned":
            line["start"] = STARTS["tuned"]
            own += [{**line, "task": tasks[dataset]}] if dataset in tasks else []
        elif dataset == task:
            own.append({**line, "task": tasks[task]})
        elif ASKED_AGAIN.get(dataset) != task:
            other.append({**line, "task": tasks[task], "dataset": dataset})
    table = pd.DataFrame(own)
    elsewhere = pd.DataFrame(other, columns=["seed", "start", "value", "task", "dataset"])
    forgotten = elsewhere.groupby(["task", "start", "dataset"], sort=False)["value"].mean().reset_index()
    return {"tasks": bars(table, list(tasks.values())), "tasks_table": table, "elsewhere": forgotten}


def bars(table: pd.DataFrame, order: list[str]) -> Figure:
    """Means with 95 % intervals over seeds."""
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(7.6, 3.6), layout="constrained")
        axes = figure.subplots()
        sns.barplot(
            table, x="task", y="value", hue="start", order=order, hue_order=list(STARTS.values()),
            palette=list(COLOURS[:3]), errorbar=("ci", 95), n_boot=2000, seed=0, ax=axes,
        )  # fmt: skip
        axes.set(xlabel="", ylabel="test score of the task, points")
        axes.legend(frameon=False, fontsize=8)
        sns.despine(ax=axes)
    return figure

"""Recorded scores beside the paper's tables: Table 1, 2, 3 and Figure 4 of arXiv 2305.06500v2.

Reads records alone: folders with record.json, scores.jsonl and predictions.parquet, as they lie in
outputs/evaluate, runs/ and a study's cells. The paper prints no intervals, so a difference has ours: over
test images, and over training seeds where a group of records has several.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from workbench.records import PUBLISHED, named
from workbench.report.methods import METHODS
from workbench.report.reproduce.examinations import Group
from workbench.report.statistics.effects import Paired, effect
from workbench.report.statistics.intervals import Interval

Table = Literal["table1", "table2", "table3", "figure4"]
KEYS: Mapping[Table, str] = {
    "table1": "table1_zero_shot_heldout",
    "table2": "table2_ablation",
    "table3": "table3_finetuning",
    "figure4": "figure4_instruction_vs_multitask",
}
TITLES: Mapping[Table, str] = {
    "table1": "Table 1: zero-shot on held-out datasets",
    "table2": "Table 2: instruction-aware visual features and data balancing",
    "table3": "Table 3: fine-tuned on one dataset",
    "figure4": "Figure 4: instruction tuning and multitask training",
}
# the paper's names of datasets and averages -> the catalogue's
COLUMNS: Mapping[str, Sequence[str]] = {
    "NoCaps": ("nocaps",),
    "Flickr30K": ("flickr30k",),
    "GQA": ("gqa",),
    "VSR": ("vsr",),
    "IconQA": ("iconqa",),
    "TextVQA": ("textvqa",),
    "VisDial": ("visdial",),
    "HM": ("hatefulmemes",),
    "VizWiz": ("vizwiz",),
    "SciQA-IMG": ("scienceqa",),
    "MSVD-QA": ("msvd_qa",),
    "MSRVTT-QA": ("msrvtt_qa",),
    "iVQA": ("ivqa",),
    "OCR-VQA": ("ocrvqa",),
    "OKVQA": ("okvqa",),
    "HeldIn_avg": ("coco_caption", "okvqa", "aokvqa", "textcaps"),
}
# Table 3 has A-OKVQA by metric and split: its score's name, and the split
TWICE_SCORED = "aokvqa"
BY_SPLIT: Mapping[str, tuple[str, str]] = {
    "A-OKVQA_DA_val": ("aokvqa_direct", "val"),
    "A-OKVQA_DA_test": ("aokvqa_direct", "test"),
    "A-OKVQA_MC_val": ("aokvqa", "val"),
    "A-OKVQA_MC_test": ("aokvqa", "test"),
}
RANKED_VIDEOS = {"MSVD-QA", "MSRVTT-QA"}  # whose candidates are a vocabulary of answers
LANGUAGE_MODELS = {"t5": "T5", "llama": "Llama"}
# the paper's language model that stands for a family, unless another row is asked for; Table 3 has no XL
FAMILIES = {"t5": "FlanT5-XL", "llama": "Vicuna-7B"}
FINE_TUNED = {"t5": "FlanT5-XXL", "llama": "Vicuna-7B"}
# what a start's name or sources say of its size
LARGER = {"t5": ("xxl", "FlanT5-XXL"), "llama": ("13b", "Vicuna-13B")}
FULL, UNAWARE, UNBALANCED = "full", "w/o instruction-aware visual features", "w/o data balancing"


@dataclass(frozen=True, slots=True)
class Printed:
    """One row of the paper; None where it prints nothing.

    Attributes:
        recalled: the columns whose values were written down from memory, unverified.
    """

    name: str
    values: Mapping[str, float | None]
    recalled: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Ours:
    """One group of records on the paper's columns; a column that was not scored is absent.

    Attributes:
        against: the paper's row that it is the counterpart of, or "".
        found: column -> value with its interval, in percent or CIDEr x 100.
        differences: column -> ours minus the paper's.
        counts: column -> examples.
    """

    group: Group
    title: str
    against: str
    found: Mapping[str, Interval]
    differences: Mapping[str, Interval]
    counts: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Reproduced:
    """A table of the paper with our rows."""

    table: Table
    columns: Sequence[str]
    paper: Sequence[Printed]
    ours: Sequence[Ours]
    notes: Sequence[str]

    @property
    def title(self) -> str:
        """As a heading."""
        return TITLES[self.table]


def reproduce(
    table: Table,
    groups: Sequence[Group],
    paper: Mapping[str, Any],
    held_in: Sequence[str],
    against: str = "",
) -> Reproduced:
    """The paper's table with a row for each group of records that belongs into it.

    Args:
        paper: paper_tables.json.
        held_in: the held-in datasets, which Figure 4 averages.
        against: the paper's row to compare all groups with, instead of the one for their language model.

    Raises:
        ValueError: for a row that the paper does not have.
    """
    content = paper[KEYS[table]]
    columns, printed = content["columns"], _printed(table, content)
    rows = {row.name: row for row in printed}
    if against and against not in rows:
        raise ValueError(f"{table} has no row {against!r}; choose one of {', '.join(rows)}")
    datasets: dict[str, Sequence[str]] = {name: COLUMNS[name] for name in columns if name in COLUMNS}
    if table == "figure4":
        over = [COLUMNS[name][0] for name in content["held_out_avg_over"]]
        datasets = {"held_out_avg": over, "held_in_avg": held_in}
    ours = []
    for group in groups:
        title, counterpart = _place(table, group)
        if title:
            found = _found(group, _belonging(table, group, datasets))
            if found or table != "table3":
                ours.append(_row(group, title, rows.get(against or counterpart), found))
    return Reproduced(table, columns, printed, ours, _notes(table, content, ours))


def _row(
    group: Group, title: str, printed: Printed | None, found: Mapping[str, tuple[Interval, int]]
) -> Ours:
    differences = {}
    for column, (interval, _) in found.items():
        value = printed.values[column] if printed else None
        if value is not None:
            moved = (interval.value - value, interval.low - value, interval.high - value)
            differences[column] = Interval(*moved, interval.error, interval.clusters)
    return Ours(
        group=group,
        title=title,
        against=printed.name if printed else "",
        found={column: interval for column, (interval, _) in found.items()},
        differences=differences,
        counts={column: count for column, (_, count) in found.items()},
    )


def _printed(table: Table, content: Mapping[str, Any]) -> list[Printed]:
    rows, columns = content["rows"], content["columns"]
    if table == "figure4":
        return [Printed(name, dict(zip(columns, values, strict=True))) for name, values in rows.items()]
    if table != "table2":
        return [Printed(name, values) for name, values in rows.items()]
    found = []
    for family, parts in rows.items():
        status = parts.get("cell_status", {})
        for name in (FULL, UNAWARE, UNBALANCED):
            recalled = frozenset(c for c, word in status.get(name, {}).items() if word == "RECALLED")
            found.append(Printed(f"{name} ({family})", parts[name], recalled))
    return found


def _place(table: Table, group: Group) -> tuple[str, str]:
    """Our row's title and its counterpart in the paper; no title: it is no row of this table."""
    row, ours = group.row, LANGUAGE_MODELS.get(str(group.setting("model.language_model")), "")
    family = _family(group, FINE_TUNED if table == "table3" else FAMILIES)
    change = _change(group)
    tuned_on = _tuned_on(group)
    published = row == "blip2" and _named(group, PUBLISHED)
    model = "InstructBLIP" if published else {"instruct": "InstructBLIP", "blip2": "BLIP-2"}.get(row, "")
    if len(tuned_on) != (table == "table3"):
        return "", ""
    if table == "table3":
        begun = "InstructBLIP" if group.after or _named(group, PUBLISHED) else "BLIP-2"
        return f"{begun} fine-tuned on {tuned_on[0]}, {ours}", f"{begun} ({family})"
    if table == "table2":
        detail = f", {group.setting('model.unaware_form')}" if change == UNAWARE else ""
        detail = f", {group.setting('data.sampling')}" if change == UNBALANCED else detail
        named = row == "instruct" and change
        return (f"{change}{detail}, {ours}", f"{change} ({family})") if named else ("", "")
    if row != "blip2" and change != FULL:
        return "", ""
    title = "InstructBLIP as published" if published else METHODS[row].title
    if table == "figure4":
        return f"{title}, {ours}", METHODS["instruct" if published else row].paper
    return f"{title}, {ours}", f"{model} ({family})"


def _tuned_on(group: Group) -> list[str]:
    """The datasets that take the place of the held-in mixture: one that it was fine-tuned on, or a choice."""
    downstream = group.setting("data.downstream")
    return [downstream] if downstream else list(group.setting("data.held_in") or ())


def _family(group: Group, usual: Mapping[str, str]) -> str:
    """The paper's language model that a group's is, by its family and what its start is called."""
    language_model = str(group.setting("model.language_model"))
    mark, larger = LARGER.get(language_model, ("", ""))
    return larger if mark and _named(group, (mark,)) else usual.get(language_model, "")


def _named(group: Group, marks: Sequence[str]) -> bool:
    """Whether the start or one of its sources has one of these in its name."""
    names = [str(group.setting("model.start") or ""), *(group.setting("model.checkpoint") or ())]
    return named(names, marks)


def _change(group: Group) -> str:
    """What Table 2 takes away; "" if it is both, which the paper has not tried."""
    aware = group.setting("model.instruction_aware") is not False
    balanced = group.setting("data.sampling") in (None, "sqrt")
    return {(True, True): FULL, (False, True): UNAWARE, (True, False): UNBALANCED}.get((aware, balanced), "")


def _belonging(table: Table, group: Group, datasets: Mapping[str, Sequence[str]]) -> dict[str, Sequence[str]]:
    """The columns this group has numbers for: in Table 3 those of the dataset it was tuned on."""
    found = dict(datasets)
    if table == "table3":
        (tuned_on,) = _tuned_on(group)
        # the official suite's test of A-OKVQA is its validation set as well
        examined_on = "val" if group.suite == "official" else group.setting("evaluate.split")
        found = {column: names for column, names in datasets.items() if tuned_on in names}
        for column, (name, split) in BY_SPLIT.items():
            if tuned_on == TWICE_SCORED and split == examined_on:
                found[column] = (name,)
    return {column: names for column, names in found.items() if set(names) <= set(group.asked)}


def _found(group: Group, datasets: Mapping[str, Sequence[str]]) -> dict[str, tuple[Interval, int]]:
    found = {}
    for column, names in datasets.items():
        pairs = []
        for name in names:
            asked, shares = group.asked[name], group.shares[name]
            # minus nothing: the error of a value, of averages and several seeds too, comes as a difference's
            pairs.append(Paired(asked.metric, shares, shares * 0, asked.images, asked.positive))
        alone = effect(pairs)
        interval = alone.variance.interval(float(alone.first.mean()))
        found[column] = (interval, sum(len(group.asked[name].images) for name in names))
    return found


def _notes(table: Table, content: Mapping[str, Any], ours: Sequence[Ours]) -> list[str]:
    notes = []
    suites = sorted({row.group.suite for row in ours})
    if "micro" in suites:
        notes.append(
            "Our rows are the micro suite's: emoji scenes, a tiny ViT and tiny language models. Their level "
            "does not compare with the paper's, and a difference neither confirms nor contradicts it."
        )
    if not ours:
        notes.append("No record belongs into this table, so it has no row of ours.")
    if systems := content.get("previous_sota_systems"):
        names = ", ".join(f"{system} on {column}" for column, system in systems.items())
        notes.append(f"Previous state of the art: {names}.")
    if table == "table3":
        notes.append("Ours are tuned on one dataset alone, which data.downstream or data.held_in names.")
    official = {column for row in ours if row.group.suite == "official" for column in row.found}
    if official & set(BY_SPLIT):
        notes.append("A-OKVQA's test answers are not public: official rows are of its validation set.")
    if "VizWiz" in official:
        notes.append(
            "Official rows have VizWiz' validation set, the paper test-dev, whose answers are not public: a "
            "difference is over two sets of questions."
        )
    if videos := [row for row in ours if RANKED_VIDEOS & set(row.found) and row.group.suite == "official"]:
        sizes = sorted({int(row.group.setting("data.answer_vocabulary")) for row in videos})
        notes.append(
            f"MSVD-QA and MSRVTT-QA rank the {' or '.join(f'{size:,}' for size in sizes)} most frequent "
            "answers of their training (data.answer_vocabulary); the paper does not say how many."
        )
    if any("nocaps" in row.group.asked for row in ours) and "micro" not in suites:
        notes.append("CIDEr's document frequencies are those of the examples that were scored.")
    return notes

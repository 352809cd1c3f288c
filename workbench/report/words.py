"""Numbers as text: formats, and the sentences of the summary, which say what came out either way."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from workbench.report.compare import HELD_IN, HELD_OUT, Comparison
from workbench.report.methods import METHODS
from workbench.report.statistics.intervals import Interval

SIGHT_POINTS = 15.0  # the suite's own bar for held-in answers with the picture over those without


def number(value: float, digits: int = 1) -> str:
    """With a true minus sign: −3.2."""
    return f"{value:.{digits}f}".replace("-", "−")


def signed(value: float, digits: int = 1) -> str:
    """+3.2 or −3.2."""
    return f"{value:+.{digits}f}".replace("-", "−")


def span(found: Interval) -> str:
    """[low, high]."""
    return f"[{number(found.low)}, {number(found.high)}]"


def ranges(numbers: Sequence[int]) -> str:
    """101–103, 105: runs of three and more as a range."""
    runs: list[list[int]] = []
    for number in numbers:
        if runs and number == runs[-1][-1] + 1:
            runs[-1].append(number)
        else:
            runs.append([number])
    parts = [[f"{run[0]}–{run[-1]}"] if len(run) > 2 else list(map(str, run)) for run in runs]
    return ", ".join(part for run in parts for part in run)


def flops(value: float) -> str:
    """With a decimal prefix: 7.7 TFLOP."""
    for prefix, size in (("E", 1e18), ("P", 1e15), ("T", 1e12), ("G", 1e9), ("M", 1e6)):
        if value >= size:
            return f"{value / size:.1f} {prefix}FLOP"
    return f"{value:.0f} FLOP"


def mebibytes(value: float) -> str:
    """Bytes as MiB, or GiB from 1 GiB on."""
    return f"{value / 2**30:.2f} GiB" if value >= 2**30 else f"{value / 2**20:.0f} MiB"


def metric(name: str) -> str:
    """A metric's usual spelling."""
    usual = {"cider": "CIDEr", "auc": "AUC", "mrr": "MRR", "vqa_accuracy": "VQA accuracy"}
    return usual.get(name, name.replace("ivqa", "iVQA").replace("_", " "))


def clarity(found: Interval) -> str:
    """What an interval over images says about zero."""
    return "interval clear of zero" if found.excludes_zero else "interval includes zero"


@dataclass(frozen=True, slots=True)
class Tile:
    """One headline number."""

    title: str
    found: Interval
    note: str


def tiles(comparison: Comparison, paper: Mapping[str, Sequence[float]]) -> list[Tile]:
    """The four differences a reader comes for, as far as their rows were evaluated."""
    shown = []
    for other in ("blip2", "multitask_tagged_tags"):
        if found := comparison.difference("instruct", other, HELD_OUT):
            gap = paper[METHODS["instruct"].paper][0] - paper[METHODS[other].paper][0]
            title = f"Held-out: instruction tuning minus {METHODS[other].title}"
            shown.append(Tile(title, found, f"paper: {signed(gap)}"))
    for group, title in ((HELD_IN, "Held-in"), (HELD_OUT, "Held-out")):
        if found := comparison.difference("instruct", "blind", group):
            shown.append(Tile(f"{title}: with the picture minus without", found, "instruction tuning"))
    return shown


def summary(comparison: Comparison, rows: Sequence[str]) -> str:
    """One sentence or two on the held-out averages, with the numbers as they fall."""
    instruct = comparison.average("instruct", HELD_OUT)
    if instruct is None:
        return "Instruction tuning was not evaluated; the tables hold the rows that were."
    text = (
        f"On the held-out datasets of the paper's Figure 4, instruction tuning averages "
        f"{number(instruct.value)} {span(instruct)}"
    )
    gaps = []
    for row in rows:
        if found := comparison.difference("instruct", row, HELD_OUT):
            word = "above" if found.value >= 0 else "below"
            unsure = "" if found.excludes_zero else ", not clear of zero"
            gap = number(abs(found.value))
            gaps.append(f"{gap} points {word} {METHODS[row].title} ({span(found)}{unsure})")
    return text + (": " + "; ".join(gaps) if gaps else "") + ". Brackets hold 95 % intervals over images."


@dataclass(frozen=True, slots=True)
class Bar:
    """Something the suite has to show before its comparisons mean anything."""

    claim: str
    found: Interval
    met: bool


def bars(comparison: Comparison) -> list[Bar]:
    """Whether the tuned model looks at the picture, and whether tuning helped."""
    shown = []
    if held_in := comparison.difference("instruct", "blind", HELD_IN):
        claim = f"held-in average at least {SIGHT_POINTS:.0f} points above the blind one"
        shown.append(Bar(claim, held_in, held_in.value >= SIGHT_POINTS))
    if held_out := comparison.difference("instruct", "blind", HELD_OUT):
        claim = "held-out average above the blind one, interval clear of zero"
        shown.append(Bar(claim, held_out, held_out.low > 0))
    if gain := comparison.difference("instruct", "blip2", HELD_OUT):
        shown.append(Bar("held-out average above BLIP-2 zero-shot", gain, gain.value > 0))
    return shown

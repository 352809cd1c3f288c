"""How many training seeds a study's primary claims need, from the variance seen so far."""

from __future__ import annotations

from workbench.report.statistics.planning import ALPHA, CHANCE, seeds_needed
from workbench.report.study.effects import Found, Judged
from workbench.report.words import number, ranges


def needed(found: Found) -> list[str]:
    """A line for each primary claim: the seeds that find the paper's effect, and the smallest of interest.

    Each is to be found four times in five at the level that Holm asks of the smallest p of the family.
    """
    primary = [judged for judged in found.claims if judged.declared.primary]
    lines = [f"  {judged.declared.name}: {_told(judged, ALPHA / len(primary))}" for judged in primary]
    head = f"seeds that find an effect {100 * CHANCE:.0f} % of the time, by the variance seen so far:"
    return [head, *lines] if lines else []


def _told(judged: Judged, alpha: float) -> str:
    if judged.variance is None or judged.variance.seeds < 2:
        return "not known before two seeds of both arms are recorded"
    claim, parts = judged.declared, []
    if claim.paper:
        parts.append(f"the paper's {number(abs(claim.paper))} points: {_seeds(judged, claim.paper, alpha)}")
    smallest = claim.smallest_effect
    parts.append(f"the smallest of interest, {number(smallest)}: {_seeds(judged, smallest, alpha)}")
    return f"{'; '.join(parts)} (seen: {ranges(judged.seeds)})"


def _seeds(judged: Judged, effect: float, alpha: float) -> str:
    assert judged.variance is not None  # by _told
    try:
        return str(seeds_needed(abs(effect), judged.variance, alpha))
    except ValueError as error:
        return str(error)

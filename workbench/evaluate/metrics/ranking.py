"""Metrics over candidates and their log-likelihoods; `right` is the right candidate's text."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

POSITIVE, NEGATIVE = ("yes", "true"), ("no", "false")


def rank_of(right: str, candidates: Sequence[str], scores: Sequence[float]) -> int:
    """The place of the right candidate, 1 being best; ties are counted against it.

    So a model that scores all candidates alike gains nothing. Repetitions of the right candidate's
    text are no rivals.

    Raises:
        ValueError: if the right answer is no candidate, or scores are missing or not numbers.
    """
    if len(scores) != len(candidates):
        raise ValueError(f"{len(candidates)} candidates have {len(scores)} scores; rank this dataset")
    if right not in candidates:
        raise ValueError(f"the right answer {right!r} is not among the candidates {list(candidates)}")
    if np.isnan(scores).any():
        raise ValueError(f"a candidate's score is not a number: {dict(zip(candidates, scores, strict=True))}")
    own = max(score for text, score in zip(candidates, scores, strict=True) if text == right)
    return 1 + sum(score >= own for text, score in zip(candidates, scores, strict=True) if text != right)


def multiple_choice(right: str, candidates: Sequence[str], scores: Sequence[float]) -> float:
    """100 if the right candidate alone has the highest score, else 0."""
    return recall(right, candidates, scores, 1)


def recall(right: str, candidates: Sequence[str], scores: Sequence[float], k: int) -> float:
    """100 if the right candidate is among the first k, else 0."""
    return 100.0 * (rank_of(right, candidates, scores) <= k)


def reciprocal_rank(right: str, candidates: Sequence[str], scores: Sequence[float]) -> float:
    """100 / rank; its mean is MRR x 100, which the paper reports for Visual Dialog."""
    return 100.0 / rank_of(right, candidates, scores)


def mean_rank(right: str, candidates: Sequence[str], scores: Sequence[float]) -> float:
    """The rank itself, so that its mean is Visual Dialog's mean rank: less is better, and not percent."""
    return float(rank_of(right, candidates, scores))


def ndcg(scores: Sequence[float], relevance: Sequence[float]) -> float:
    """NDCG x 100 of one annotated round of Visual Dialog (visdial-challenge-starter-pytorch, metrics.py).

    Gains are the relevances themselves, discounted by log2(1 + rank), over the first k ranks, k being how
    many candidates are relevant at all. Ties are counted against the model: of equal scores the less
    relevant comes first (the official sort leaves their order open).

    Args:
        relevance: of each candidate, between 0 and 1; the share of annotators who found it right.

    Raises:
        ValueError: for numbers that do not match, a score that is none, or no relevant candidate.
    """
    gained, scored = np.asarray(relevance, float), np.asarray(scores, float)
    if gained.shape != scored.shape:
        raise ValueError(f"NDCG needs a relevance for each of {scored.size} scores, not {gained.size}")
    if np.isnan(scored).any() or not gained.any():
        raise ValueError("NDCG needs scores that are numbers and one relevant candidate at least")
    relevant = np.count_nonzero(gained)
    discounts = np.log2(np.arange(relevant) + 2)
    ranked = gained[np.lexsort((gained, -scored))][:relevant]
    best = np.sort(gained)[::-1][:relevant]
    return float(100 * (ranked / discounts).sum() / (best / discounts).sum())


def yes_margin(candidates: Sequence[str], scores: Sequence[float]) -> float:
    """log p(yes or true) - log p(no or false) in nats; candidates are found by their text.

    Raises:
        ValueError: if no candidate says yes/true, or none says no/false, or their scores do not compare.
    """
    sides = []
    for names in (POSITIVE, NEGATIVE):
        found = [s for text, s in zip(candidates, scores, strict=True) if text.strip().lower() in names]
        if not found:
            raise ValueError(f"AUC needs a candidate {' or '.join(names)}; there are {list(candidates)}")
        sides.append(float(np.logaddexp.reduce(found)) if not np.isnan(found).any() else math.nan)
    margin = sides[0] - sides[1]
    if np.isnan(margin):
        said = dict(zip(candidates, scores, strict=True))
        raise ValueError(f"AUC needs scores that compare; they are {said}")
    return margin


def is_positive(label: str) -> bool:
    """Whether a label says yes.

    Raises:
        ValueError: if it says neither yes/true nor no/false.
    """
    text = label.strip().lower()
    if text not in POSITIVE + NEGATIVE:
        raise ValueError(f"AUC needs the labels yes and no; the reference is {label!r}")
    return text in POSITIVE


def auc(margins: Sequence[float], positive: Sequence[bool]) -> float:
    """Area under the ROC curve x 100: how often a positive example has the larger margin, ties half.

    Raises:
        ValueError: if all examples have the same label, or a margin is not a number.
    """
    labels, found = np.asarray(positive, bool), np.asarray(margins, float)
    if np.isnan(found).any():
        raise ValueError("AUC needs margins that are numbers")
    yes, no = found[labels, None], found[~labels]
    if not yes.size or not no.size:
        raise ValueError(
            f"AUC needs examples of both labels; there are {yes.size} of yes and {no.size} of no"
        )
    return float(100 * ((yes > no).mean() + (yes == no).mean() / 2))

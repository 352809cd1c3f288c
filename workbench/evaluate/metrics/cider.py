"""CIDEr-D as captioning papers report it (Vedantam et al. 2015; pycocoevalcap's `cider_scorer`)."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

from workbench.evaluate.metrics.ptb import caption_tokens

NGRAM = tuple[str, ...]
LONGEST = 4
SIGMA = 6.0


class _Vector(NamedTuple):
    weights: tuple[dict[NGRAM, float], ...]  # tf-idf of the 1-, 2-, 3- and 4-grams
    norms: tuple[float, ...]
    bigrams: int  # the length that the Gaussian penalty compares


def cider(captions: Sequence[str], references: Sequence[Sequence[str]]) -> list[float]:
    """CIDEr x 100 of every caption against its references; the corpus value is their mean.

    n-grams of 1 to 4 words, weighted by tf x log(N / df) with df = in how many of these N examples a
    reference has the n-gram; clipped cosine, a Gaussian penalty (sigma 6) on the difference in length
    (counted in bigrams, as in pycocoevalcap), mean over n and over references, times 10, times 100. So
    a caption equal to its only reference has 1000 at most, and n-grams that every example shares count
    nothing. df depends on the evaluated examples: values of a subset do not compare with published ones.

    Raises:
        ValueError: for fewer than two examples (every weight would be log 1 = 0), or one without
            references.
    """
    if len(captions) < 2:
        raise ValueError(
            f"CIDEr of {len(captions)} example(s) is undefined: it weights n-grams by how few examples have "
            "them; raise data.eval_examples to 2 or more"
        )
    cooked = [[_ngrams(reference) for reference in group] for group in references]
    if not all(cooked):
        empty = cooked.index([])
        raise ValueError(f"example {empty} has no reference caption; CIDEr needs one at least")
    frequency = Counter(ngram for group in cooked for ngram in set().union(*group))
    rarity = {ngram: math.log(len(cooked) / count) for ngram, count in frequency.items()}
    unseen = math.log(len(cooked))
    values = []
    for caption, group in zip(captions, cooked, strict=True):
        given = _vector(_ngrams(caption), rarity, unseen)
        likeness = [_similarity(given, _vector(reference, rarity, unseen)) for reference in group]
        values.append(100 * 10 * sum(likeness) / len(likeness))
    return values


def _ngrams(caption: str) -> Counter[NGRAM]:
    words = caption_tokens(caption)
    return Counter(
        tuple(words[start : start + n]) for n in range(1, LONGEST + 1) for start in range(len(words) - n + 1)
    )


def _vector(counts: Counter[NGRAM], rarity: dict[NGRAM, float], unseen: float) -> _Vector:
    weights: tuple[dict[NGRAM, float], ...] = tuple({} for _ in range(LONGEST))
    for ngram, count in counts.items():
        weights[len(ngram) - 1][ngram] = count * rarity.get(ngram, unseen)
    norms = tuple(math.sqrt(sum(value * value for value in part.values())) for part in weights)
    return _Vector(weights, norms, sum(count for ngram, count in counts.items() if len(ngram) == 2))


def _similarity(given: _Vector, reference: _Vector) -> float:
    """Mean over n of the clipped cosine, damped by the difference in length; between 0 and 1."""
    total = 0.0
    for n in range(LONGEST):
        a, b = given.weights[n], reference.weights[n]
        norms = given.norms[n] * reference.norms[n]
        overlap = sum(min(value, b[ngram]) * b[ngram] for ngram, value in a.items() if ngram in b)
        total += overlap / norms if norms else 0.0
    penalty = math.exp(-((given.bigrams - reference.bigrams) ** 2) / (2 * SIGMA**2))
    return total / LONGEST * penalty

"""What the ranked datasets choose from: the candidates that a reader puts into an Example.

The paper ranks ScienceQA, IconQA, A-OKVQA, HatefulMemes, Visual Dialog, MSVD-QA and MSRVTT-QA. It names the
verbalisers below; how large the video sets' answer vocabularies were it does not say, so the size is a
parameter (data.answer_vocabulary), and `coverage` says what a vocabulary makes impossible.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from string import ascii_lowercase

# HatefulMemes: yes and true for hateful, no and false for not; AUC sums each side
BINARY = ("yes", "true", "no", "false")
VISDIAL_OPTIONS = 100


def lettered(choices: Sequence[str]) -> str:
    """``(a) dog (b) cat``: the options in a prompt (LAVIS, predict_answers).

    Raises:
        ValueError: for more choices than letters.
    """
    if len(choices) > len(ascii_lowercase):
        raise ValueError(f"{len(choices)} choices are more than there are letters; is this a vocabulary?")
    return " ".join(f"({letter}) {choice}" for letter, choice in zip(ascii_lowercase, choices, strict=False))


def answer_vocabulary(answers: Iterable[str], size: int) -> tuple[str, ...]:
    """The `size` most frequent answers of a training split, equals in alphabetical order.

    Raises:
        ValueError: for a size below two, or fewer distinct answers than that.
    """
    counts = Counter(answers)
    if not 2 <= size <= len(counts):
        raise ValueError(
            f"a vocabulary of {size} cannot come from {len(counts)} distinct answers; choose 2 to that"
        )
    return tuple(sorted(counts, key=lambda answer: (-counts[answer], answer))[:size])


def coverage(vocabulary: Iterable[str], answers: Sequence[str]) -> float:
    """Percent of the answers that are in the vocabulary, letter by letter.

    A ranking over it scores no more, but for answers that only the metric's normaliser makes equal.

    Raises:
        ValueError: without answers.
    """
    if not answers:
        raise ValueError("there are no answers to cover; give those of the evaluation split")
    known = set(vocabulary)
    return 100 * sum(answer in known for answer in answers) / len(answers)

"""From right answers to a dataset's answer format: balanced choice, annotators, options, read words.

Everything is a pure function of its arguments and a random stream.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from workbench.data.micro.language import a
from workbench.data.micro.questions import QA
from workbench.data.micro.sampling import NOVEL, WORDS, pick

NOVEL_NAMES = frozenset(concept.name for concept in NOVEL)
CONFUSED = ("oc", "il", "mn", "uv", "sz", "gq", "ea", "hk", "pr", "tf", "wv", "xy", "bd", "kx")


@dataclass(frozen=True, slots=True)
class Asked:
    """What one example asks: the fields its catalogue prompt needs, and the right answer.

    `candidates` holds the answers to rank, in the order shown; empty where the model generates.
    """

    fields: Mapping[str, str]
    answer: str
    candidates: tuple[str, ...] = ()


def choose(questions: Sequence[QA], rng: np.random.Generator, count: int = 1) -> list[QA]:
    """Up to `count` different questions; first the kind is drawn, then the answer, then the question.

    Uniform over kinds and over the answers that the scene offers within a kind, so that frequent
    questions and answers do not crowd out the rest.
    """
    left = list(questions)
    chosen: list[QA] = []
    while left and len(chosen) < count:
        kind = pick(rng, sorted({qa.kind for qa in left}))
        answer = pick(rng, sorted({qa.answer for qa in left if qa.kind == kind}))
        fitting = [qa for qa in left if qa.kind == kind and qa.answer == answer]
        chosen.append(fitting[int(rng.integers(len(fitting)))])
        left = [qa for qa in left if qa.question != chosen[-1].question]
    return chosen


def noun(category: str) -> str:
    """``a bird``, ``an insect``, ``a piece of clothing``."""
    return f"a piece of {category}" if category in ("clothing", "furniture") else a(category)


def near(qa: QA) -> list[str]:
    """Wrong answers of the right type; novel concepts never among them."""
    return [other for other in qa.candidates if other != qa.answer and other not in NOVEL_NAMES]


def crowd(
    qa: QA, rng: np.random.Generator, annotators: int = 10, dissent: float = 0.15, most: float = 0.5
) -> tuple[str, ...]:
    """What each annotator answers: each dissents with some probability, at most half of them do."""
    others = near(qa)
    wrong = min(int(rng.binomial(annotators, dissent)), int(annotators * most)) if others else 0
    answers = [qa.answer] * (annotators - wrong) + [pick(rng, others) for _ in range(wrong)]
    return tuple(answers[int(i)] for i in rng.permutation(annotators))


def listed(options: Sequence[str]) -> str:
    """``(a) dog (b) cat``, the form of the paper's prompts."""
    return " ".join(f"({letter}) {option}" for letter, option in zip("abcdefgh", options, strict=False))


def shuffled(items: Sequence[str], rng: np.random.Generator) -> tuple[str, ...]:
    """The items in a random order."""
    return tuple(items[int(i)] for i in rng.permutation(len(items)))


def sample(items: Sequence[str], count: int, rng: np.random.Generator) -> list[str]:
    """Up to `count` different items."""
    return list(shuffled(sorted(set(items)), rng)[:count])


def read_words(words: Sequence[str], rng: np.random.Generator, spurious: Sequence[str] = tuple(WORDS)) -> str:
    """The words as a text recogniser gives them, joined by ", ".

    One in eight is lost, one in six has a letter confused with one that looks alike, words that are
    not there are made up, and the order says nothing.
    """
    tokens = []
    for word in words:
        luck = rng.random()
        if luck > 0.125:
            tokens.append(_misread(word, rng) if luck < 0.29 else word)
    tokens += [pick(rng, spurious) for _ in range(int(rng.integers(0, 3)))]
    return ", ".join(shuffled(tokens, rng)) or pick(rng, spurious)


def _misread(word: str, rng: np.random.Generator) -> str:
    at = int(rng.integers(len(word)))
    alike = [pair.replace(word[at], "", 1) for pair in CONFUSED if word[at] in pair]
    return word[:at] + (pick(rng, alike) if alike else "l") + word[at + 1 :]

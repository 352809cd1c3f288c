"""Right or wrong, by agreement with what people answered; every share is in percent."""

from __future__ import annotations

from collections.abc import Sequence

from workbench.evaluate.metrics.text import normalise

VERBALISERS = {"yes": "true", "no": "false"}


def vqa_accuracy(answer: str, references: Sequence[str]) -> float:
    """Mean over annotators of min(1, n/3), n being how many of the *others* gave this answer.

    VQAv2's official rule (GT-Vision-Lab/VQA), for ten annotators: an answer given by 1, 2, 3 or at
    least 4 of them is worth 30, 60, 90 or 100.

    Raises:
        ValueError: for fewer than 4 references. Leave-one-out over a single answer leaves nobody to
            agree with and scores every right answer 0.
    """
    if len(references) < 4:
        raise ValueError(
            f"vqa_accuracy leaves one annotator out and cannot reach 100 with only {len(references)} "
            f"reference(s) ({', '.join(map(repr, references))}); set the dataset's metric to exact_match"
        )
    given = normalise(answer)
    agrees = [normalise(reference) == given for reference in references]
    others = sum(agrees)
    return 100 * sum(min(1.0, (others - agree) / 3) for agree in agrees) / len(agrees)


def ivqa_accuracy(answer: str, references: Sequence[str]) -> float:
    """min(count/2, 1) over iVQA's five annotators (antoyang/just-ask): two who agree make it right."""
    given = normalise(answer)
    return 100 * min(sum(normalise(reference) == given for reference in references) / 2, 1.0)


def exact_match(answer: str, references: Sequence[str]) -> float:
    """100 if the answer equals one of the references, both normalised, else 0.

    Where the references are true/false (VSR), yes counts as true and no as false.
    """
    given, right = normalise(answer), {normalise(reference) for reference in references}
    if right <= set(VERBALISERS.values()):
        given = VERBALISERS.get(given, given)
    return 100.0 * (given in right)

"""Right or wrong, by agreement with what people answered; every share is in percent."""

from __future__ import annotations

from collections.abc import Sequence

from workbench.evaluate.metrics.text import (
    normalise,
    normalise_evalai,
    normalise_vizwiz,
    one_line,
    strip_punctuation,
)

VERBALISERS = {"yes": "true", "no": "false"}


def vqa_accuracy(answer: str, references: Sequence[str]) -> float:
    """Mean over annotators of min(1, n/3), n being how many of the *others* gave this answer.

    VQAv2's rule with both sides always normalised. For ten annotators an answer given by 1, 2, 3 or at
    least 4 of them is worth 30, 60, 90 or 100.

    Raises:
        ValueError: for fewer than 4 references. Leave-one-out over a single answer leaves nobody to
            agree with and scores every right answer 0.
    """
    return _left_one_out(normalise(answer), [normalise(reference) for reference in references])


def vqa_accuracy_official(answer: str, references: Sequence[str]) -> float:
    """The same as GT-Vision-Lab/VQA computes it (vqaEval.py at a013f00), for VQAv2.

    Where all annotators wrote the same, nothing is normalised: "Yes." and "Two" are then wrong against ten
    times "yes" and "two".
    """
    given, right = one_line(answer), [one_line(reference) for reference in references]
    if len(set(right)) > 1:
        given, right = normalise(given), [normalise(reference) for reference in right]
    return _left_one_out(given, right)


def vqa_accuracy_lavis(answer: str, references: Sequence[str]) -> float:
    """The same as LAVIS computes it (lavis/common/vqa_tools/vqa_eval.py), for OKVQA.

    The answer is always normalised, of the references only the punctuation, and only where they differ: an
    annotator's "two", "Red" or "the cat" agrees with no answer at all.
    """
    right = references
    if len(set(references)) > 1:
        right = [strip_punctuation(reference) for reference in references]
    return _left_one_out(normalise(answer), right)


def vqa_accuracy_vizwiz(answer: str, references: Sequence[str]) -> float:
    """The same as VizWiz' own program computes it (the VizWiz API, after VQAv2's by Qing Li).

    The answer is always normalised, the references never: "Yes." agrees with "yes", but an annotator's "two",
    "t-shirt" or "Yes" agrees with no answer at all. Nor does "don't" with "dont", which gets a typographic
    apostrophe.
    """
    return _left_one_out(normalise_vizwiz(answer), references)


def vqa_accuracy_evalai(answer: str, references: Sequence[str]) -> float:
    """The same with EvalAI's normaliser on both sides (facebookresearch/mmf), for TextVQA.

    Raises:
        ValueError: unless there are ten references, which the official code insists on.
    """
    if len(references) != 10:
        raise ValueError(f"vqa_accuracy_evalai needs ten references, not {len(references)}")
    return _left_one_out(normalise_evalai(answer), [normalise_evalai(r) for r in references])


def _left_one_out(given: str, right: Sequence[str]) -> float:
    if len(right) < 4:
        raise ValueError(
            f"vqa_accuracy leaves one annotator out and cannot reach 100 with only {len(right)} "
            f"reference(s) ({', '.join(map(repr, right))}); set the dataset's metric to exact_match"
        )
    agrees = [reference == given for reference in right]
    others = sum(agrees)
    return 100 * sum(min(1.0, (others - agree) / 3) for agree in agrees) / len(agrees)


def direct_answer(answer: str, references: Sequence[str]) -> float:
    """A-OKVQA's min(1, n/3) over all ten direct answers (allenai/aokvqa at 83786de).

    Nobody is left out and nothing is normalised: "Dog" does not agree with "dog".
    """
    return 100 * min(1.0, sum(reference == answer for reference in references) / 3)


def direct_answer_accuracy(
    answers: Sequence[str], references: Sequence[Sequence[str]], difficult: Sequence[bool]
) -> float:
    """A-OKVQA's direct-answer score: the mean without the questions marked `difficult_direct_answer`.

    Raises:
        ValueError: if every question is marked.
    """
    asked = zip(answers, references, difficult, strict=True)
    shares = [direct_answer(answer, people) for answer, people, hard in asked if not hard]
    if not shares:
        raise ValueError("every question is marked difficult_direct_answer; A-OKVQA's score leaves those out")
    return sum(shares) / len(shares)


def ivqa_accuracy(answer: str, references: Sequence[str]) -> float:
    """min(count/2, 1) over iVQA's five annotators (antoyang/just-ask): two who agree make it right."""
    given = normalise(answer)
    return 100 * min(sum(normalise(reference) == given for reference in references) / 2, 1.0)


def exact_match(answer: str, references: Sequence[str]) -> float:
    """100 if the answer equals one of the references, both normalised (as LAVIS's GQATask), else 0.

    Where the references are true/false (VSR), yes counts as true and no as false.
    """
    given, right = normalise(answer), {normalise(reference) for reference in references}
    if right <= set(VERBALISERS.values()):
        given = VERBALISERS.get(given, given)
    return 100.0 * (given in right)


def exact_string(answer: str, references: Sequence[str]) -> float:
    """100 if the answer is one of the references, letter by letter (GQA's own eval.py, HQGA's eval_oe.py)."""
    return 100.0 * (answer in references)

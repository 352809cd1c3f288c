"""Metrics: pure functions over strings and numbers, and `score`, which applies one to predictions."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial

from workbench.evaluate.metrics.answers import (
    direct_answer,
    direct_answer_accuracy,
    exact_match,
    exact_string,
    ivqa_accuracy,
    vqa_accuracy,
    vqa_accuracy_evalai,
    vqa_accuracy_lavis,
    vqa_accuracy_official,
    vqa_accuracy_vizwiz,
)
from workbench.evaluate.metrics.cider import cider
from workbench.evaluate.metrics.ptb import caption_tokens
from workbench.evaluate.metrics.ranking import (
    auc,
    is_positive,
    mean_rank,
    multiple_choice,
    ndcg,
    recall,
    reciprocal_rank,
    yes_margin,
)
from workbench.evaluate.metrics.scienceqa import scienceqa_accuracy
from workbench.evaluate.metrics.text import normalise, normalise_evalai
from workbench.records import Prediction, Score

__all__ = [
    "auc",
    "caption_tokens",
    "cider",
    "direct_answer",
    "direct_answer_accuracy",
    "exact_match",
    "exact_string",
    "is_positive",
    "ivqa_accuracy",
    "mean_rank",
    "multiple_choice",
    "ndcg",
    "normalise",
    "normalise_evalai",
    "recall",
    "reciprocal_rank",
    "scienceqa_accuracy",
    "score",
    "vqa_accuracy",
    "vqa_accuracy_evalai",
    "vqa_accuracy_lavis",
    "vqa_accuracy_official",
    "vqa_accuracy_vizwiz",
    "yes_margin",
]

_ANSWERED: Mapping[str, Callable[[str, Sequence[str]], float]] = {
    "vqa_accuracy": vqa_accuracy,
    "vqa_accuracy_official": vqa_accuracy_official,
    "vqa_accuracy_lavis": vqa_accuracy_lavis,
    "vqa_accuracy_evalai": vqa_accuracy_evalai,
    "vqa_accuracy_vizwiz": vqa_accuracy_vizwiz,
    "ivqa_accuracy": ivqa_accuracy,
    "direct_answer": direct_answer,
    "exact_match": exact_match,
    "exact_string": exact_string,
}
_RANKED: Mapping[str, Callable[[str, Sequence[str], Sequence[float]], float]] = {
    "multiple_choice": multiple_choice,
    "mrr": reciprocal_rank,
    "mean_rank": mean_rank,
    "recall@1": partial(recall, k=1),
    "recall@5": partial(recall, k=5),
    "recall@10": partial(recall, k=10),
}


def score(metric: str, predictions: Sequence[Prediction]) -> Score:
    """The value of a metric over one dataset's predictions, and every example's share of it.

    Ranked sets take `references[0]` for the right candidate. Values are percent, MRR x 100, AUC x 100
    or CIDEr x 100; mean_rank is a rank. AUC has no share per example: there `per_example` is
    log p(yes) - log p(no) in nats.

    Raises:
        ValueError: naming dataset, example and remedy: nothing to score, several datasets at once, an
            unknown metric, or references and candidates that do not suit the metric.
    """
    datasets = sorted({prediction.example.dataset for prediction in predictions})
    if len(datasets) != 1:
        found = ", ".join(datasets) or "none"
        raise ValueError(f"{metric}: score the predictions of one dataset at a time, not of {found}")
    for prediction in predictions:
        if not prediction.example.references:
            raise ValueError(f"{_name(prediction)} has no reference; {metric} needs one at least")
    if metric == "cider":
        shares = cider([p.text for p in predictions], [p.example.references for p in predictions])
    elif metric == "auc":
        shares = [_share("auc", p) for p in predictions]
        value = auc(shares, [is_positive(p.example.references[0]) for p in predictions])
        return Score(datasets[0], metric, value, tuple(shares))
    elif metric in _ANSWERED or metric in _RANKED:
        shares = [_share(metric, p) for p in predictions]
    else:
        known = ", ".join(["cider", "auc", *_ANSWERED, *_RANKED])
        raise ValueError(f"unknown metric {metric!r} for {datasets[0]}; known: {known}")
    return Score(datasets[0], metric, sum(shares) / len(shares), tuple(shares))


def _share(metric: str, prediction: Prediction) -> float:
    example = prediction.example
    try:
        if metric in _ANSWERED:
            return _ANSWERED[metric](prediction.text, example.references)
        if metric == "auc":
            return yes_margin(example.candidates, prediction.candidate_scores)
        return _RANKED[metric](example.references[0], example.candidates, prediction.candidate_scores)
    except ValueError as error:
        raise ValueError(f"{_name(prediction)}: {error}") from error


def _name(prediction: Prediction) -> str:
    return f"{prediction.example.dataset}/{prediction.example.example_id}"

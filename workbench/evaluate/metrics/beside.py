"""What a dataset's official program reports beside the metric that the catalogue names."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from workbench.evaluate.metrics import score
from workbench.evaluate.metrics.answers import exact_string
from workbench.evaluate.metrics.ranking import ndcg
from workbench.evaluate.metrics.scienceqa import GROUPS
from workbench.records import Prediction

Shares = dict[int, float]  # of the predictions at these places; their mean is the metric's value
RANKED = ("recall@1", "recall@5", "recall@10", "mean_rank")


def visdial(predictions: Sequence[Prediction]) -> dict[str, Shares]:
    """Recalls and mean rank, and NDCG over the rounds that have relevances, one of them at least not 0."""
    found = {metric: _all(metric, predictions) for metric in RANKED}
    judged = [p.example.fields.get("relevance", "").split() for p in predictions]
    relevance = {i: [float(share) for share in shares] for i, shares in enumerate(judged)}
    found["ndcg"] = {i: ndcg(predictions[i].candidate_scores, r) for i, r in relevance.items() if any(r)}
    return found


def scienceqa(predictions: Sequence[Prediction]) -> dict[str, Shares]:
    """Accuracy by subject, context and grade; all have an image, so "image context" is the score itself."""
    shares = _all("multiple_choice", predictions)
    found: dict[str, Shares] = {}
    for group, belongs in GROUPS.items():
        if group in ("image context", "average"):
            continue
        chosen = found.setdefault(f"accuracy: {group}", {})
        for i, example in enumerate(prediction.example for prediction in predictions):
            grade = example.fields.get("grade", "")
            problem = {"subject": example.domain, "hint": example.fields["context"], "image": True}
            if (grade or not group.startswith("grades")) and belongs({**problem, "grade": grade}):
                chosen[i] = shares[i]
    return found


def by_letter(predictions: Sequence[Prediction]) -> dict[str, Shares]:
    """The answers that are a reference letter by letter, as GQA's eval.py and HQGA's eval_oe.py want them."""
    return {
        "letter by letter": {
            i: exact_string(one.text, one.example.references) for i, one in enumerate(predictions)
        }
    }


def ivqa(predictions: Sequence[Prediction]) -> dict[str, Shares]:
    """min(count / 2, 1), where just-ask counts answers that are the same entry of its vocabulary."""
    counts = (one.example.references.count(one.text) for one in predictions)
    return {"letter by letter": {i: 100 * min(count / 2, 1.0) for i, count in enumerate(counts)}}


def _all(metric: str, predictions: Sequence[Prediction]) -> Shares:
    return dict(enumerate(score(metric, predictions).per_example))


BESIDE: Mapping[str, Callable[[Sequence[Prediction]], dict[str, Shares]]] = {
    "gqa": by_letter,
    "ivqa": ivqa,
    "msrvtt_qa": by_letter,
    "msvd_qa": by_letter,
    "scienceqa": scienceqa,
    "visdial": visdial,
}

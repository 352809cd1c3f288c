"""Answers by ranking: every candidate's summed log-likelihood, its end token included.

The one convention for all candidates is the plain sum (LAVIS's T5 path; its Vicuna path leaves the end
token out and averages over padding). Images, instruction and prompt are read once per example; the
candidates continue from the cached keys and values.
"""

from __future__ import annotations

import torch
from torch import Tensor

from workbench.batch import Batch
from workbench.model.instructblip import InstructBlip
from workbench.model.language import Reading
from workbench.records import Prediction

ROWS_AT_ONCE = 128  # candidates per pass: bounds the expanded cache; larger is slower on a CPU (measured)


def rank(model: InstructBlip, batch: Batch, rows_at_once: int = ROWS_AT_ONCE) -> list[Prediction]:
    """The likeliest candidate of each example (the first of equals), and all scores in nats.

    Args:
        rows_at_once: candidates scored in one pass; changes memory, never the result.
    """
    scores = iter(candidate_scores(model, batch, rows_at_once).tolist())
    predictions = []
    for example, instruction in zip(batch.examples, batch.instructions, strict=True):
        score = {text: next(scores) for text in dict.fromkeys(example.candidates)}
        own = tuple(score[text] for text in example.candidates)
        predictions.append(Prediction(example, instruction, max(score, key=score.__getitem__), own))
    return predictions


def candidate_scores(model: InstructBlip, batch: Batch, rows_at_once: int = ROWS_AT_ONCE) -> Tensor:
    """(M,) log-likelihood in nats of each candidate row given its owner's pictures and prompt."""
    batch = batch.to(model.device)
    ids, mask, owner = batch.candidate_ids, batch.candidate_mask, batch.candidate_owner
    assert ids is not None, "a ranking batch has candidates"
    assert mask is not None, "a ranking batch has candidates"
    assert owner is not None, "a ranking batch has candidates"
    counts = owner.bincount(minlength=len(batch)).tolist()
    distinct = [len(set(example.candidates)) for example in batch.examples]
    assert counts == distinct, "one row for each distinct candidate, in order of first appearance"
    language = model.language
    with model.answering():
        reading = language.read(*model.inputs(batch))
        first = language.logits(reading.state).log_softmax(dim=-1)[owner, ids[:, 0]]
        later = [
            _continuations(model, reading, owner[rows], ids[rows], mask[rows])
            for rows in torch.arange(len(ids), device=ids.device).split(rows_at_once)
        ]
        return first + torch.cat(later)


def _continuations(model: InstructBlip, reading: Reading, owner: Tensor, ids: Tensor, mask: Tensor) -> Tensor:
    """(R,) log-likelihood of every candidate's tokens after the first."""
    length = int(mask.sum(dim=1).max())
    if length == 1:
        return torch.zeros(len(ids), device=ids.device)
    ids, mask = ids[:, :length], mask[:, :length]
    states = model.language.proceed(reading, owner, ids[:, :-1], mask[:, :-1])
    wanted = mask[:, 1:].bool()
    log_likelihoods = model.language.logits(states[wanted]).log_softmax(dim=-1)
    scores = torch.zeros(wanted.shape, device=ids.device)
    scores[wanted] = log_likelihoods.gather(1, ids[:, 1:][wanted][:, None])[:, 0]
    return scores.sum(dim=1)

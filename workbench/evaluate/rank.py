"""Answers by ranking: every candidate's summed log-likelihood, its end token included.

The one convention for all candidates is the plain sum (LAVIS's T5 path; its Vicuna path leaves the end
token out and averages over padding). Images, instruction and prompt are read once per example, and every
distinct beginning of its candidates once: "top left" and "top right" share "top". Both families lay the
beginnings out as a tree in one sequence per example. That pays without anything to share as well, because
a row for each candidate has to copy what was read. On the micro starts, CPU time of such rows over that of
trees: 4 candidates of a word 1.3 (T5) and 1.4 (Llama) for 64 examples and 1.0 for 4; 50 of one or two words
1.6 and 2.9; 20, some of two words, 1.3 and 2.3. The tree loses only where many long candidates have nothing
in common, since attention grows with its square: 100 of six random tokens 0.6 and 1.5.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator

import torch
from torch import Tensor
from torch.nn import functional

from workbench.batch import Batch
from workbench.model.instructblip import InstructBlip
from workbench.model.language import Trees
from workbench.records import Prediction

ROWS_AT_ONCE = 128  # candidates per pass: bounds its masks over nodes and its logits
ABSENT = -1  # in place of a token


def rank(model: InstructBlip, batch: Batch, rows_at_once: int = ROWS_AT_ONCE) -> list[Prediction]:
    """The likeliest candidate of each example (the first of equals), and all scores in nats.

    Args:
        rows_at_once: candidates scored in one pass; changes memory, the result by rounding only.
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
        scores = language.logits(reading.state).log_softmax(dim=-1)[owner, ids[:, 0]]
        beginnings = ids[:, :-1].masked_fill(mask[:, 1:] == 0, ABSENT)
        for some in _passes(owner, beginnings, rows_at_once):
            rows, of = owner[some].unique_consecutive(return_inverse=True)
            trees, node = plant(of, beginnings[some])
            if trees.mask.any():
                states = language.proceed(reading.of(rows), trees)[trees.mask]
                later = language.logits(states).log_softmax(dim=-1)[node, ids[some, 1:]]
                scores[some] += later.masked_fill(mask[some, 1:] == 0, 0).sum(dim=1)
        return scores


def plant(of: Tensor, beginnings: Tensor) -> tuple[Trees, Tensor]:
    """The tries of sorted candidates.

    Args:
        of: (C,) the tree of each candidate, ascending from 0 without gaps.
        beginnings: (C, T) all its tokens but the last, which nothing follows; then ABSENT. Within a tree
            in lexicographic order, so that those with a common beginning are neighbours.

    Returns:
        The trees, and for each token (C, T) the number of its node, counted through all trees in turn;
        meaningless where a token is absent.
    """
    whole = torch.cat([of[:, None], beginnings], dim=1)
    # a token has a node of its own where it, or one ahead of it, is another than in the candidate before
    differs = (whole[1:] != whole[:-1]).cumsum(dim=1)[:, 1:] > 0
    new = functional.pad(differs, (0, 0, 1, 0), value=True) & (beginnings != ABSENT)
    # numbered in reading order; a token without a node of its own has the last one made at its depth
    node = ((new.flatten().cumsum(dim=0).view_as(new) - 1) * new).cummax(dim=0).values
    sizes = new.new_zeros(int(of[-1]) + 1, dtype=torch.long).index_add(0, of, new.sum(dim=1))
    mask = torch.arange(int(sizes.max()), device=of.device) < sizes[:, None]
    column = node - (sizes.cumsum(dim=0) - sizes)[of, None]
    candidate, depth = new.nonzero(as_tuple=True)  # of every node the first candidate that has it
    ids = torch.zeros_like(mask, dtype=torch.long)
    ids[mask] = beginnings[new]
    sees = mask.new_zeros(*mask.shape, mask.shape[1])
    for above in range(beginnings.shape[1]):
        below = depth >= above
        c, d = candidate[below], depth[below]
        sees[of[c], column[c, d], column[c, above]] = True
    return Trees(ids, mask, sees), node


def _passes(owner: Tensor, beginnings: Tensor, rows_at_once: int) -> Iterator[Tensor]:
    """Candidates sorted by owner and tokens, in pieces of at most `rows_at_once` rows.

    A piece ends where an owner's candidates go on with another first token, so that no node falls into
    two pieces; only where more than `rows_at_once` have the first token in common are they cut apart, and
    the nodes on the way to the cut are computed again.
    """
    whole = torch.cat([owner[:, None], beginnings], dim=1)
    order = whole.unique(dim=0, return_inverse=True)[1].argsort(stable=True)
    start = whole[order, :2]
    ends = [*((start[1:] != start[:-1]).any(dim=1).nonzero()[:, 0] + 1).tolist(), len(order)]
    cut = 0
    while cut < len(order):
        reach = bisect_right(ends, cut + rows_at_once)
        begun, cut = cut, ends[reach - 1] if reach and ends[reach - 1] > cut else cut + rows_at_once
        yield order[begun:cut]

"""Ranking with shared beginnings against a row for each candidate, and against reading everything again.

LAVIS (blip2_vicuna_instruct.py, _predict_class) runs [picture | prompt | candidate] through the decoder
once per candidate; its T5 path encodes once but projects keys and values of the encoder's output for each
candidate. Both compute logits at every position. Here both are written with transformers alone (`again`).
`a row each` reads picture and prompt once and copies what was read for each candidate; `shared` computes
every distinct beginning of candidates once, and copies nothing.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from itertools import product

import materials
import torch
from torch import Tensor
from torch.nn import functional
from transformers import DynamicCache, EncoderDecoderCache

from workbench.batch import Batch
from workbench.evaluate.rank import ROWS_AT_ONCE, candidate_scores
from workbench.model.instructblip import InstructBlip

LENGTHS = (1, 2, 2, 3, 4)  # tokens of candidates, the end token included


@torch.no_grad()
def read_again(model: InstructBlip, batch: Batch) -> Tensor:
    """(M,) summed log-likelihood of every candidate; segments bound the memory, as LAVIS' n_segments does."""
    assert batch.candidate_ids is not None
    assert batch.candidate_mask is not None
    assert batch.candidate_owner is not None
    lm = model.hf.language_model
    embeds, mask = model.inputs(batch)
    encoded = lm.get_encoder()(inputs_embeds=embeds, attention_mask=mask) if _has_encoder(model) else None
    scores = []
    for rows in torch.arange(len(batch.candidate_ids)).split(ROWS_AT_ONCE):
        ids, answer_mask = batch.candidate_ids[rows], batch.candidate_mask[rows]
        owner = batch.candidate_owner[rows]
        labels = ids.masked_fill(answer_mask == 0, -100)
        if encoded is not None:
            state = encoded.last_hidden_state[owner]
            logits = lm(encoder_outputs=(state,), attention_mask=mask[owner], labels=labels).logits
        else:
            whole = torch.cat([embeds[owner], lm.get_input_embeddings()(ids)], dim=1)
            seen = torch.cat([mask[owner], answer_mask], dim=1)
            logits = lm(inputs_embeds=whole, attention_mask=seen).logits[:, embeds.shape[1] - 1 : -1]
        losses = functional.cross_entropy(logits.transpose(1, 2), labels, reduction="none")
        scores.append(-losses.sum(dim=1))
    return torch.cat(scores)


@torch.no_grad()
def a_row_each(model: InstructBlip, batch: Batch) -> Tensor:
    """(M,) the same scores with picture and prompt read once, and their cache copied for each candidate.

    So the workbench ranked before candidates shared their beginnings.
    """
    assert batch.candidate_ids is not None
    assert batch.candidate_mask is not None
    assert batch.candidate_owner is not None
    decoder, language = model.hf.language_model.get_decoder(), model.language
    reading = language.read(*model.inputs(batch))
    first = language.logits(reading.state).log_softmax(dim=-1)
    scores = first[batch.candidate_owner, batch.candidate_ids[:, 0]]
    for rows in torch.arange(len(scores)).split(ROWS_AT_ONCE):
        own = reading.of(batch.candidate_owner[rows])
        length = int(batch.candidate_mask[rows].sum(dim=1).max())
        ids, mask = batch.candidate_ids[rows, :length], batch.candidate_mask[rows, :length]
        if length == 1:
            continue
        if _has_encoder(model):
            given = {"encoder_hidden_states": own.encoded, "encoder_attention_mask": own.mask}
            cache: object = EncoderDecoderCache(own.layers)
        else:
            whole = torch.cat([own.mask, mask[:, :-1]], dim=1)
            given = {"attention_mask": whole, "position_ids": (whole.cumsum(dim=1) - 1)[:, 1 - length :]}
            cache = DynamicCache(own.layers)
        states = decoder(input_ids=ids[:, :-1], past_key_values=cache, use_cache=True, **given)
        wanted = mask[:, 1:].bool()
        likely = language.logits(states.last_hidden_state[wanted]).log_softmax(dim=-1)
        later = torch.zeros(wanted.shape)
        later[wanted] = likely.gather(1, ids[:, 1:][wanted][:, None])[:, 0]
        scores[rows] += later.sum(dim=1)
    return scores


def _has_encoder(model: InstructBlip) -> bool:
    return bool(model.hf.language_model.config.is_encoder_decoder)


def _beginnings(batch: Batch) -> tuple[int, int]:
    """How many tokens something follows, and how many of them are distinct beginnings."""
    assert batch.candidate_ids is not None
    assert batch.candidate_mask is not None
    assert batch.candidate_owner is not None
    lines = zip(
        batch.candidate_owner.tolist(), batch.candidate_ids.tolist(), batch.candidate_mask.sum(1).tolist(),
        strict=True,
    )  # fmt: skip
    all_of_them = [(owner, *ids[: k + 1]) for owner, ids, length in lines for k in range(length - 1)]
    return len(all_of_them), len(set(all_of_them))


def main() -> None:
    """One line for each number of candidates, first with hardly any beginning in common, then with many."""
    parser = materials.arguments(__doc__)
    parser.add_argument("--candidates", type=int, nargs="+", default=[4, 20, 50, 200, 1000])
    parser.add_argument("--lengths", type=int, nargs="+", default=LENGTHS, help="tokens, the end included")
    parser.add_argument("--words", type=int, nargs="+", default=[10**9, 8], help="different tokens in use")
    given = parser.parse_args()
    model = materials.load(given.start, given.family)
    print(f"{materials.told(given)}; CPU seconds")
    print("candidates tokens  nodes   again s  a row each s  shared s   again/   each/  largest difference")
    for words, count in product(given.words, given.candidates):
        lengths = [given.lengths[i % len(given.lengths)] for i in range(count)]
        batch = materials.batch(model, given.rows, given.prompt, [1], lengths)
        ids = batch.candidate_ids
        assert ids is not None
        first = materials.FIRST_ID
        batch = replace(batch, candidate_ids=ids.where(ids < first, first + (ids - first) % words))
        works = [partial(f, model, batch) for f in (read_again, a_row_each, candidate_scores)]
        results = [work() for work in works]
        apart = max((scores - results[0]).abs().max() for scores in results)
        again, each, shared = materials.seconds_each(works, given.repeats)
        tokens, nodes = _beginnings(batch)
        print(
            f"{count:>10} {tokens:>6} {nodes:>6} {again:>9.3f} {each:>13.3f} {shared:>9.3f}"
            f" {again / shared:>7.1f}x {each / shared:>6.1f}x {apart:>14.1e} nats"
        )


if __name__ == "__main__":
    main()

"""Ranking with a shared prefix against reading everything again for each candidate, as LAVIS does.

LAVIS (blip2_vicuna_instruct.py, _predict_class) runs [picture | prompt | candidate] through the decoder
once per candidate; its T5 path encodes once but projects keys and values of the encoder's output for each
candidate. Both compute logits at every position. Here both are written with transformers alone.
"""

from __future__ import annotations

import materials
import torch
from torch import Tensor
from torch.nn import functional

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


def _has_encoder(model: InstructBlip) -> bool:
    return bool(model.hf.language_model.config.is_encoder_decoder)


def main() -> None:
    """One line for each number of candidates; all in one process."""
    parser = materials.arguments(__doc__)
    parser.add_argument("--candidates", type=int, nargs="+", default=[5, 20, 200, 1000])
    given = parser.parse_args()
    model = materials.load(given.start, given.family)
    print(materials.told(given))
    print(f"{'candidates':>10} {'again s':>9} {'shared s':>9} {'ratio':>6} {'largest difference':>19}")
    for count in given.candidates:
        lengths = [LENGTHS[i % len(LENGTHS)] for i in range(count)]
        batch = materials.batch(model, given.rows, given.prompt, [1], lengths)
        apart = (read_again(model, batch) - candidate_scores(model, batch)).abs().max()
        again = materials.seconds(lambda batch=batch: read_again(model, batch), given.repeats)
        shared = materials.seconds(lambda batch=batch: candidate_scores(model, batch), given.repeats)
        print(f"{count:>10} {again:>9.3f} {shared:>9.3f} {again / shared:>5.1f}x {apart:>15.1e} nats")


if __name__ == "__main__":
    main()

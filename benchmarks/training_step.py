"""Training: logits at target tokens alone against logits everywhere, as LAVIS and transformers have it.

One step is forward and backward through the frozen language model into the Q-Former; the loss and its
gradient are the same.
"""

from __future__ import annotations

import materials
import torch
from torch import Tensor
from torch.nn import functional

from workbench.batch import Batch
from workbench.model.instructblip import InstructBlip

ANSWERS = (2, 3, 3, 12, 40)  # short answers, captions, descriptions; the end token included


def everywhere(model: InstructBlip, batch: Batch) -> Tensor:
    """The same summed loss from the logits of every position."""
    assert batch.target_ids is not None
    assert batch.target_mask is not None
    lm = model.hf.language_model
    embeds, mask = model.inputs(batch)
    labels = batch.target_ids.masked_fill(batch.target_mask == 0, -100)
    if lm.config.is_encoder_decoder:
        logits = lm(inputs_embeds=embeds, attention_mask=mask, labels=labels).logits
    else:
        whole = torch.cat([embeds, lm.get_input_embeddings()(batch.target_ids)], dim=1)
        seen = torch.cat([mask, batch.target_mask], dim=1)
        logits = lm(inputs_embeds=whole, attention_mask=seen).logits[:, embeds.shape[1] - 1 : -1]
    return functional.cross_entropy(logits.transpose(1, 2), labels, reduction="sum")


def main() -> None:
    """Both ways in one process, and their ratio."""
    given = materials.arguments(__doc__).parse_args()
    model = materials.load(given.start, given.family)
    batch = materials.batch(model, given.rows, given.prompt, ANSWERS)

    def gradient(loss: Tensor) -> Tensor:
        model.zero_grad(set_to_none=True)
        loss.backward()
        grad = model.hf.query_tokens.grad
        assert grad is not None
        return grad

    theirs = gradient(everywhere(model, batch))
    apart = (theirs - gradient(model(batch).loss)).abs().max() / theirs.abs().max()
    full = materials.seconds(lambda: gradient(everywhere(model, batch)), given.repeats)
    targets = materials.seconds(lambda: gradient(model(batch).loss), given.repeats)
    print(materials.told(given))
    print(f"logits everywhere {full:.3f} s, at targets {targets:.3f} s: {full / targets:.2f}x")
    print(f"largest difference of the queries' gradient: {apart:.1e} of its largest value")


if __name__ == "__main__":
    main()

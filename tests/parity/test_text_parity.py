"""From text on: our collation against transformers' tokenizers, truncation at 128 tokens included."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import checkpoint_folders as made
import pytest
import tiny
import torch
from test_transformers_parity import CLOSE, plain_forward, plain_inputs
from transformers import InstructBlipForConditionalGeneration, PreTrainedTokenizerFast

from workbench.config import Model
from workbench.data.collate import Collator
from workbench.data.tokens import Tokenizers
from workbench.model.checkpoint import assemble
from workbench.model.instructblip import InstructBlip
from workbench.model.sources import read
from workbench.model.vision import encode
from workbench.records import Example

LONG = "tell me what is in the picture, please, and do not leave anything out " * 4
TEXTS = ["what is this ?", LONG, ""]
TARGETS = ["a dog", "a cat and a mouse", "no"]


class Shown:
    """The features of three pictures, by number."""

    def __init__(self, features: torch.Tensor) -> None:
        self.features, self.blank = features, features[0]

    def take(self, refs: Any) -> torch.Tensor:
        return self.features[[int(ref) for ref in refs]]


@pytest.fixture(scope="module", params=tiny.FAMILIES)
def case(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Any:
    root, family = tmp_path_factory.mktemp("text"), request.param
    made.whole(root / "hub", family, positions=256)
    assemble([read("hub", root, False)], tiny.QUERIES, root / "start")
    folder: Path = root / "start" / f"blip2-{family}"
    plain = InstructBlipForConditionalGeneration.from_pretrained(folder).eval()
    ours = InstructBlip.load(folder, Model(language_model=family, num_query_tokens=tiny.QUERIES))
    pixels = torch.randn(3, 3, tiny.IMAGE_SIZE, tiny.IMAGE_SIZE, generator=torch.Generator().manual_seed(5))
    collator = Collator(Tokenizers.load(folder), Shown(encode(plain.vision_model, pixels)))
    examples = [Example("vqav2", str(i), str(i), (str(i),), references=("x",)) for i in range(3)]
    return family, folder, plain, ours, collator.train(examples, TEXTS, TARGETS), pixels


def test_the_ids_are_those_of_transformers_tokenizers_truncated_on_the_left(case: Any) -> None:
    family, folder, _, _, batch, _ = case
    reader = PreTrainedTokenizerFast.from_pretrained(folder / "qformer_tokenizer", truncation_side="left")
    theirs = reader(TEXTS, padding="longest", truncation=True, max_length=128, return_tensors="pt")
    assert torch.equal(batch.qformer_ids, theirs.input_ids)
    assert torch.equal(batch.qformer_mask, theirs.attention_mask)
    assert batch.qformer_mask.sum(dim=1).tolist() == [16, 128, 2]
    speaker = PreTrainedTokenizerFast.from_pretrained(folder, truncation_side="left")
    for row, text in enumerate(TEXTS):
        kept = speaker(text, add_special_tokens=False, truncation=True, max_length=127).input_ids
        whole = [*kept, speaker.eos_token_id] if family == "t5" else [speaker.bos_token_id, *kept]
        assert batch.prompt_ids[row][batch.prompt_mask[row].bool()].tolist() == whole


def test_loss_and_logits_from_text(case: Any) -> None:
    family, _, plain, ours, batch, pixels = case
    with torch.no_grad():
        inputs = plain_inputs(batch, pixels, family, plain.config.image_token_index)
        loss, logits = plain_forward(plain, inputs, batch, family)
        total, tokens = ours(batch)
        states = ours.language.answer_states(*ours.inputs(batch), batch.target_ids, batch.target_mask)
    torch.testing.assert_close(total / tokens, loss, **CLOSE)
    torch.testing.assert_close(ours.language.logits(states[batch.target_mask.bool()]), logits, **CLOSE)


def test_an_answer_does_not_depend_on_who_else_is_in_the_batch(case: Any) -> None:
    _, _, _, ours, batch, _ = case
    with torch.no_grad():
        states = ours.language.answer_states(*ours.inputs(batch), batch.target_ids, batch.target_mask)
        for row in range(3):
            alone = {
                name: getattr(batch, name)[row : row + 1][:, getattr(batch, mask)[row].bool()]
                for text in ("qformer", "prompt", "target")
                for name, mask in ((f"{text}_ids", f"{text}_mask"), (f"{text}_mask", f"{text}_mask"))
            }
            one = dataclasses.replace(batch, features=batch.features[row : row + 1], **alone)
            own = ours.language.answer_states(*ours.inputs(one), one.target_ids, one.target_mask)
            torch.testing.assert_close(own[0], states[row, : own.shape[1]], **CLOSE)

from pathlib import Path

import pytest
import tiny
import torch
from transformers import AutoModelForCausalLM, AutoModelForSeq2SeqLM, InstructBlipVisionModel

from workbench.model.create import new
from workbench.model.folder import ModelError

QFORMER = {
    "vocab_size": 60, "hidden_size": 32, "num_hidden_layers": 4, "num_attention_heads": 4,
    "intermediate_size": 64,
}  # fmt: skip


@pytest.mark.parametrize("family", tiny.FAMILIES)
def test_new_keeps_the_finished_parts_and_draws_the_rest(tmp_path: Path, family: tiny.Family) -> None:
    vision = tiny.vision_folder(tmp_path / "vision")
    language = tiny.language_folder(tmp_path / family, family)
    before = torch.random.get_rng_state()
    model = new(vision, language, QFORMER, num_query_tokens=6, image_token_id=99, seed=3)
    assert torch.equal(before, torch.random.get_rng_state())
    auto = AutoModelForSeq2SeqLM if family == "t5" else AutoModelForCausalLM
    for part, finished in (
        (model.language_model, auto.from_pretrained(language)),
        (model.vision_model, InstructBlipVisionModel.from_pretrained(vision)),
    ):
        for name, weight in finished.state_dict().items():
            assert torch.equal(part.state_dict()[name], weight), name
    assert model.query_tokens.shape == (1, 6, 32)
    drawn = (
        model.query_tokens,
        model.language_projection.weight,
        model.qformer.encoder.layer[2].crossattention.attention.key.weight,
        model.qformer.encoder.layer[1].intermediate.dense.weight,
        model.qformer.embeddings.word_embeddings.weight[1:],
    )
    for weight in drawn:
        assert 0.015 < weight.std().item() < 0.025
    again = new(vision, language, QFORMER, num_query_tokens=6, image_token_id=99, seed=3)
    assert all(torch.equal(a, b) for a, b in zip(model.parameters(), again.parameters(), strict=True))


def test_new_refuses_what_does_not_fit(tmp_path: Path) -> None:
    vision, language = tiny.vision_folder(tmp_path / "vision"), tiny.language_folder(tmp_path / "t5", "t5")
    with pytest.raises(ModelError, match="does not exist"):
        new(tmp_path / "nowhere", language, QFORMER, num_query_tokens=2, image_token_id=99, seed=1)
    with pytest.raises(ModelError, match="outside the 100 tokens"):
        new(vision, language, QFORMER, num_query_tokens=2, image_token_id=100, seed=1)
    (language / "model.safetensors").write_bytes(b"cut short")
    with pytest.raises(ModelError, match="cannot be loaded"):
        new(vision, language, QFORMER, num_query_tokens=2, image_token_id=99, seed=1)

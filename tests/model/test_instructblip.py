import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest
import tiny
import torch
from transformers import InstructBlipForConditionalGeneration

from workbench.batch import Batch
from workbench.config import Model
from workbench.model.folder import ModelError
from workbench.model.instructblip import InstructBlip


@pytest.fixture(scope="module", params=tiny.FAMILIES)
def family(request: pytest.FixtureRequest) -> Any:
    return request.param


@pytest.fixture(scope="module")
def folder(family: tiny.Family, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.start(tmp_path_factory.mktemp("start"), family)


def load(folder: Path, family: tiny.Family, **switches: Any) -> InstructBlip:
    return InstructBlip.load(
        folder, Model(language_model=family, **{"num_query_tokens": tiny.QUERIES, **switches})
    )


def rows(batch: Batch, where: slice) -> Batch:
    """Some rows, with the padding that the others needed."""
    texts = [f"{text}_{kind}" for text in ("qformer", "prompt", "target") for kind in ("ids", "mask")]
    return dataclasses.replace(
        batch, examples=batch.examples[where], instructions=batch.instructions[where],
        **{name: getattr(batch, name)[where] for name in ("features", *texts)},
    )  # fmt: skip


def other_text(batch: Batch) -> Batch:
    return dataclasses.replace(batch, qformer_ids=(batch.qformer_ids + 7) % 50 + 3)


def test_trainable_is_what_lavis_trains(folder: Path, family: tiny.Family) -> None:
    model = load(folder, family).train()
    parts = {name.split(".")[0] for name in model.trainable()}
    assert parts == {"qformer", "query_tokens", "language_projection", "vision_model"}
    assert [n for n in model.trainable() if n.startswith("vision")] == [
        "vision_model.post_layernorm.weight", "vision_model.post_layernorm.bias",
    ]  # fmt: skip
    assert model.hf.qformer.training
    assert not any(m.training for m in model.hf.language_model.modules())
    assert not any(m.training for m in model.hf.vision_model.modules())
    frozen = load(folder, family, train_vision_layernorm=False)
    assert model.trainable().keys() - frozen.trainable().keys() == {
        "vision_model.post_layernorm.weight", "vision_model.post_layernorm.bias",
    }  # fmt: skip


def test_instruction_reaches_the_prefix_only_if_aware(folder: Path, family: tiny.Family) -> None:
    batch = tiny.batch(family)
    with torch.no_grad():
        aware = load(folder, family)
        assert (aware.prefix(batch) - aware.prefix(other_text(batch))).abs().max() > 1e-3
        dropped = load(folder, family, instruction_aware=False)
        assert torch.equal(dropped.prefix(batch), dropped.prefix(other_text(batch)))


def test_constant_form_keeps_the_text_path(folder: Path, family: tiny.Family) -> None:
    """The collator feeds the same empty instruction to all: prefix differences come from pictures only."""
    constant = load(folder, family, instruction_aware=False, unaware_form="constant")
    aware = load(folder, family)
    assert constant.trainable().keys() == aware.trainable().keys()
    batch = tiny.batch(family)
    empty = torch.tensor([[2, 3]]).expand(len(batch), -1)
    same = batch.features[:1].expand_as(batch.features)
    batch = dataclasses.replace(
        batch, features=same, qformer_ids=empty, qformer_mask=torch.ones_like(empty)
    )
    with torch.no_grad():
        prefix = constant.prefix(batch)
    torch.testing.assert_close(prefix, prefix[:1].expand_as(prefix))


def test_drop_removes_lavis_parameters(folder: Path, family: tiny.Family) -> None:
    """Word and position embeddings and the text feed-forwards of both layers are gone from the count."""
    aware = load(folder, family).trainable()
    dropped = load(folder, family, instruction_aware=False).trainable()
    assert dropped.keys() < aware.keys()
    gone = {name for name in aware if name not in dropped}
    assert all(
        "word_emb" in n or "position_emb" in n or ".intermediate." in n
        or (".output." in n and "attention" not in n) for n in gone
    )  # fmt: skip
    w, ffn = tiny.WIDTH, 64
    per_layer = (w * ffn + ffn) + (ffn * w + w) + 2 * w
    assert sum(aware[n].numel() for n in gone) == (tiny.QFORMER_VOCABULARY + 64) * w + 2 * per_layer


def test_number_of_queries(folder: Path, family: tiny.Family) -> None:
    four = load(folder, family).hf.query_tokens
    two = load(folder, family, num_query_tokens=2)
    six, again = (load(folder, family, num_query_tokens=6) for _ in range(2))
    assert torch.equal(two.hf.query_tokens, four[:, :2])
    assert torch.equal(six.hf.query_tokens[:, :4], four)
    assert torch.equal(six.hf.query_tokens, again.hf.query_tokens)
    assert 0.01 < six.hf.query_tokens[:, 4:].std() < 0.03
    assert six.prefix(tiny.batch(family)).shape == (5, 6, tiny.WIDTH)


def test_saved_number_of_queries_is_known_to_the_processor(
    folder: Path, family: tiny.Family, tmp_path: Path
) -> None:
    load(folder, family, num_query_tokens=2).save_pretrained(tmp_path)
    assert json.loads((tmp_path / "processor_config.json").read_text())["num_query_tokens"] == 2
    assert InstructBlipForConditionalGeneration.from_pretrained(tmp_path).query_tokens.shape[1] == 2


def test_video_frames_are_concatenated_in_order(folder: Path, family: tiny.Family) -> None:
    model, video = load(folder, family), tiny.batch(family, frames=4)
    with torch.no_grad():
        whole = model.prefix(video)
        assert whole.shape == (5, 4 * tiny.QUERIES, tiny.WIDTH)
        for frame in range(4):
            single = dataclasses.replace(video, features=video.features[:, frame : frame + 1])
            where = slice(frame * tiny.QUERIES, (frame + 1) * tiny.QUERIES)
            torch.testing.assert_close(whole[:, where], model.prefix(single))


def test_padding_and_batch_size_do_not_change_the_loss(folder: Path, family: tiny.Family) -> None:
    model, batch = load(folder, family), tiny.batch(family, rows=6)
    with torch.no_grad():
        whole = model(batch)
        parts = [model(rows(batch, slice(i, i + 1))) for i in range(6)]
        text = {}
        for ids, mask, left in (
            ("qformer_ids", "qformer_mask", False),
            ("prompt_ids", "prompt_mask", family == "llama"),
            ("target_ids", "target_mask", False),
        ):
            pairs = zip(getattr(batch, ids), getattr(batch, mask), strict=True)
            kept = [row[m.bool()].tolist() for row, m in pairs]
            wide = tiny.padded([*kept, [5] * 12], left)  # a longer neighbour, then taken away
            text[ids], text[mask] = wide[0][:-1], wide[1][:-1]
        padded = model(dataclasses.replace(batch, **text))
    torch.testing.assert_close(whole.loss, sum(p.loss for p in parts))
    torch.testing.assert_close(whole.loss, padded.loss)
    assert whole.tokens == sum(p.tokens for p in parts) == padded.tokens


def test_an_empty_prompt_is_the_prefix_alone(folder: Path, family: tiny.Family) -> None:
    """Plain multitask captioning has no prompt; beside a neighbour with one, the result is the same."""
    model, batch = load(folder, family), tiny.batch(family, rows=2)
    mask = batch.prompt_mask.clone()
    mask[0] = 0
    batch = dataclasses.replace(batch, prompt_mask=mask)
    alone = rows(batch, slice(0, 1))
    alone = dataclasses.replace(
        alone, prompt_ids=alone.prompt_ids[:, :0], prompt_mask=alone.prompt_mask[:, :0]
    )
    with torch.no_grad():
        both = model(batch).loss - model(rows(batch, slice(1, 2))).loss
        torch.testing.assert_close(both, model(alone).loss, rtol=1e-4, atol=1e-4)


def test_summed_micro_batches_equal_one_batch(folder: Path, family: tiny.Family) -> None:
    model, batch = load(folder, family), tiny.batch(family, rows=6)
    tokens = batch.target_mask.sum()
    (model(batch).loss / tokens).backward()
    whole = {n: p.grad.clone() for n, p in model.trainable().items() if p.grad is not None}
    model.zero_grad()
    for i in range(0, 6, 2):
        (model(rows(batch, slice(i, i + 2))).loss / tokens).backward()
    assert len(whole) > 50
    for name, parameter in model.trainable().items():
        if name in whole:
            torch.testing.assert_close(parameter.grad, whole[name], rtol=1e-4, atol=1e-6, msg=name)


def test_training_moves_the_trained_and_not_the_frozen(folder: Path, family: tiny.Family) -> None:
    model, batch = load(folder, family).train(), tiny.batch(family)
    frozen, before = model.frozen_checksum(), model.hf.query_tokens.detach().clone()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
    first = model(batch).loss
    for _ in range(5):
        loss = model(batch).loss
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert loss < first
    assert model.frozen_checksum() == frozen
    assert not torch.equal(model.hf.query_tokens, before)
    with torch.no_grad():
        model.hf.language_model.get_input_embeddings().weight[5, 5] += 1e-4
    assert model.frozen_checksum() != frozen


def test_bf16_autocast_stays_near_fp32(folder: Path, family: tiny.Family) -> None:
    model, batch = load(folder, family), tiny.batch(family)
    exact = model(batch).loss
    with torch.autocast("cpu", dtype=torch.bfloat16):
        rough = model(batch).loss
    rough.backward()
    assert rough.dtype == torch.float32
    assert rough != exact
    torch.testing.assert_close(rough, exact, rtol=0.05, atol=0.0)
    assert all(p.dtype == torch.float32 for p in model.parameters())


def test_half_precision_on_disk_is_computed_in_fp32(family: tiny.Family, tmp_path: Path) -> None:
    folder = tiny.start(tmp_path, family)
    InstructBlipForConditionalGeneration.from_pretrained(folder).half().save_pretrained(folder)
    model = load(folder, family)
    assert {p.dtype for p in model.parameters()} == {torch.float32}
    assert torch.isfinite(model(tiny.batch(family)).loss)


def test_bad_folders_are_named_with_a_remedy(folder: Path, family: tiny.Family, tmp_path: Path) -> None:
    model = load(folder, family)
    batch = tiny.batch(family)
    narrow = dataclasses.replace(batch, features=batch.features[..., :-1])
    with pytest.raises(ModelError, match=r"31 wide .* reads 32; run the features stage"):
        model(narrow)
    with pytest.raises(ModelError, match=rf"set model.language_model={family}"):
        load(folder, "llama" if family == "t5" else "t5")
    with pytest.raises(ModelError, match=r"does not exist"):
        load(tmp_path / "nowhere", family)
    load(folder, family, instruction_aware=False).save_pretrained(tmp_path / "dropped")
    with pytest.raises(ModelError, match=r"without the Q-Former's text path"):
        load(tmp_path / "dropped", family)
    model.save_pretrained(tmp_path / "whole")
    for missing, message in (
        ("tokenizer/tokenizer_config.json", "no tokenizer for its language model"),
        ("model.safetensors", r"no \*.safetensors weights"),
        ("config.json", "no config.json"),
    ):
        (tmp_path / "whole" / missing).unlink()
        with pytest.raises(ModelError, match=message):
            load(tmp_path / "whole", family)


def test_a_start_without_text_path_is_refused(folder: Path, family: tiny.Family, tmp_path: Path) -> None:
    """LAVIS issue 344: stage-2 BLIP-2 checkpoints lack it, and training from random goes unnoticed."""
    model = load(folder, family)
    model.save_pretrained(tmp_path)
    weights = {n: w for n, w in model.hf.state_dict().items() if ".0.intermediate." not in n}
    model.hf.save_pretrained(tmp_path, state_dict=weights)
    with pytest.raises(ModelError, match=r"lacks 2 weights .* stage 1"):
        load(tmp_path, family)

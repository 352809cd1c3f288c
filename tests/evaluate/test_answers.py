"""Generation and ranking: brute force, batch sizes, chunks, ties."""

import dataclasses
from typing import Any

import pytest
import tiny
import torch

from workbench.batch import Batch
from workbench.config import Model
from workbench.data.catalog import entry
from workbench.evaluate.generate import generate
from workbench.evaluate.rank import candidate_scores, rank
from workbench.model.instructblip import InstructBlip


@pytest.fixture(scope="module", params=tiny.FAMILIES)
def case(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Any:
    family = request.param
    folder = tiny.start(tmp_path_factory.mktemp("start"), family)
    return family, InstructBlip.load(folder, Model(language_model=family, num_query_tokens=tiny.QUERIES))


def single(batch: Batch, row: int) -> Batch:
    """One row as a batch of its own, without the padding its neighbours needed."""

    def cut(ids: torch.Tensor, mask: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        keep = mask.bool().any(dim=0)
        return ids[:, keep], mask[:, keep]

    changes: dict[str, Any] = {"features": batch.features[row : row + 1]}
    for name in ("qformer", "prompt"):
        ids, mask = (getattr(batch, f"{name}_{kind}")[row : row + 1] for kind in ("ids", "mask"))
        changes[f"{name}_ids"], changes[f"{name}_mask"] = cut(ids, mask)
    if batch.candidate_owner is not None:
        own = batch.candidate_owner == row
        changes["candidate_ids"], changes["candidate_mask"] = cut(
            batch.candidate_ids[own], batch.candidate_mask[own]
        )
        changes["candidate_owner"] = torch.zeros(int(own.sum()), dtype=torch.long)
    return dataclasses.replace(
        batch,
        examples=batch.examples[row : row + 1],
        instructions=batch.instructions[row : row + 1],
        **changes,
    )


def brute_force(model: InstructBlip, batch: Batch) -> list[float]:
    """Each candidate as the target of its own full forward pass."""
    scores = []
    for ids, mask, owner in zip(
        batch.candidate_ids, batch.candidate_mask, batch.candidate_owner.tolist(), strict=True
    ):
        alone = dataclasses.replace(
            single(batch, owner), target_ids=ids[mask.bool()][None], target_mask=mask[mask.bool()][None]
        )
        with torch.no_grad():
            scores.append(-model(alone).loss.item())
    return scores


@pytest.mark.parametrize("frames", [1, 4])
def test_ranking_is_brute_force(case: Any, frames: int) -> None:
    family, model = case
    batch = tiny.batch(family, rows=4, frames=frames, candidates=(3, 1, 5))
    expected = torch.tensor(brute_force(model, batch))
    torch.testing.assert_close(candidate_scores(model, batch), expected, rtol=1e-5, atol=1e-4)
    for chunk in (1, 2, 5):
        torch.testing.assert_close(
            candidate_scores(model, batch, chunk), expected, rtol=1e-5, atol=1e-4
        )


def test_ranking_picks_the_likeliest_and_keeps_the_order(case: Any) -> None:
    family, model = case
    batch = tiny.batch(family, rows=5, candidates=(4, 2))
    predictions = rank(model, batch)
    assert [len(p.candidate_scores) for p in predictions] == [4, 2, 4, 2, 4]
    flat = [s for p in predictions for s in p.candidate_scores]
    assert flat == candidate_scores(model, batch).tolist()
    for p in predictions:
        best = p.example.candidates.index(p.text)
        assert p.candidate_scores[best] == max(p.candidate_scores)
        assert p.instruction == f"instruction {p.example.example_id}"
    assert any(p.example.candidates.index(p.text) > 0 for p in predictions)


def test_the_first_of_equal_candidates_wins(case: Any) -> None:
    family, model = case
    batch = tiny.batch(family, rows=1, candidates=(3,))
    same = batch.candidate_ids[:1].expand_as(batch.candidate_ids)
    mask = batch.candidate_mask[:1].expand_as(batch.candidate_mask)
    (prediction,) = rank(model, dataclasses.replace(batch, candidate_ids=same, candidate_mask=mask))
    assert prediction.text == prediction.example.candidates[0]
    assert len(set(prediction.candidate_scores)) == 1


def test_a_candidate_shown_twice_is_scored_once(case: Any) -> None:
    family, model = case
    batch = tiny.batch(family, rows=1, candidates=(2,))
    first, second = batch.examples[0].candidates
    twice = dataclasses.replace(batch.examples[0], candidates=(second, first, second))
    (a,), (b,) = rank(model, batch), rank(model, dataclasses.replace(batch, examples=(twice,)))
    assert b.candidate_scores == (*a.candidate_scores, a.candidate_scores[0])


def test_candidates_of_one_token_need_no_second_pass(case: Any) -> None:
    family, model = case
    batch = tiny.batch(family, rows=2, candidates=(2,))
    batch = dataclasses.replace(
        batch, candidate_ids=batch.candidate_ids[:, :1], candidate_mask=torch.ones(4, 1, dtype=torch.long)
    )
    torch.testing.assert_close(candidate_scores(model, batch), torch.tensor(brute_force(model, batch)))


def test_batch_size_changes_no_answer(case: Any) -> None:
    """64 rows of ragged length at once, and one by one without any padding."""
    family, model = case
    wanted = dataclasses.replace(entry("vqav2"), max_new_tokens=6)
    many = tiny.batch(family, rows=64, candidates=(3,))
    ranked = rank(model, many)
    for row in range(0, 64, 7):
        (alone,) = rank(model, single(many, row))
        assert alone.text == ranked[row].text
        assert alone.candidate_scores == pytest.approx(ranked[row].candidate_scores, abs=1e-4)
    for beams in (1, 4):
        answers = [p.text for p in generate(model, many, tiny.Letters(), wanted, beams)]
        for row in range(0, 64, 5):
            (alone,) = generate(model, single(many, row), tiny.Letters(), wanted, beams)
            assert alone.text == answers[row]
        assert len({len(a.split()) for a in answers}) > 1, "answers of several lengths"


def test_generation_stops_where_the_entry_says_and_restores_the_mode(case: Any) -> None:
    family, model = case
    short = dataclasses.replace(entry("coco_caption"), max_new_tokens=2)
    model.train()
    predictions = generate(model, tiny.batch(family), tiny.Letters(), short, 1)
    assert max(len(p.text.split()) for p in predictions) <= 2
    assert model.training
    assert model.hf.qformer.training
    model.eval()


def test_the_instruction_changes_the_answer_through_the_prompt(case: Any) -> None:
    family, model = case
    batch = tiny.batch(family)
    other = dataclasses.replace(batch, prompt_ids=(batch.prompt_ids + 11) % 90 + 3)
    wanted = entry("vqav2")
    assert [p.text for p in generate(model, batch, tiny.Letters(), wanted, 1)] != [
        p.text for p in generate(model, other, tiny.Letters(), wanted, 1)
    ]

"""Generation and ranking: brute force, batch sizes, shared beginnings, passes, ties."""

import dataclasses
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import tiny
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from workbench.batch import Batch
from workbench.config import Model
from workbench.data.catalog import entry
from workbench.evaluate.generate import generate
from workbench.evaluate.rank import ABSENT, candidate_scores, plant, rank
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


def with_candidates(family: tiny.Family, ranked: list[list[list[int]]], seed: int = 0) -> Batch:
    """A batch of as many rows as `ranked` has, each with the given candidates' tokens."""
    batch = tiny.batch(family, rows=len(ranked), seed=seed, candidates=tuple(map(len, ranked)))
    ids, mask = tiny.padded([tokens for row in ranked for tokens in row])
    return dataclasses.replace(batch, candidate_ids=ids, candidate_mask=mask)


def beginnings(ranked: list[list[list[int]]]) -> set[tuple[int, ...]]:
    """The trie's nodes by definition: owner and tokens of everything that a token follows."""
    return {
        (row, *tokens[:k])
        for row, candidates in enumerate(ranked)
        for tokens in candidates
        for k in range(1, len(tokens))
    }


@contextmanager
def computed(model: InstructBlip, batch: Batch) -> Iterator[list[torch.Tensor]]:
    """The ids (R, N) of every pass of the decoder over candidates while the block runs."""
    passes: list[torch.Tensor] = []

    def keep(module: Any, args: Any, kwargs: dict[str, Any]) -> None:
        if "input_ids" in kwargs:  # Llama reads the prefix as embeddings
            passes.append(kwargs["input_ids"])

    hook = model.hf.language_model.get_decoder().register_forward_pre_hook(keep, with_kwargs=True)
    try:
        yield passes
    finally:
        hook.remove()
    if model.hf.language_model.config.is_encoder_decoder:
        start = passes.pop(0)  # T5 reads its start token
        assert start.shape == (len(batch), 1)


TOP, BOTTOM, LEFT, RIGHT, RED, DOG = range(10, 16)
PHRASES = [
    [TOP, LEFT, tiny.END],
    [BOTTOM, LEFT, tiny.END],
    [RED, tiny.END],
    [TOP, RIGHT, tiny.END],
    [RED, DOG, tiny.END],
    [RED, DOG],  # the beginning of another
    [RED, DOG, tiny.END],  # another text of the same tokens
    [tiny.END],  # the empty text
    [BOTTOM, RIGHT, RED, DOG, tiny.END],
]
TOKENS = st.lists(st.integers(3, 5), min_size=1, max_size=5)
ROWS = st.lists(st.lists(TOKENS, min_size=1, max_size=8), min_size=1, max_size=3)


@settings(max_examples=30, deadline=None)
@given(ranked=ROWS, at_once=st.sampled_from([1, 2, 5, 128]), seed=st.integers(0, 9))
def test_any_candidates_score_as_each_alone(
    case: Any, ranked: list[list[list[int]]], at_once: int, seed: int
) -> None:
    family, model = case
    batch = with_candidates(family, ranked, seed)
    expected = torch.tensor(brute_force(model, batch))
    torch.testing.assert_close(candidate_scores(model, batch, at_once), expected, rtol=1e-5, atol=1e-5)


def test_ranking_under_bf16_autocast_stays_near_fp32(case: Any) -> None:
    family, model = case
    batch = with_candidates(family, [PHRASES, PHRASES[:4]])
    exact = candidate_scores(model, batch)
    with torch.autocast("cpu", torch.bfloat16):
        rounded = candidate_scores(model, batch)
    assert rounded.dtype == torch.float32
    torch.testing.assert_close(rounded, exact, rtol=0.02, atol=0.05)
    assert not torch.equal(rounded, exact), "autocast had no effect"


@pytest.mark.parametrize("rows", [1, 64])
def test_a_vocabulary_for_all_rows_scores_as_each_candidate_alone(case: Any, rows: int) -> None:
    family, model = case
    batch = with_candidates(family, [PHRASES] * rows)
    scores = candidate_scores(model, batch).view(rows, len(PHRASES))
    for row in range(0, rows, 21):
        expected = torch.tensor(brute_force(model, single(batch, row)))
        torch.testing.assert_close(scores[row], expected, rtol=1e-5, atol=1e-5)
    assert scores.std(dim=1).min() > 1
    assert torch.equal(scores[:, 4], scores[:, 6]), "the same tokens, the same score to the last bit"


@pytest.mark.parametrize("rows", [1, 64])
def test_every_distinct_beginning_is_computed_once(case: Any, rows: int) -> None:
    family, model = case
    batch = with_candidates(family, [PHRASES] * rows)
    nodes = beginnings([PHRASES])
    assert len(nodes) == 10, "top, bottom, red, top left, top right, ..."
    with computed(model, batch) as passes:
        candidate_scores(model, batch)
    tokens = torch.cat([ids[ids != tiny.PAD] for ids in passes])
    expected = torch.tensor([node[-1] for node in nodes]).repeat(rows)
    assert torch.equal(tokens.bincount(), expected.bincount())


@pytest.mark.parametrize(("at_once", "again"), [(3, 0), (2, 2), (1, 5)])
def test_a_pass_ends_between_first_tokens_where_it_can(case: Any, at_once: int, again: int) -> None:
    """At most three phrases here begin alike; smaller passes have to compute beginnings again."""
    family, model = case
    phrases = [PHRASES[i] for i in (3, 4, 2, 0, 1, 8, 6, 7)]
    batch = with_candidates(family, [phrases])
    with computed(model, batch) as passes:
        candidate_scores(model, batch, at_once)
    assert sum(ids.numel() for ids in passes) == len(beginnings([phrases])) + again


def test_ragged_trees_are_padded_but_for_their_longest(case: Any) -> None:
    family, model = case
    ranked = [PHRASES, PHRASES[2:3], PHRASES[7:8], PHRASES[:2]]
    batch = with_candidates(family, ranked)
    with computed(model, batch) as passes:
        candidate_scores(model, batch)
    assert [tuple(ids.shape) for ids in passes] == [(4, len(beginnings([PHRASES])))]


def test_a_node_sees_its_ancestors_and_itself() -> None:
    """Two trees: "a b", "a c d" and "e"; then "a"."""
    a, b, c, d, e = range(5, 10)
    tokens = [[a, b, ABSENT], [a, c, d], [e, ABSENT, ABSENT], [a, ABSENT, ABSENT]]
    trees, node = plant(torch.tensor([0, 0, 0, 1]), torch.tensor(tokens))
    assert trees.ids[0].tolist() == [a, b, c, d, e]
    assert trees.ids[1, 0] == a
    assert trees.mask.sum(dim=1).tolist() == [5, 1]
    assert trees.lengths.tolist() == [[1, 2, 2, 3, 1], [1, 0, 0, 0, 0]]
    assert [row.nonzero()[:, 0].tolist() for row in trees.sees[0]] == [[0], [0, 1], [0, 2], [0, 2, 3], [4]]
    assert node[0, :2].tolist() == [0, 1]
    assert node[1].tolist() == [0, 2, 3]
    assert [node[2, 0], node[3, 0]] == [4, 5]


@pytest.mark.parametrize("frames", [1, 4])
def test_ranking_is_brute_force(case: Any, frames: int) -> None:
    family, model = case
    batch = tiny.batch(family, rows=4, frames=frames, candidates=(3, 1, 5))
    expected = torch.tensor(brute_force(model, batch))
    torch.testing.assert_close(candidate_scores(model, batch), expected, rtol=1e-5, atol=1e-5)
    for chunk in (1, 2, 5):
        torch.testing.assert_close(candidate_scores(model, batch, chunk), expected, rtol=1e-5, atol=1e-5)


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
    for beams, penalty in ((1, 1.0), (4, 1.0), (1, 1.5), (4, 1.5)):
        answers = [p.text for p in generate(model, many, tiny.Letters(), wanted, beams, penalty)]
        for row in range(0, 64, 5):
            (alone,) = generate(model, single(many, row), tiny.Letters(), wanted, beams, penalty)
            assert alone.text == answers[row], (beams, penalty)
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


def test_a_repetition_penalty_makes_said_words_rarer(case: Any) -> None:
    family, model = case
    batch, asked = tiny.batch(family, rows=8), dataclasses.replace(entry("vqav2"), max_new_tokens=12)

    def repeated(penalty: float) -> int:
        said = [p.text.split() for p in generate(model, batch, tiny.Letters(), asked, 1, penalty)]
        return sum(len(words) - len(set(words)) for words in said)

    assert repeated(1.0) > repeated(50.0)
    own = dataclasses.replace(asked, repetition_penalty=50.0)
    plain = [p.text for p in generate(model, batch, tiny.Letters(), own, 1)]
    assert plain == [p.text for p in generate(model, batch, tiny.Letters(), asked, 1)], "none is asked for"
    least = [p.text for p in generate(model, batch, tiny.Letters(), own, 1, 1.5)]
    assert least == [p.text for p in generate(model, batch, tiny.Letters(), asked, 1, 50.0)]

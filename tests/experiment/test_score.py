"""Examinations: every dataset, with and without the picture, and metrics that can change alone."""

from __future__ import annotations

import shutil

import pandas as pd
import pytest
from filelock import FileLock
from small_world import CONFIG

from workbench import files
from workbench.config import changed
from workbench.data import encoder
from workbench.data.catalog import SCORED
from workbench.experiment import answers as answering
from workbench.experiment import record
from workbench.experiment import score as scoring
from workbench.experiment.answers import WEIGHTS
from workbench.experiment.fit import fit, settings_hash
from workbench.experiment.record import Record, RunError
from workbench.experiment.score import assist, read_scores, score, signed
from workbench.report.outputs import PREDICTION_COLUMNS
from workbench.stages import evaluate

EVERY = [entry.name for entry in SCORED]


@pytest.fixture(scope="module")
def examined(world, tmp_path_factory):
    """The start itself, examined once."""
    home = tmp_path_factory.mktemp("examined")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DVC_ROOT", str(home))
        return score(CONFIG, "blip2", world)


def test_every_dataset_is_scored_with_and_without_the_picture(examined):
    scores = read_scores(examined)
    assert {(s["dataset"], s["blind"]) for s in scores} == {(n, b) for n in EVERY for b in (True, False)}
    assert all(s["n"] == CONFIG.data.eval_examples for s in scores)
    predictions = pd.read_parquet(examined / "predictions.parquet")
    assert set(PREDICTION_COLUMNS) <= set(predictions.columns)
    assert len(predictions) == 2 * len(EVERY) * CONFIG.data.eval_examples
    ranked = predictions[predictions["dataset"] == "visdial"].iloc[0]
    assert len(ranked["candidate_scores"]) == len(ranked["candidates"])
    assert ranked["prediction"] in ranked["candidates"]


def test_aokvqa_is_asked_again_without_the_choices(examined):
    answers = pd.read_parquet(examined / "predictions.parquet").query("not blind").set_index("example_id")
    chosen, said = (answers[answers["dataset"] == name] for name in ("aokvqa", "aokvqa_direct"))
    assert list(chosen.index) == list(said.index)
    for (_, one), (_, other) in zip(chosen.iterrows(), said.iterrows(), strict=True):
        assert one["prediction"] in one["candidates"]
        assert all(choice in one["instruction"] for choice in one["candidates"])
        question = one["instruction"].removeprefix("Question: ").partition(" Options:")[0]
        assert other["instruction"] == f"Question: {question} Short answer:"
        assert len(other["references"]) == 10
        assert not len(other["candidates"])


def test_scores_follow_from_the_predictions(examined):
    predictions = pd.read_parquet(examined / "predictions.parquet")
    for line in read_scores(examined):
        if line["metric"] != "auc":
            part = predictions[
                (predictions["dataset"] == line["dataset"]) & (predictions["blind"] == line["blind"])
            ]
            assert line["value"] == pytest.approx(part["score"].mean())


def test_the_record_says_what_it_took(examined):
    made = Record.read(examined)
    assert (made.kind, made.name) == ("evaluate", "blip2")
    assert made.cost.seconds > 0
    assert made.cost.flops > 0
    assert made.cost.peak_memory_bytes > 1e6
    assert made.hashes["weights"] == ""


def test_an_edit_of_the_code_that_encodes_pictures_is_another_examination(world, monkeypatch):
    before = signed(CONFIG, "blip2", world, None)
    monkeypatch.setattr(encoder, "_CODE", ("workbench.data.images",))
    after = signed(CONFIG, "blip2", world, None)
    assert {key for key in before if before[key] != after[key]} == {"encoder"}


def test_after_an_edit_of_a_metric_nothing_is_answered_again(examined, world, monkeypatch):
    monkeypatch.setenv("DVC_ROOT", str(examined.parent.parent))
    monkeypatch.setattr(scoring, "materials", None)  # would be called to answer anything
    assert score(CONFIG, "blip2", world) == examined
    before = (examined / "scores.jsonl").stat().st_mtime_ns
    monkeypatch.setattr(record, "metrics_hash", lambda suite: "edited")
    assert score(CONFIG, "blip2", world) == examined
    assert (examined / "scores.jsonl").stat().st_mtime_ns > before
    assert Record.read(examined).hashes["metrics"] == "edited"


def test_a_killed_examination_goes_on_where_it_was(examined, world, home, monkeypatch):
    folder = home / "runs" / examined.name
    shutil.copytree(examined / "answers", folder / "answers")
    (folder / "answers/gqa.parquet").unlink()
    asked = []
    ask = scoring._ask
    monkeypatch.setattr(scoring, "_ask", lambda *given: asked.append(given[-2]) or ask(*given))
    assert score(CONFIG, "blip2", world) == folder
    assert asked == ["gqa"]
    again = pd.read_parquet(folder / "predictions.parquet")
    pd.testing.assert_frame_equal(again, pd.read_parquet(examined / "predictions.parquet"))


def test_blip2_reads_no_instruction_and_a_published_instructblip_does(examined, world, monkeypatch):
    assert not Record.read(examined).config["model"]["instruction_aware"]
    unaware = changed(CONFIG, {"model.instruction_aware": False, "model.unaware_form": "drop"})
    assert signed(CONFIG, "blip2", world, None) == signed(unaware, "blip2", world, None)
    assert record.as_asked(CONFIG, "instruct") == CONFIG
    tuned = ("Salesforce/instructblip-flan-t5-xl", "w/instruct_blip_flanxl_trimmed.pth", "a/best.safetensors")
    for name in tuned:
        start = changed(CONFIG, {"model.checkpoint": ["Salesforce/blip2-flan-t5-xl", name]})
        assert record.as_asked(start, "blip2") == start
    above = changed(CONFIG, {"model.checkpoint": ["/home/instructblip/blip2_pretrained.pth"]})
    assert not record.as_asked(above, "blip2").model.instruction_aware


def test_weights_that_find_no_room_are_named(world, tmp_path, monkeypatch):
    def full(tensors, path):
        path.write_bytes(b"half of it")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(answering, "save_file", full)
    with pytest.raises(RunError, match=r"best.safetensors could not be written .* make room"):
        answering.save_weights(tmp_path / WEIGHTS, {})
    assert not list(tmp_path.iterdir())


def test_a_helper_goes_from_the_last_dataset_back_to_one_that_is_being_asked(
    examined, world, home, monkeypatch
):
    answered = home / "runs" / examined.name / "answers"
    shutil.copytree(examined / "answers", answered)
    third, second, last = EVERY[-3:]
    for name in (third, second, last):
        (answered / f"{name}.parquet").unlink()
    asked = []
    ask = scoring._ask
    monkeypatch.setattr(scoring, "_ask", lambda *given: asked.append(given[-2]) or ask(*given))
    with FileLock(answered / f".{third}.lock"):
        assist(CONFIG, "blip2", world, None)
    assert asked == [last, second]
    folder = score(CONFIG, "blip2", world)
    assert asked == [last, second, third]
    again = pd.read_parquet(folder / "predictions.parquet")
    pd.testing.assert_frame_equal(again, pd.read_parquet(examined / "predictions.parquet"))
    assist(CONFIG, "blip2", world, None)
    assert asked == [last, second, third]


def test_the_official_suite_is_another_examination_with_room_for_its_answers(world, monkeypatch):
    room = []

    def noted(model, collator, row, examples, **more):
        room.append((row.name, row.max_new_tokens))
        return answers(model, collator, row, examples, **more)

    answers = scoring.answers
    monkeypatch.setattr(scoring, "answers", noted)
    wanted = {"evaluate.datasets": ["ocrvqa"], "evaluate.blind": False}
    micro = score(changed(CONFIG, wanted), "blip2", world)
    official = score(changed(CONFIG, wanted | {"suite": "official"}), "blip2", world)
    assert list(dict.fromkeys(room)) == [("ocrvqa", 8), ("ocrvqa", 32)]
    assert Record.read(micro).hashes["catalogue"] != Record.read(official).hashes["catalogue"]


def test_tags_are_shown_only_to_the_row_that_asks_with_them(world):
    asked = changed(CONFIG, {"evaluate.datasets": ["vqav2"], "evaluate.blind": False})
    tuned = fit(changed(CONFIG, {"train.steps": 3}), "multitask_tagged", world)
    instructions = {}
    for row in ("multitask_tagged", "multitask_tagged_tags"):
        folder = score(asked, row, world, tuned)
        (instructions[row], *_) = pd.read_parquet(folder / "predictions.parquet")["instruction"]
    assert instructions["multitask_tagged_tags"].startswith("[")
    assert not instructions["multitask_tagged"].startswith("[")


def test_a_model_without_the_text_path_is_examined_too(world):
    unaware = {"model.instruction_aware": False, "evaluate.datasets": ["vqav2"]}
    folder = score(changed(CONFIG, unaware), "blip2", world)
    assert Record.read(folder).cost.flops > 0


def test_the_stage_examines_what_was_tuned_with_these_parameters_of_this_start_alone(world, tmp_path):
    (tmp_path / "backbones").symlink_to(world / "backbones")
    folder = tmp_path / "outputs/tune/instruct"
    files.write_text(folder / WEIGHTS, "weights")
    hashes = {
        "config": settings_hash(CONFIG, world),
        "start": record.folder_hash(record.start_folder(CONFIG, world)),
    }

    def published(hashes):
        result = {"weights_sha256": files.file_sha256(folder / WEIGHTS)}
        cost = record.Cost(0.0, 0.0, 0)
        Record("tune", "instruct", "s", "micro", 1, {}, hashes, cost, {}, result).write(folder)

    published(hashes)
    assert evaluate.tuned(CONFIG, tmp_path, "instruct") == folder
    with pytest.raises(RunError, match=r"with other parameters.*run `workbench tune instruct` first"):
        evaluate.work(changed(CONFIG, {"model.instruction_aware": False}), tmp_path, "instruct")
    published(hashes | {"start": "another"})
    with pytest.raises(RunError, match=r"of another start.*run `workbench tune instruct` first"):
        evaluate.work(CONFIG, tmp_path, "instruct")
    (folder / WEIGHTS).unlink()
    with pytest.raises(RunError, match="run `workbench tune instruct` first"):
        evaluate.work(CONFIG, tmp_path, "instruct")


def test_weights_of_another_model_are_refused(world, monkeypatch):
    tuned = fit(changed(CONFIG, {"train.steps": 3}), "instruct", world)
    with pytest.raises(RunError, match="use the model section"):
        score(changed(CONFIG, {"model.num_query_tokens": 2}), "instruct", world, tuned)
    (tuned / WEIGHTS).write_bytes(b"torn")
    with pytest.raises(RunError, match="cannot be read"):
        score(CONFIG, "instruct", world, tuned)
    with pytest.raises(RunError, match="run the stage tune first"):
        score(CONFIG, "instruct", world, tuned / "nowhere")

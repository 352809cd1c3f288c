"""A tuning run: made once, resumed to the same bits, and kept apart from every other."""

from __future__ import annotations

import multiprocessing
import os
import shutil
import signal
from pathlib import Path

import pandas as pd
import pytest
import small_world
import torch
from accelerate.state import AcceleratorState
from safetensors.torch import load_file
from small_world import CONFIG

from workbench import code, files, tracking
from workbench.config import changed
from workbench.data.catalog import BY_NAME
from workbench.data.encoder import Encoder, encode
from workbench.data.features import FeatureStoreError
from workbench.data.templates import TemplateError
from workbench.experiment import fit as fitting
from workbench.experiment import record, sample
from workbench.experiment.answers import WEIGHTS
from workbench.experiment.curve import read_curve
from workbench.experiment.fit import fit, signed
from workbench.experiment.operations import Operations
from workbench.experiment.record import Record, RunError
from workbench.train.checkpoint import CheckpointError


def measured(folder: Path) -> list[dict]:
    """The curve without what a clock had to do with."""
    clock = {"seconds", "examples_per_second"}
    return [{k: v for k, v in point.items() if k not in clock} for point in read_curve(folder)]


@pytest.fixture(scope="module")
def tuned(world, tmp_path_factory):
    """A run of CONFIG that nothing stopped, in a home of its own; never written to by a test."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DVC_ROOT", str(tmp_path_factory.mktemp("tuned")))
        return fit(CONFIG, "instruct", world)


def test_a_run_leaves_a_record_and_is_never_made_again(tuned, world, monkeypatch):
    folder, home = tuned, tuned.parents[1]
    monkeypatch.setenv("DVC_ROOT", str(home))
    made = Record.read(folder)
    assert folder == home / "runs" / made.signature
    assert (made.kind, made.name, made.seed, made.suite) == ("tune", "instruct", 1, "micro")
    assert made.cost.flops > 0
    assert made.cost.seconds > 0
    assert sum(made.examples.values()) == CONFIG.train.steps * CONFIG.train.batch_size
    assert [point["step"] for point in read_curve(folder)] == [1, 2, 3, 4, 5, 6]
    validated = {point["step"]: point for point in read_curve(folder) if "val/vqav2" in point}
    assert list(validated) == [3, 6]
    assert_shown(folder, made, validated[made.result["best_step"]])
    monkeypatch.setattr(fitting, "train", None)
    assert fit(CONFIG, "instruct", world) == folder


def assert_shown(folder: Path, made: Record, best: dict) -> None:
    """MLflow shows a training in words: answers and scores of the validation that chose its weights."""
    table = (folder / sample.TABLE).read_text()
    assert f"instruct, validation at step {best['step']}" in table
    said = pd.read_csv(folder / sample.SAMPLE)
    for name in made.examples:
        assert f"| {name} | {BY_NAME[name].metric} | {best[f'val/{name}']:.1f} |" in table
        assert 1 <= (said["dataset"] == name).sum() <= sample.SAMPLED


def test_a_finished_run_without_its_weights_is_refused_with_what_to_delete(world):
    config = changed(CONFIG, {"train.steps": 2})
    folder = fit(config, "instruct", world)
    (folder / WEIGHTS).write_bytes(b"torn")
    for _ in range(2):
        with pytest.raises(RunError, match=rf"{WEIGHTS} is not.*delete the folder {folder} and run again"):
            fit(config, "instruct", world)
        (folder / WEIGHTS).unlink(missing_ok=True)


def test_crops_are_another_run_that_resumes_to_the_same_bits(tuned, world):
    plain = tuned
    config = changed(CONFIG, {"data.training_crop": True})
    whole = fit(config, "instruct", world)
    assert whole != plain
    first, cropped = read_curve(plain)[0], read_curve(whole)[0]
    assert first["loss"] != cropped["loss"]
    more = Record.read(whole).cost.flops - Record.read(plain).cost.flops
    steps, pictures = CONFIG.train.steps, CONFIG.train.batch_size
    encoder = Encoder.open(world / "backbones/micro/vision").load()
    encoder.set_attn_implementation("eager")
    with Operations() as counter:
        encode(encoder, torch.zeros(pictures, 3, 64, 64))
    assert more == steps * counter.total > 0, "pictures are encoded in each step"
    kept, curve = load_file(whole / WEIGHTS), measured(whole)
    shutil.rmtree(whole)

    class Killed(Exception):
        pass

    def stop(step, point):
        if step == 5:
            raise Killed

    with pytest.raises(Killed):
        fit(config, "instruct", world, watch=stop)
    again = fit(config, "instruct", world)
    assert measured(again) == curve
    assert all((load_file(again / WEIGHTS)[name] == kept[name]).all() for name in kept)


@pytest.mark.parametrize(
    ("text", "message"),
    [(None, "does not exist"), ("vqa: ['{question}']", "no templates for"), ("vqa: [", "not valid YAML")],
)
def test_templates_that_cannot_be_used_are_named_before_anything_is_trained(world, text, message):
    path = world / "mine.yaml"
    path.unlink(missing_ok=True)
    if text is not None:
        path.write_text(text)
    with pytest.raises(TemplateError, match=rf"mine\.yaml.*{message}"):
        signed(changed(CONFIG, {"data.templates": "mine.yaml"}), "instruct", world)


def test_validation_asks_as_many_at_once_as_training_reads(world, monkeypatch):
    asked = []

    def noted(model, collator, row, *given, batch_size, **more):
        asked.append((batch_size, row is BY_NAME[row.name]))
        return answers(model, collator, row, *given, batch_size=batch_size, **more)

    answers = fitting.answers
    monkeypatch.setattr(fitting, "answers", noted)
    fit(changed(CONFIG, {"train.accumulate_steps": 2, "train.steps": 2}), "instruct", world)
    assert set(asked) == {(2, True)}


def test_validation_of_the_official_suite_leaves_room_for_its_answers(world, monkeypatch):
    room = {}

    def noted(model, collator, row, *given, **more):
        room[row.name] = row.max_new_tokens
        return answers(model, collator, row, *given, **more)

    answers = fitting.answers
    monkeypatch.setattr(fitting, "answers", noted)
    wanted = {"suite": "official", "data.held_in": ["ocrvqa"], "train.steps": 2}
    fit(changed(CONFIG, wanted), "instruct", world)
    assert room == {"ocrvqa": 32}


def die_at(world: Path, home: Path, step: int) -> None:
    os.environ["DVC_ROOT"] = str(home)
    save = fitting._Run.save

    def save_and_die(self: fitting._Run, at: int) -> None:
        if at >= step:
            os.kill(os.getpid(), signal.SIGKILL)
        save(self, at)

    fitting._Run.save = save_and_die
    fit(CONFIG, "instruct", world)


def test_a_killed_run_ends_with_the_same_bits(tuned, world, home):
    """Killed after steps 4 and their points are written but before their checkpoint is."""
    child = multiprocessing.get_context("spawn").Process(target=die_at, args=(world, home, 4))
    child.start()
    child.join()
    assert child.exitcode == -signal.SIGKILL
    (folder,) = (home / "runs").iterdir()
    assert not (folder / record.RECORD).exists()
    assert len(read_curve(folder)) == 4
    assert fit(CONFIG, "instruct", world) == folder
    assert measured(folder) == measured(tuned)
    assert (folder / WEIGHTS).read_bytes() == (tuned / WEIGHTS).read_bytes()
    assert Record.read(folder).examples == Record.read(tuned).examples
    events = tracking._read(home / "spool" / f"{folder.name}.jsonl")
    assert [event["step"] for event in events if event["event"] == "metrics"] == [1, 2, 3, 4, 5, 6]


@pytest.mark.parametrize(
    "changes",
    [
        {"train.seed": 2},
        {"model.instruction_aware": False},
        {"data.sampling": "uniform"},
        {"data.held_in": ["vqav2", "okvqa"]},
        {"train.steps": 7},
    ],
)
def test_what_touches_tuning_changes_the_signature(world, changes):
    assert signed(changed(CONFIG, changes), "instruct", world) != signed(CONFIG, "instruct", world)


def test_what_concerns_evaluation_or_tracking_does_not(world):
    other = changed(CONFIG, {"evaluate.num_beams": 5, "evaluate.split": "val", "tracking.experiment": "x"})
    assert signed(other, "instruct", world) == signed(CONFIG, "instruct", world)


def test_metrics_and_data_sources_are_no_part_of_the_code_hash():
    reached = code.closure("workbench.experiment.fit", without=record.PLUMBING | record._metric_modules())
    names = [code.name_of(path) for path in reached]
    assert "workbench.train.loop" in names
    assert not [name for name in names if ".metrics" in name or ".sources" in name or "tracking" in name]


@pytest.mark.parametrize("form", ["drop", "constant"])
def test_unaware_models_are_tuned_too(world, form):
    config = changed(CONFIG, {"model.instruction_aware": False, "model.unaware_form": form, "train.steps": 3})
    assert Record.read(fit(config, "multitask_tagged", world)).result["best_step"] == 3


def test_a_subset_of_the_datasets_ignores_factors_of_the_others(world):
    folder = fit(changed(CONFIG, {"data.held_in": ["vqav2"], "train.steps": 3}), "multitask_plain", world)
    assert Record.read(folder).result["probabilities"] == {"vqav2": 1.0}


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"data.held_in": ["gqa"]}, "data.held_in names gqa, which is held out"),
        ({"data.held_in": ["vqav3"]}, "did you mean 'vqav2'"),
        ({"data.downstream": "gqa"}, "data.downstream is gqa, which has no training examples"),
        ({"model.start": "backbones/none"}, "check model.start"),
        ({"data.factors": {"vqa": 2.0}}, "data.factors names vqa"),
    ],
)
def test_what_does_not_exist_is_named(world, changes, says):
    with pytest.raises(ValueError, match=says):
        fit(changed(CONFIG, changes), "instruct", world)


def test_fine_tuning_begins_with_the_weights_of_an_earlier_run(tuned, world, home):
    earlier = shutil.copytree(tuned, home / "runs" / tuned.name)
    config = changed(CONFIG, {"data.downstream": "scienceqa", "train.steps": 3})
    first = []
    from_start = fit(config, "instruct", world, watch=lambda step, point: first.append(point["loss"]))
    from_tuned = fit(config, "instruct", world, earlier, lambda step, point: first.append(point["loss"]))
    assert from_start != from_tuned
    assert from_tuned.name == files.digest(signed(config, "instruct", world, earlier.name))
    assert Record.read(from_tuned).examples == {"scienceqa": 12}
    assert first[0] != first[3]  # the same first batch, read by other weights
    (earlier / WEIGHTS).unlink()
    with pytest.raises(RunError, match="cannot be read"):
        fit(changed(config, {"train.seed": 2}), "instruct", world, earlier)


def test_a_watcher_ends_a_run_and_the_next_call_goes_on(world, home):
    seen = []

    def impatient(step, point):
        seen.append(step)
        if "val" in point:
            raise tracking.Stopped

    with pytest.raises(tracking.Stopped):
        fit(CONFIG, "instruct", world, watch=impatient)
    assert seen == [1, 2, 3]
    (folder,) = (home / "runs").iterdir()
    assert not (folder / record.RECORD).exists()
    events = tracking._read(home / "spool" / f"{folder.name}.jsonl")
    assert events[-1]["status"] == "KILLED"
    fit(CONFIG, "instruct", world, watch=lambda step, point: seen.append(step))
    assert seen == [1, 2, 3, 3, 4, 5, 6]  # the checkpoint is of step 2


@pytest.fixture
def copy(world, tmp_path):
    """A world to damage."""
    return Path(shutil.copytree(world, tmp_path / "world"))


def test_missing_inputs_name_their_stage(copy):
    shutil.rmtree(copy / "data/features")
    with pytest.raises(RunError, match="run the stage features"):
        fit(CONFIG, "instruct", copy)


def test_a_damaged_feature_store_is_refused(copy):
    store = copy / "data/features/features.f16"
    content = bytearray(store.read_bytes())
    content[-1] ^= 1
    store.write_bytes(content)
    with pytest.raises(FeatureStoreError, match="checksum"):
        fit(CONFIG, "instruct", copy)


def test_a_checkpoint_of_another_configuration_is_refused(tuned, world, home):
    signature = record.files.digest(signed(changed(CONFIG, {"train.seed": 2}), "instruct", world))
    shutil.copytree(tuned / "checkpoint", home / "runs" / signature / "checkpoint")
    with pytest.raises(CheckpointError, match="belongs to run"):
        fit(changed(CONFIG, {"train.seed": 2}), "instruct", world)


def test_the_saved_weights_are_the_trained_ones_alone(tuned):
    saved = load_file(tuned / WEIGHTS)
    assert saved
    assert all(
        name.startswith(("qformer.", "query_tokens", "language_projection.", "vision_model.post_layernorm."))
        for name in saved
    )


def test_two_runs_of_a_configuration_are_equal(tuned, world, monkeypatch):
    """Whatever the environment or the user's `accelerate config` says about precision and accumulation."""
    AcceleratorState._reset_state(reset_partial_state=True)
    monkeypatch.setenv("ACCELERATE_MIXED_PRECISION", "fp16")
    monkeypatch.setenv("ACCELERATE_GRADIENT_ACCUMULATION_STEPS", "4")
    again = fit(CONFIG, "instruct", world)
    assert again != tuned
    assert measured(again) == measured(tuned)
    assert small_world.CONFIG == CONFIG

"""A study of the tiny world through the real stages: trained, examined, collected, and only once."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import small_world
import yaml

from workbench import code, files, tracking
from workbench.config import changed, load
from workbench.experiment.answers import WEIGHTS
from workbench.experiment.curve import read_curve
from workbench.experiment.record import RECORD, RunError
from workbench.experiment.score import RESULTS
from workbench.search import grid
from workbench.search.ablate import _spread, ablate
from workbench.search.cells import OnDisk, standing
from workbench.search.plan import lines, plan
from workbench.search.study import Arm, Study, StudyError
from workbench.search.study import cells as cells_of
from workbench.surroundings import host_of, own_identity
from workbench.verify import copies

STUDY = """
from workbench.search.study import Arm, Claim, Study
STUDY = Study(
    name="tiny", question="Is tuned better?", baseline="tuned",
    arms=[Arm("start", row="blip2"), Arm("tuned"), Arm("unaware", {"model.instruction_aware": False})],
    claims=[Claim("tuning", "tuned", "start", "held_out", 1.0, primary=True)],
)
"""
FEW = {"data.held_in": ["vqav2", "okvqa"], "evaluate.datasets": ["vqav2", "gqa", "vsr"]}
CONFIG = changed(small_world.CONFIG, FEW)  # all datasets: test_score.py, test_smoke.py
NAMES = ["start@101", "tuned@101", "unaware@101", "start@102", "tuned@102", "unaware@102"]


@pytest.fixture(scope="module")
def patch():
    with pytest.MonkeyPatch.context() as made:
        yield made


@pytest.fixture(scope="module")
def repository(tmp_path_factory, patch):
    """Two arms and the start, two seeds; run once."""
    root = small_world.write(tmp_path_factory.mktemp("repository"))
    (root / "params.yaml").write_text(yaml.safe_dump(CONFIG.to_dict()))
    (root / "experiments/tiny").mkdir(parents=True)
    (root / "experiments/tiny/study.py").write_text(STUDY)
    patch.chdir(root)
    patch.delenv("DVC_ROOT", raising=False)
    patch.setenv("PYTHONPATH", str(code.PACKAGE.parent))
    return root


def run(root: Path, seeds: str = "2") -> dict:
    folder = ablate(load(root / "params.yaml"), root, "tiny", seeds, workers=2)
    return json.loads((folder / "cells.json").read_text())


@pytest.fixture(scope="module")
def before(repository):
    """The plan when nothing has run."""
    return plan(load(repository / "params.yaml"), repository, "tiny", "2", workers=2)


@pytest.fixture(scope="module")
def cells(repository, before):
    return run(repository)


def test_before_a_first_run_the_plan_counts_and_says_what_it_does_not_know(before):
    assert [(arm.arm, arm.cells, arm.recorded, arm.trainings) for arm in before.arms] == [
        ("start", 2, 0, 0), ("tuned", 2, 0, 2), ("unaware", 2, 0, 2)
    ]  # fmt: skip
    assert [arm.examinations for arm in before.arms] == [1, 2, 2], "the start has no seed"
    assert before.arms[1].tune_flops > 0
    assert before.hours is None
    text = "\n".join(lines(before))
    assert "counted on the first batch, not measured: tuning of tuned, unaware" in text
    assert "6 cells, 0 recorded; missing: 4 trainings, 5 examinations" in text
    assert "expected hours: unknown, because no training and no examination is recorded here yet" in text


def test_every_cell_is_listed_with_what_a_report_needs(cells, repository):
    assert [f"{cell['arm']}@{cell['seed']}" for cell in cells["cells"]] == NAMES
    assert (cells["missing"], cells["seeds"], cells["development"]) == ([], [101, 102], False)
    assert cells["claims"][0]["better"] == "tuned"
    start, tuned, unaware, *_ = cells["cells"]
    assert unaware["changes"] == {"model.instruction_aware": False}
    assert (start["tune"], set(start["cost"])) == (None, {"evaluate"})
    assert set(tuned["cost"]) == {"evaluate", "tune"}
    assert tuned["cost"]["tune"]["flops"] > 0
    assert tuned["mlflow"] == {}, "tracking is away in the tiny world"
    for cell in cells["cells"]:
        folder = repository / "outputs/studies/tiny" / cell["folder"]
        record = json.loads((folder / RECORD).read_text())
        assert record["signature"] == cell["evaluate"]
        assert record["hashes"]["data"] == cell["data"]
        assert (folder / "tune.json").exists() == (cell["tune"] is not None)
        assert set(cell["sha256"]) == set(RESULTS)
        assert len(pd.read_parquet(folder / "predictions.parquet"))
        tuned_files = {"curve.csv"} if cell["tune"] else set()
        assert set(cell["extras"]) == {"attention.json"} | tuned_files
        assert all(files.file_sha256(folder / name) == mark for name, mark in cell["extras"].items())


def test_curves_are_those_of_the_training_with_every_validation(cells, repository):
    cell = cells["cells"][1]
    points = read_curve(repository / "runs" / cell["tune"])
    table = pd.read_csv(repository / "outputs/studies/tiny" / cell["folder"] / "curve.csv")
    assert table["step"].tolist() == [1, 2, 3, 4, 5, 6]
    assert table["loss"].tolist() == pytest.approx([point["loss"] for point in points], rel=1e-5)
    assert table["val/okvqa"].notna().sum() == sum("val" in point for point in points) == 2
    assert not [name for name in table.columns if name.startswith("drawn")]


def test_attention_moves_with_the_instruction_where_the_qformer_reads_it(cells, repository):
    place = repository / "outputs/studies/tiny"
    looked = {
        cell["arm"]: json.loads((place / cell["folder"] / "attention.json").read_text())
        for cell in cells["cells"]
    }
    aware, unaware = np.array(looked["tuned"]["maps"]), np.array(looked["unaware"]["maps"])
    assert aware.sum(axis=1) == pytest.approx([1, 1], abs=1e-4)
    assert np.abs(aware[0] - aware[1]).max() > 1e-5
    assert (unaware[0] == unaware[1]).all()
    assert len({one["image"] for one in looked.values()}) == 1, "every arm is asked about the same picture"
    assert len(set(looked["tuned"]["instructions"])) == 2


def test_seeds_are_paired_and_arms_differ(cells, repository):
    by_name = {f"{cell['arm']}@{cell['seed']}": cell for cell in cells["cells"]}
    assert by_name["start@101"]["evaluate"] == by_name["start@102"]["evaluate"], "recorded once"
    assert len({cell["evaluate"] for cell in cells["cells"]}) == 5

    def drawn(name: str) -> list:
        curve = repository / "runs" / by_name[name]["tune"] / "curve.jsonl"
        points = [json.loads(line) for line in curve.read_text().splitlines()]
        return [{k: v for k, v in point.items() if k.startswith("drawn/")} for point in points]

    assert drawn("tuned@101") == drawn("unaware@101") != drawn("tuned@102")


def test_runs_carry_study_and_arm(cells, repository):
    events = [json.loads(path.read_text().splitlines()[0]) for path in (repository / "spool").glob("*.jsonl")]
    assert {event["tags"]["study"] for event in events} == {"tiny"}
    assert {event["tags"]["arm"] for event in events} == {"start", "tuned", "unaware"}


def test_a_second_call_starts_no_worker(cells, repository, monkeypatch):
    monkeypatch.setattr(grid.Grid, "_staff", None)
    assert run(repository) == cells
    fewer = run(repository, "101,")
    assert [f"{cell['arm']}@{cell['seed']}" for cell in fewer["cells"]] == NAMES[:3]


def test_some_arms_leave_the_study_as_it_was_declared(cells, repository, monkeypatch):
    """What is recorded of the others is collected, what is not is missing; no claim goes away."""
    with monkeypatch.context() as still:
        still.setattr(grid.Grid, "_staff", None)
        base = load(repository / "params.yaml")
        folder = ablate(base, repository, "tiny", "2", workers=2, arms="tuned,unaware")
        some = json.loads((folder / "cells.json").read_text())
        assert [cell["arm"] for cell in some["cells"]] == [cell["arm"] for cell in cells["cells"]]
        assert some["claims"] == cells["claims"]
        run(repository)


def test_arms_of_a_language_model_whose_start_is_not_there_can_be_left_out(cells, repository, tmp_path):
    base = load(repository / "params.yaml")
    other = Arm("other", {"model.language_model": "llama"})
    study = Study("tiny", "?", [Arm("tuned"), other], "tuned")
    both = cells_of(study, base, [101, 102])
    for name in ("params.yaml", "runs", "data"):
        (tmp_path / name).symlink_to(repository / name)
    start = tmp_path / base.model.start
    start.mkdir(parents=True)
    for name in ("vision", "blip2-t5"):
        (start / name).symlink_to(repository / base.model.start / name)
    found = standing(both, {"tuned"}, tmp_path)
    assert {name: on_disk.done for name, on_disk in found.items()} == {"tuned@101": True, "tuned@102": True}
    with pytest.raises(ValueError, match="blip2-llama is missing or empty"):
        standing(both, {"tuned", "other"}, tmp_path)


def test_the_plan_is_of_some_arms(cells, repository):
    made = plan(load(repository / "params.yaml"), repository, "tiny", "2", workers=2, arms="tuned")
    assert [arm.arm for arm in made.arms] == ["tuned"]


def test_the_plan_afterwards_knows_hours(cells, repository):
    after = plan(load(repository / "params.yaml"), repository, "tiny", "3", workers=2)
    assert [(arm.recorded, arm.trainings, arm.examinations) for arm in after.arms] == [
        (3, 0, 0), (2, 1, 1), (2, 1, 1)
    ]  # fmt: skip
    assert after.hours > 0
    assert "counted" not in "\n".join(lines(after))


def test_copies_are_verified_against_the_runs_and_these_against_their_weights(cells, repository, monkeypatch):
    monkeypatch.setattr(grid.Grid, "_staff", None)
    run(repository)  # all of them, whatever an earlier test collected last
    listed = [SimpleNamespace(**cell | {"tune": cell["tune"] or "", "probe": ""}) for cell in cells["cells"]]
    assert copies(repository, "tiny", listed) == (
        True, "tiny: 10 records in runs/ are intact and the same"
    )  # fmt: skip
    weights = repository / "runs" / listed[1].tune / WEIGHTS
    kept = weights.read_bytes()
    weights.write_bytes(kept[:-1] + bytes([kept[-1] ^ 1]))
    try:
        with pytest.raises(ValueError, match=r"best\.safetensors is not the file of .*; delete .* and rerun"):
            copies(repository, "tiny", listed)
    finally:
        weights.write_bytes(kept)
    copy = repository / "outputs/studies/tiny/cells/tuned@101/tune.json"
    kept = copy.read_bytes()
    copy.write_bytes(kept.replace(b"101", b"102"))
    try:
        with pytest.raises(ValueError, match=r"tune\.json is not .*; run `workbench ablate tiny`"):
            copies(repository, "tiny", listed)
    finally:
        copy.write_bytes(kept)


@pytest.mark.parametrize("kind", ["tune", "evaluate"])
def test_a_record_edited_by_hand_stops_everything_and_loses_nothing(cells, repository, kind, monkeypatch):
    monkeypatch.setattr(grid.Grid, "_staff", None)
    run(repository)
    path = repository / "runs" / cells["cells"][1][kind] / RECORD
    original = path.read_text()
    path.write_text(original.replace('"seed": 101', '"seed": 109'))
    with pytest.raises(RunError, match=r"record\.json was edited after it was written.*; delete it and"):
        run(repository)
    path.write_text(original)
    assert json.loads((repository / "outputs/studies/tiny/cells.json").read_text()) == cells
    assert run(repository) == cells


def test_parameters_that_change_while_a_study_runs_end_it(cells, repository, monkeypatch):
    """The worker reads params.yaml again; a cell made with other values would not belong."""
    base = load(repository / "params.yaml")
    raw = CONFIG.to_dict()
    raw["train"]["learning_rate"] = 0.5
    shutil.copy(repository / "params.yaml", repository / "params.kept")
    (repository / "params.yaml").write_text(yaml.safe_dump(raw))
    try:
        with pytest.raises(StudyError, match=r"tuned@103: StudyError: code, data or params.yaml changed"):
            ablate(base, repository, "tiny", "103,", workers=1)
    finally:
        shutil.move(repository / "params.kept", repository / "params.yaml")


def test_who_waits_for_a_training_comes_a_seed_later_and_no_more():
    base = CONFIG
    again = Arm("again", {"evaluate.blind": not base.evaluate.blind})
    arms = [Arm("tuned"), again, Arm("start", row="blip2")]
    wanted = {cell.name: cell for cell in cells_of(Study("x", "?", arms, "tuned"), base, [101, 102, 103])}

    def found(recorded):
        made = {}
        for name, cell in wanted.items():
            training = "" if cell.arm.row == "blip2" else f"t{cell.seed}"
            key = name if training else "start"
            made[name] = OnDisk(key, training, Path() if recorded and training else None, None, None, False)
        return made

    assert _spread(wanted, found(False)) == [
        "tuned@101", "start@101", "tuned@102", "again@101", "tuned@103", "again@102", "start@102",
        "again@103", "start@103",
    ]  # fmt: skip
    trained = _spread(wanted, found(True))
    assert trained[:5] == ["tuned@101", "again@101", "start@101", "tuned@102", "again@102"]


def test_bad_input_is_refused_before_anything_runs(repository):
    base = load(repository / "params.yaml")
    with pytest.raises(StudyError, match="studies here: tiny"):
        ablate(base, repository, "tony", "1", 1)
    with pytest.raises(StudyError, match="-j 0: one worker"):
        ablate(base, repository, "tiny", "1", 0)
    with pytest.raises(StudyError, match="development seed"):
        ablate(base, repository, "tiny", "1,2", 1)
    with pytest.raises(StudyError, match="cannot be read"):
        ablate(base, repository, "tiny", "1", 1, storage="nonsense")


def test_a_call_that_is_refused_leaves_what_was_collected(cells, repository):
    collected = repository / "outputs/studies/tiny/cells.json"
    before = collected.read_bytes()
    with pytest.raises(StudyError, match="is this machine"):
        ablate(load(repository / "params.yaml"), repository, "tiny", "2", 1, reclaim=host_of(own_identity()))
    assert collected.read_bytes() == before


def test_mlflow_ids_are_listed_and_shared_runs_found_in_each_study(cells, repository, monkeypatch, tmp_path):
    """The same cells as if a second study had asked for them, with a database to find them in."""
    base = changed(load(repository / "params.yaml"), {"tracking.uri": ""})
    home = tmp_path / "home"
    monkeypatch.setenv("DVC_ROOT", str(home))
    shutil.copytree(repository / "runs", home / "runs")
    shutil.copytree(repository / "spool", home / "spool")
    tracking.tidy(home, base.tracking)
    client, _ = tracking.connect(home, base.tracking)
    folder = ablate(base, repository, "tiny", "101,", workers=1)
    tuned = json.loads((folder / "cells.json").read_text())["cells"][1]
    for kind in ("tune", "evaluate"):
        run_found = client.get_run(tuned["mlflow"][kind])
        parent = client.get_run(run_found.data.tags[tracking.PARENT])
        assert (parent.info.run_name, run_found.data.tags["study.tiny"]) == ("tiny", "tuned")
        assert run_found.data.tags["stage"] == kind
        client.delete_tag(run_found.info.run_id, tracking.PARENT)
    ablate(base, repository, "tiny", "101,", workers=1)
    assert tracking.PARENT in client.get_run(tuned["mlflow"]["tune"]).data.tags, "given to those without"

"""Steps of matched compute follow from counted operations; a count that does not fit is refused."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from workbench import code
from workbench.config import Config, ConfigError, changed, load
from workbench.search import compute, study

ROOT = code.PACKAGE.parent
BASE = changed(Config(), {"train.steps": 800})


FULL, DROP = study.Arm("full"), study.Arm("drop", {"model.instruction_aware": False})


@pytest.fixture
def folder(tmp_path):
    compute.write(tmp_path, BASE, [FULL, DROP], {"full": 3e9, "drop": 2e9})
    return tmp_path


def test_cheaper_steps_are_more(folder):
    assert compute.steps(folder, [FULL, DROP], "full", BASE) == {"full": 800, "drop": 1200}
    assert compute.steps(folder, [FULL, DROP], "drop", BASE) == {"full": 533, "drop": 800}
    seeing = replace(FULL, changes={"evaluate.blind": False})  # no training step depends on it
    assert compute.steps(folder, [seeing, DROP], "full", BASE) == {"full": 800, "drop": 1200}


def test_what_does_not_fit_is_refused_with_a_remedy(folder):
    remedy = f"run `workbench flops {folder.name}`"
    for arms, base, says in (
        ([FULL], BASE, r"other arms \(drop\)"),
        ([FULL, DROP, study.Arm("new")], BASE, r"other arms \(new\)"),
        ([FULL, replace(DROP, changes={})], BASE, "another row or other changes of drop"),
        ([replace(FULL, row="multitask_plain"), DROP], BASE, "another row or other changes of full"),
        ([FULL, DROP], changed(BASE, {"train.batch_size": 32}), "64.*but params.yaml has"),
    ):
        with pytest.raises(ConfigError, match=f"{says}.*{remedy}"):
            compute.steps(folder, arms, "full", base)
    path = folder / compute.FLOPS
    raw = json.loads(path.read_text())
    path.write_text(json.dumps(raw | {"step_flops": {"full": 0, "drop": 1}}))
    with pytest.raises(ConfigError, match="one without operations"):
        compute.steps(folder, [FULL, DROP], "full", BASE)
    path.write_text("{")
    with pytest.raises(ConfigError, match=f"cannot be read .*{remedy}"):
        compute.steps(folder, [FULL, DROP], "full", BASE)
    path.unlink()
    with pytest.raises(ConfigError, match=f"does not exist; {remedy}"):
        compute.steps(folder, [FULL, DROP], "full", BASE)


def test_the_matched_study_gets_its_steps_from_its_file():
    base = load(ROOT / "params.yaml")
    found = study.load(ROOT / "experiments/awareness_vs_diversity", base)
    steps = {arm.name: arm.changes["train.steps"] for arm in found.arms}
    assert steps["aware_13"] == base.train.steps < steps["drop_13"]
    plain = study.load(ROOT / "experiments/awareness_vs_diversity", base, counted=False)
    assert not [arm for arm in plain.arms if "train.steps" in arm.changes]

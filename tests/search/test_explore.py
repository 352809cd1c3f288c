"""A space and a study with probes and an arm after another, through the real stages of the tiny world."""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pandas as pd
import pytest
import small_world
import yaml
from optuna.distributions import FloatDistribution
from optuna.trial import TrialState

from workbench import code
from workbench.config import changed, load
from workbench.experiment.curve import CURVE, read_curve
from workbench.search import grid
from workbench.search.ablate import ablate
from workbench.search.exploration import Exploration
from workbench.search.explore import explore, place_of
from workbench.search.plan import lines, plan
from workbench.search.space import Space
from workbench.search.study import StudyError
from workbench.verify import copies

STUDY = """
from optuna.distributions import FloatDistribution
from optuna.pruners import ThresholdPruner
from workbench.search.space import Space
from workbench.search.study import Arm, Study
STUDY = Study(
    name="tiny", question="?", baseline="tuned",
    arms=[
        Arm("start", row="blip2"),
        Arm("tuned"),
        Arm(
            "fine", {"data.downstream": "scienceqa", "data.held_in": [], "evaluate.datasets": ["scienceqa"]},
            after="tuned",
        ),
    ],
)
SPACE = Space(
    {"data.exponent": FloatDistribution(0.0, 1.0)}, {"data.sampling": "power"},
    first={"paper": {"data.exponent": 0.5}}, pruner=ThresholdPruner(upper=-1.0, n_warmup_steps=PRUNED),
)
"""
PROBES = """
from workbench.data.catalog import BY_NAME
from workbench.data.prepare import load_examples
from workbench.data.templates import evaluation_text
from workbench.experiment.probe import Probe

def probes(world_seed, count, prepared):
    for one in load_examples(prepared, "gqa", "test")[:count]:
        yield Probe("plain", "gqa", BY_NAME["gqa"], one, evaluation_text(one))
"""
NEVER = 1000  # steps
FEW = {"data.held_in": ["vqav2", "okvqa"], "evaluate.datasets": ["gqa", "scienceqa"]}
CONFIG = changed(small_world.CONFIG, FEW)  # all datasets: test_score.py, test_smoke.py


@pytest.fixture(scope="module")
def patch():
    with pytest.MonkeyPatch.context() as made:
        yield made


@pytest.fixture(scope="module")
def repository(tmp_path_factory, patch):
    root = small_world.write(tmp_path_factory.mktemp("repository"))
    (root / "params.yaml").write_text(yaml.safe_dump(CONFIG.to_dict()))
    (root / "experiments/tiny").mkdir(parents=True)
    (root / "experiments/tiny/probes.py").write_text(PROBES)
    write_study(root, NEVER)
    patch.chdir(root)
    patch.delenv("DVC_ROOT", raising=False)
    patch.setenv("PYTHONPATH", str(code.PACKAGE.parent))
    return root


def write_study(root: Path, pruned_from: int) -> None:
    (root / "experiments/tiny/study.py").write_text(STUDY.replace("PRUNED", str(pruned_from)))


def search(root: Path, trials: int, workers: int = 1) -> tuple[dict, pd.DataFrame]:
    folder = explore(load(root / "params.yaml"), root, "tiny", trials, workers)
    return json.loads((folder / "exploration.json").read_text()), pd.read_csv(folder / "trials.csv")


def start_and_die(root: Path) -> None:
    """A driver whose worker is killed within its first trial, and itself then."""
    os.chdir(root)
    os.environ["PYTHONPATH"] = str(code.PACKAGE.parent)
    command = """
import os, signal
from workbench.experiment import fit
points = fit._Run.points
def dying(run):
    for step, point in points(run):
        yield step, point
        if step == 4:
            os.kill(os.getpid(), signal.SIGKILL)
fit._Run.points = dying
from workbench.search.trial import main
main("tiny")
"""
    run = grid.Grid.__init__

    def with_dying(self, *given, **named):
        run(self, *given, **named)
        self._command = [sys.executable, "-c", command]

    grid.Grid.__init__ = with_dying

    def dying(work):
        def looked(self, *given) -> None:
            # a trial that was being taken a moment ago looks like that of a dead worker too
            if any(process.poll() is not None for process in self._processes.values()):
                os.kill(os.getpid(), signal.SIGKILL)
            work(self, *given)

        return looked

    for name in ("_bury", "_staff"):  # whichever looks first; the other would start the second trial
        setattr(grid.Grid, name, dying(getattr(grid.Grid, name)))
    search(root, 2)


@pytest.fixture(scope="module")
def found(repository):
    """Killed in the first trial, then run to the end."""
    child = multiprocessing.get_context("spawn").Process(target=start_and_die, args=(repository,))
    child.start()
    child.join()
    assert child.exitcode == -signal.SIGKILL
    (half,) = [path for path in (repository / "runs").iterdir() if (path / CURVE).exists()]
    assert not (half / "record.json").exists()
    return *search(repository, 2, workers=2), half


def test_a_killed_exploration_goes_on_with_the_same_trial(found):
    told, trials, half = found
    assert list(trials["trial"]) == ["trial000", "trial001"]
    assert set(trials["state"]) == {"complete"}
    assert trials["signature"][0] == half.name, "the half-trained run was taken up again"
    assert (trials["first"][0], trials["data.exponent"][0]) == ("paper", 0.5)
    assert told["trials"] == {"complete": 2}
    assert (told["importance"], told["surface"]) == ({"fanova": None, "ped_anova": None}, None)


def test_a_slot_that_failed_draws_other_values_and_one_that_was_killed_the_same(tmp_path):
    space = Space({"data.exponent": FloatDistribution(0.0, 1.0)}, {"data.sampling": "power"})
    drawn = []
    for place in ("one", "other"):
        trials = Exploration(tmp_path / place, "x", space)
        trials.prepare()
        first = trials.begin("trial000")
        assert trials.begin("trial000").params == first.params, "left open by a kill"
        trials.study.tell(first.number, state=TrialState.FAIL)
        again = trials.begin("trial000")
        assert again.params != first.params
        drawn.append((first.params, again.params))
    assert drawn[0] == drawn[1]


def test_the_objective_is_held_in_validation_alone(found, repository):
    _, trials, _ = found
    for line in trials.to_dict("records"):
        points = read_curve(repository / "runs" / line["signature"])
        assert line["val"] == pytest.approx(max(point["val"] for point in points if "val" in point))
    assert not (repository / "outputs/evaluate").exists()
    assert not [path for path in (repository / "runs").iterdir() if (path / "answers").exists()]


def test_trials_that_ended_are_not_run_again_and_more_can_be_asked_for(found, repository, monkeypatch):
    _, trials, _ = found
    with monkeypatch.context() as still:
        still.setattr(grid.Grid, "_staff", None)
        again = search(repository, 2)[1]
    pd.testing.assert_frame_equal(again, trials)
    assert list(search(repository, 3)[1]["trial"]) == ["trial000", "trial001", "trial002"]


def test_another_space_is_another_exploration_and_its_pruner_is_heard(found, repository):
    before = sorted(path.name for path in place_of(repository, "tiny").iterdir())
    write_study(repository, 0)
    told, trials = search(repository, 4)
    write_study(repository, NEVER)
    assert told["key"] != found[0]["key"]
    # three were trained before, as slots seed the sampler: their values are known, so they are not pruned
    assert list(trials["state"]) == ["complete"] * 3 + ["pruned"]
    assert list(trials["steps"]) == [6, 6, 6, 3]
    assert sorted(path.name for path in place_of(repository, "tiny").iterdir()) == before


def test_an_exploration_that_has_found_nothing_leaves_the_trials_of_before(found, repository, monkeypatch):
    def interrupted(*given, **named):
        raise KeyboardInterrupt

    folder = repository / "outputs/explorations/tiny"
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    monkeypatch.setattr("workbench.search.grid.Grid.run", interrupted)
    longer = changed(load(repository / "params.yaml"), {"train.learning_rate": 3e-4})
    with pytest.raises(KeyboardInterrupt):
        explore(longer, repository, "tiny", 2, 1)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


def test_bad_input_is_refused_before_anything_runs(repository):
    base = load(repository / "params.yaml")
    for trials, workers, name, says in (
        (2, 0, "tiny", "-j 0: one worker"),
        (0, 1, "tiny", "--trials 0: 1 at least are needed"),
        (2, 1, "tony", "studies here: tiny"),
    ):
        with pytest.raises(StudyError, match=says):
            explore(base, repository, name, trials, workers)
    with pytest.raises(StudyError, match="cannot be read"):
        explore(base, repository, "tiny", 2, 1, storage="nonsense")


def test_a_study_with_probes_and_an_arm_after_another(repository):
    folder = ablate(load(repository / "params.yaml"), repository, "tiny", "101,", workers=2)
    cells = {cell["arm"]: cell for cell in json.loads((folder / "cells.json").read_text())["cells"]}
    assert set(cells) == {"start", "tuned", "fine"}
    assert len({cell["probe"] for cell in cells.values()}) == 3
    for cell in cells.values():
        frame = pd.read_parquet(folder / cell["folder"] / "probes.parquet")
        assert set(frame["probe"]) == {"plain"}
        record = json.loads((folder / cell["folder"] / "probe.json").read_text())
        assert record["signature"] == cell["probe"]
    tuned = json.loads((folder / "cells/fine@101/tune.json").read_text())
    assert tuned["hashes"]["after"] == cells["tuned"]["tune"]
    assert set(tuned["examples"]) == {"scienceqa"}
    listed = [SimpleNamespace(**cell | {"tune": cell["tune"] or ""}) for cell in cells.values()]
    assert copies(repository, "tiny", listed) == (True, "tiny: 8 records in runs/ are intact and the same")
    copy = folder / "cells/tuned@101/probe.json"
    kept = copy.read_bytes()
    copy.write_bytes(kept.replace(b"101", b"102"))
    with pytest.raises(ValueError, match=r"probe\.json is not .*; run `workbench ablate tiny`"):
        copies(repository, "tiny", listed)
    copy.write_bytes(kept)
    made = plan(load(repository / "params.yaml"), repository, "tiny", "2", workers=1)
    assert [(arm.arm, arm.probings) for arm in made.arms] == [("start", 0), ("tuned", 1), ("fine", 1)]
    spent = {name: cell["cost"]["probe"]["flops"] for name, cell in cells.items()}
    assert made.arms[1].probe_flops == pytest.approx(sum(spent.values()) / 3)
    assert made.hours > replace(made, arms=[replace(arm, probings=0) for arm in made.arms]).hours
    assert "2 trainings, 2 examinations, 2 times the probes" in "\n".join(lines(made))

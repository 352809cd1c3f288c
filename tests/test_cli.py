"""The command line answers at once, and errors are sentences."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys

import pytest
from typer.testing import CliRunner

from workbench import cli_studies, code
from workbench.cli import app
from workbench.config import Config
from workbench.files import FullDisk
from workbench.search import hardware
from workbench.stages import guard, prepare

ROOT = code.PACKAGE.parent
HEAVY = ("torch", "mlflow", "optuna", "pandas", "transformers", "numpy")


def python(*arguments, cwd=ROOT, **environment):
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=cwd,
        capture_output=True,
        text=True,
        env={**os.environ, "COLUMNS": "120", **environment},
        check=False,
    )


def test_help_lists_every_command_without_heavy_imports():
    script = f"""
import atexit, sys
from workbench.cli import main
atexit.register(lambda: print('HEAVY', [name for name in {HEAVY} if name in sys.modules]))
sys.argv = ['workbench', '--help']
main()
"""
    done = python("-c", script)
    assert done.returncode == 0, done.stderr
    for command in (
        "prepare", "features", "pretrain", "tune", "evaluate", "report", "ablate", "plan", "reproduce",
        "preset", "ui", "doctor", "verify", "ask", "data", "start",
    ):  # fmt: skip
        assert command in done.stdout
    assert "HEAVY []" in done.stdout


def test_an_unknown_preset_is_one_sentence():
    done = python("-m", "workbench.cli", "preset", "gigantic")
    assert done.returncode == 1
    assert done.stderr.startswith("error: there is no preset 'gigantic'; choose one of micro, paper-flant5xl")
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("command", [("preset", "smoke"), ("reproduce", "table1"), ("plan", "finetuning")])
def test_elsewhere_than_at_the_root_a_command_is_one_sentence_and_writes_nothing(command, tmp_path):
    done = python("-m", "workbench.cli", *command, cwd=tmp_path, PYTHONPATH=str(ROOT))
    assert done.returncode == 1
    assert done.stderr.endswith("params.yaml does not exist; run from the repository root\n")
    assert done.stderr.count("\n") == 1
    assert not list(tmp_path.iterdir())
    (tmp_path / "params.yaml").touch()
    done = python("-m", "workbench.cli", "preset", "smoke", cwd=tmp_path, PYTHONPATH=str(ROOT))
    assert done.stderr.endswith("experiments/presets holds no preset; run from the repository root\n")


def test_the_doctor_ends_in_findings_where_the_parameters_are_wrong(tmp_path):
    (tmp_path / "params.yaml").write_text("train: {stepz: 100}\n")
    done = python("-m", "workbench.cli", "doctor", cwd=tmp_path, PYTHONPATH=str(ROOT))
    assert (done.returncode, done.stderr) == (1, "")
    assert "BAD" in done.stdout
    assert "unknown parameter 'train.stepz'; did you mean 'steps'?" in done.stdout


def test_what_the_disk_refuses_is_one_sentence(tmp_path):
    def fill():
        raise FullDisk(28, f"{tmp_path}/a could not be written, because the disk is full")

    for work, says in (
        (fill, f"error: {tmp_path}/a could not be written, because the disk is full"),
        ((tmp_path / "none").read_text, f"error: [Errno 2] No such file or directory: '{tmp_path}/none'"),
    ):
        with pytest.raises(SystemExit, match=f"^{re.escape(says)}$"):
            cli_studies.explained(work)


def test_prepare_takes_as_many_processes_as_the_parameters_say(tmp_path, monkeypatch):
    asked = []
    monkeypatch.setattr(prepare, "prepare", lambda config, out, workers, root: asked.append((workers, root)))
    prepare.work(Config(workers=7), tmp_path)
    assert asked == [(7, tmp_path)]


def test_the_command_of_one_checkout_is_refused_in_another(tmp_path):
    shutil.copytree(code.PACKAGE, tmp_path / "workbench", ignore=shutil.ignore_patterns("__pycache__"))
    script = "from workbench.cli import main; main()"
    done = python("-P", "-c", script, "--help", cwd=tmp_path, PYTHONPATH=str(ROOT))
    assert done.returncode == 1
    assert done.stderr == (
        f"error: this is the command of {ROOT}, and {tmp_path} is another checkout; there, type "
        "`python -m workbench.cli` in place of `workbench`, or activate its own .venv\n"
    )
    done = python("-m", "workbench.cli", "--help", cwd=tmp_path, PYTHONPATH=str(ROOT))
    assert done.returncode == 0, done.stderr


def test_a_plan_is_of_a_study_or_of_a_preset():
    for given in ([], ["data_balancing", "--preset", "micro"]):
        done = python("-m", "workbench.cli", "plan", *given)
        assert done.returncode == 1
        assert done.stderr == "error: name a study, or a preset with --preset, and not both\n"


def test_a_plan_says_why_the_seeds_that_are_needed_are_not_known(tmp_path):
    assert "run `workbench ablate` with two seeds" in cli_studies._seeds_needed(tmp_path)[0]
    (tmp_path / "cells.json").write_text("{")
    (said,) = cli_studies._seeds_needed(tmp_path)
    assert said.startswith("seeds needed: not known, ")
    assert "cells.json" in said


def test_code_of_another_checkout_is_refused(tmp_path):
    with pytest.raises(guard.WrongCheckout, match="run `python -m"):
        guard.check(cwd=tmp_path)
    assert guard.check(cwd=ROOT) == ROOT.resolve()


def test_a_copy_of_the_repository_runs_its_own_code(tmp_path):
    """DVC's temporary experiments run in copies; an installed package must not win there."""
    shutil.copytree(code.PACKAGE, tmp_path / "workbench", ignore=shutil.ignore_patterns("__pycache__"))
    check = "from workbench.stages import guard; print(guard.check())"
    done = python("-c", check, cwd=tmp_path)
    assert done.stdout.strip() == str(tmp_path.resolve())
    done = python("-c", check, cwd=tmp_path / "workbench", PYTHONPATH=str(ROOT))
    assert "WrongCheckout" in done.stderr


def test_a_stage_ends_with_a_sentence_when_parameters_are_wrong(tmp_path):
    shutil.copytree(code.PACKAGE, tmp_path / "workbench", ignore=shutil.ignore_patterns("__pycache__"))
    (tmp_path / "params.yaml").write_text("train: {stepz: 3}\n")
    done = python("-m", "workbench.stages.prepare", cwd=tmp_path)
    assert done.returncode == 1
    assert done.stderr.strip().endswith("unknown parameter 'train.stepz'; did you mean 'steps'?")
    assert "Traceback" not in done.stderr


def test_a_plan_is_of_a_preset_with_changes(monkeypatch):
    monkeypatch.setattr(hardware, "describe", lambda config, *given: [str(config.train.accumulate_steps)])
    command = ["plan", "--preset", "micro", "--hardware", "h200"]
    assert CliRunner().invoke(app, command).stdout == "1\n"
    assert CliRunner().invoke(app, [*command, "-S", "train.accumulate_steps=4"]).stdout == "4\n"
    for setting, says in (
        ("train.steps", "error: --set train.steps has no value; write train.steps=VALUE"),
        ("train.stepz=3", "error: unknown parameter 'train.stepz'; did you mean 'steps'?"),
    ):
        assert str(CliRunner().invoke(app, [*command, "--set", setting]).exception) == says

"""The whole pipeline as a user runs it, on the smoke preset in a copy of the repository."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from workbench import code, config, tracking

ROOT = code.PACKAGE.parent


class Repository:
    """A copy with a history of its own, and commands run in it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        listed = subprocess.run(
            ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
            cwd=ROOT, capture_output=True, text=True, check=True,
        )  # fmt: skip
        for name in filter(None, listed.stdout.split("\0")):
            if (ROOT / name).is_file() and not name.startswith("reports/"):
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(ROOT / name, folder / name)
        self.run("git", "init", "-q")
        self.run("git", "config", "user.email", "smoke@example.org")
        self.run("git", "config", "user.name", "smoke")
        self.run(sys.executable, "-m", "workbench.cli", "preset", "smoke")
        self.commit()

    def run(self, *command: str) -> str:
        """stdout and stderr of a command that has to succeed."""
        private = {"DVC_ROOT", "DVC_EXP_NAME", "DVC_EXP_BASELINE_REV", "DVC_STAGE", "PYTHONPATH"}
        given = {key: value for key, value in os.environ.items() if key not in private}
        given |= {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
        given |= {"DVC_NO_ANALYTICS": "true", "DVC_SITE_CACHE_DIR": str(self.folder / ".dvc/site")}
        given |= {"HF_HUB_OFFLINE": "1", "MLFLOW_DISABLE_TELEMETRY": "true"}
        done = subprocess.run(
            command, cwd=self.folder, env=given, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout[-5000:]
        return done.stdout

    def commit(self) -> None:
        """Everything that git does not ignore."""
        self.run("git", "add", "-A")
        self.run("git", "commit", "-q", "-m", "state")

    def runs(self) -> set[str]:
        """Signatures of what was trained or examined."""
        return {path.parent.name for path in self.folder.glob("runs/*/record.json")}


@pytest.fixture(scope="module")
def repository(tmp_path_factory):
    made = Repository(tmp_path_factory.mktemp("repository"))
    made.run("dvc", "repro")
    made.commit()
    return made


def ran(output: str) -> set[str]:
    return set(re.findall(r"Running stage '([^']+)'", output))


def test_the_report_is_there(repository):
    page = (repository.folder / "reports/index.html").read_text()
    assert "instruction tuning" in page
    assert not re.search(r"""(src|href)=["']https?://[^"']*\.(js|css)""", page)
    assert "held-out" in (repository.folder / "reports/main.md").read_text()


def test_every_training_and_examination_is_in_mlflow(repository):
    client, experiment = tracking.connect(repository.folder, config.Tracking())
    runs = client.search_runs([experiment])
    assert sorted(run.data.tags["stage"] for run in runs) == ["evaluate"] * 5 + ["tune"] * 3
    assert {run.info.status for run in runs} == {"FINISHED"}
    assert {run.data.tags[tracking.SIGNATURE] for run in runs if run.data.tags["stage"] == "tune"} <= (
        repository.runs()
    )


def test_nothing_is_done_twice(repository):
    assert not ran(repository.run("dvc", "repro"))


def test_awareness_is_switched_without_preparing_again(repository):
    output = repository.run(
        "dvc", "exp", "run", "--temp", "-n", "unaware", "-S", "model.instruction_aware=false", "tune@instruct"
    )
    assert ran(output) == {"tune@instruct"}
    assert "unaware" in repository.run("dvc", "exp", "show", "--csv")
    assert "tune_instruct.json" in repository.run("dvc", "exp", "diff", "HEAD", "unaware")
    metrics = repository.run("dvc", "metrics", "diff", "HEAD", "unaware")
    assert "signature" in metrics
    assert "index.html" in repository.run("dvc", "plots", "diff", "HEAD", "unaware")


def test_after_an_edit_of_a_metric_nothing_is_trained_again(repository):
    before = repository.runs()
    metric = repository.folder / "workbench/evaluate/metrics/answers.py"
    metric.write_text(metric.read_text() + "\nEDITED = True\n")
    curves = {path: path.stat().st_mtime_ns for path in repository.folder.glob("runs/*/curve.jsonl")}
    output = repository.run("dvc", "repro", "evaluate@instruct")
    assert ran(output) == {"tune@instruct", "evaluate@instruct"}
    assert repository.runs() == before
    assert {path: path.stat().st_mtime_ns for path in curves} == curves


def test_the_doctor_is_content(repository):
    assert "BAD" not in repository.run(sys.executable, "-m", "workbench.cli", "doctor")

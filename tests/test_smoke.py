"""The whole pipeline as a user runs it, on the smoke preset in a copy of the repository."""

from __future__ import annotations

import json
import re
import socket
import sys
import time
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

import pytest

from workbench import config, tracking
from workbench.records import RECIPES, ROWS


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
    expected = {f"tune {recipe}" for recipe in RECIPES} | {f"evaluate {row}" for row in ROWS}
    assert {run.info.run_name for run in runs} == expected
    assert {run.info.status for run in runs} == {"FINISHED"}
    assert {run.data.tags[tracking.SIGNATURE] for run in runs if run.data.tags["stage"] == "tune"} <= (
        repository.runs()
    )


def test_mlflows_pages_have_them_and_are_for_this_machine_alone(repository):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    address = f"http://127.0.0.1:{port}"
    with repository.started(f"exec {sys.executable} -m workbench.cli ui --port {port}") as server:
        try:
            while not answers(f"{address}/health"):
                assert server.poll() is None, server.stdout.read()
                time.sleep(0.2)
            _, experiment = tracking.connect(repository.folder, config.Tracking())
            wanted = json.dumps({"experiment_ids": [experiment], "max_results": 100}).encode()
            search = Request(
                f"{address}/api/2.0/mlflow/runs/search", wanted, {"Content-Type": "application/json"}
            )
            found = json.loads(urlopen(search).read())["runs"]
            assert {run["info"]["run_name"] for run in found} >= {"tune instruct", "evaluate blip2"}
            with pytest.raises(HTTPError, match="403"):  # a page that has its name point here
                urlopen(Request(f"{address}/api/2.0/mlflow/experiments/search", headers={"Host": "else.org"}))
        finally:
            server.terminate()


def answers(address: str) -> bool:
    """Whether a server is ready there."""
    try:
        return urlopen(address).status == 200
    except URLError:
        return False


def test_nothing_is_done_twice(repository):
    assert not ran(repository.run("dvc", "repro"))


def test_awareness_is_switched_without_preparing_again(repository):
    output = repository.shell(
        "dvc exp run --temp -n unaware -S model.instruction_aware=false -S model.unaware_form=constant tune"
    )
    assert ran(output) == {"tune"}
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
    output = repository.run("dvc", "repro", "evaluate")
    assert ran(output) == {"tune", "evaluate"}
    assert repository.runs() == before
    assert {path: path.stat().st_mtime_ns for path in curves} == curves


def test_the_doctor_is_content(repository):
    assert "BAD" not in repository.run(sys.executable, "-m", "workbench.cli", "doctor")

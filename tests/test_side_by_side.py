"""Several processes of a stage: all are run, no more than allowed at once, and a failure ends the rest."""

from __future__ import annotations

import sys
import time

import pytest

from workbench.stages import side_by_side
from workbench.stages.side_by_side import StageFailed, run

# stands in for `python -m workbench.stages.NAME --option VALUE`; argv: -m module option value
CHILD = """
import pathlib, sys, time
place, value = pathlib.Path({folder!r}), sys.argv[4]
(place / f"{{value}}.began").write_text(str(time.time()))
time.sleep({seconds}.get(value, 0.3))
(place / f"{{value}}.ended").write_text(str(time.time()))
sys.exit(3 if value == "bad" else 0)
"""


@pytest.fixture
def stage(tmp_path, monkeypatch):
    """A stage whose processes note when they begin and end; `slow` takes a minute, `bad` fails."""
    script = tmp_path / "python"
    script.write_text(
        f"#!{sys.executable}\n" + CHILD.format(folder=str(tmp_path), seconds={"slow": 60, "bad": 0.1})
    )
    script.chmod(0o755)
    monkeypatch.setattr(side_by_side.sys, "executable", str(script))
    return tmp_path


def test_every_value_is_run_and_no_more_than_allowed_at_once(stage):
    values = ("a", "b", "c", "d", "e")
    run("tune", "--recipe", values, workers=2)
    spans = [
        (float((stage / f"{v}.began").read_text()), float((stage / f"{v}.ended").read_text())) for v in values
    ]
    at_once = [sum(begin <= moment < end for begin, end in spans) for moment, _ in spans]
    assert max(at_once) == 2


def test_a_failure_is_named_and_ends_the_others(stage):
    began = time.monotonic()
    with pytest.raises(StageFailed, match="`python -m tune --recipe bad` ended with exit status 3"):
        run("tune", "--recipe", ("slow", "bad", "never"), workers=2)
    assert time.monotonic() - began < 30
    assert (stage / "slow.began").exists()
    assert not (stage / "slow.ended").exists()
    assert not (stage / "never.began").exists()

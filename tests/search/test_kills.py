"""SIGKILL of a worker and of the driver: no cell lost, none doubled. 20 rounds: benchmarks/kills.py."""

from __future__ import annotations

import random

import pytest
import standin_study
from kill_rounds import round_of


@pytest.mark.parametrize("number", range(3))
def test_every_cell_is_done_once_whoever_is_killed(tmp_path, number):
    seed = random.SystemRandom().randrange(2**32)
    counts = round_of(tmp_path / "study", seed)
    assert (counts["done"], counts["twice"]) == (standin_study.CELLS, 0), f"seed {seed}"
    assert counts["left"] > 0, f"seed {seed}: the driver was killed too late"

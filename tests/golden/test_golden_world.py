"""The first examples of every dataset, compared with committed ones: the micro world does not drift unseen.

world.json holds the first test example of each dataset in words and, per split, digests of the first nine
examples' texts and of the pictures of two. Nothing is rounded, so nothing may differ; numpy, Pillow and the
artwork have to be those of constraints.txt. If a test fails and the change was meant: run
`python tests/golden/regenerate.py`, read the diff, and expect every number of the report to move.
"""

import json

import golden_world
import pytest
from regenerate import WORLD

from workbench.data.catalog import BY_NAME

GOLDEN = json.loads(WORLD.read_text(encoding="utf-8"))


@pytest.mark.parametrize("name", BY_NAME)
def test_examples_are_the_committed_ones(name):
    found = golden_world.of_dataset(BY_NAME[name])
    assert found["first"] == GOLDEN[name]["first"]
    assert found == GOLDEN[name]


def test_every_committed_dataset_is_compared():
    assert set(GOLDEN) == set(BY_NAME)

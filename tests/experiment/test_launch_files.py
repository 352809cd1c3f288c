"""experiments/accelerate: what `accelerate launch --config_file` is told."""

from __future__ import annotations

import pytest
from accelerate.commands.config.config_args import load_config_from_file

from workbench import presets
from workbench.code import PACKAGE

ROOT = PACKAGE.parent
FILES = {"one_gpu": (1, 1), "eight_gpus": (1, 8), "two_nodes": (2, 16)}


@pytest.mark.parametrize("name", FILES)
def test_processes_are_as_many_as_the_name_says_and_precision_is_left_alone(name):
    told = load_config_from_file(str(ROOT / f"experiments/accelerate/{name}.yaml"))
    assert (told.num_machines, told.num_processes) == FILES[name]
    assert told.mixed_precision == "no"


def test_every_paper_preset_divides_among_them():
    for preset in presets.names(ROOT):
        if preset.startswith("paper-"):
            batch = presets.read(ROOT, preset).train.batch_size
            assert [count for _, count in FILES.values() if batch % count] == []

"""The counter against torch's own."""

import pytest
import tiny
import torch
from torch.utils.flop_counter import FlopCounterMode

from workbench.config import Model
from workbench.experiment.operations import Operations
from workbench.model.instructblip import InstructBlip


def test_a_product_of_matrices_is_counted_forward_and_backward():
    left, right = torch.ones(3, 5, requires_grad=True), torch.ones(5, 7, requires_grad=True)
    with Operations() as counter:
        (left @ right).sum().backward()
    assert counter.total == 3 * (2 * 3 * 5 * 7), "once forward, once for each gradient"


@pytest.mark.parametrize("family", tiny.FAMILIES)
def test_it_finds_what_torch_finds(tmp_path, family):
    folder = tiny.start(tmp_path, family)
    model = InstructBlip.load(folder, Model(language_model=family, num_query_tokens=tiny.QUERIES))
    model.requires_grad_(False)
    batch = tiny.batch(family)
    totals = []
    for counter in (FlopCounterMode(display=False), Operations()):
        with counter:
            model(batch)
        totals.append(counter.total if isinstance(counter, Operations) else counter.get_total_flops())
    assert totals[0] == totals[1] > 0

"""Losses of tuning, compared with committed ones: what changes training without meaning to is seen here.

TOLERANCE is relative. With the same packages on the same kind of processor the losses are the same bits.
Elsewhere sums are rounded in another order: other vector units, other matrix kernels and two threads
instead of one moved a loss by 4.4e-7 at most. There are four steps because AdamW, which divides by the
size of the gradients, magnifies rounding from step to step: after six it was 5.5e-5. What should be seen is
larger: a learning rate off by a hundredth moved some loss by 1e-4, a weight decay off by a twentieth 8e-5,
another second beta (.98) 6e-5, decay on norms as well 1e-3, one more step of warm-up 1e-2.

If a test fails and the change was meant: run `python tests/golden/regenerate.py` and read the diff.
"""

import json

import golden_losses
import pytest
from regenerate import LOSSES

TOLERANCE = 5e-5
GOLDEN = json.loads(LOSSES.read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def starts(tmp_path_factory):
    folder = tmp_path_factory.mktemp("golden")
    return {family: golden_losses.start(folder, family) for family in golden_losses.tiny.FAMILIES}


@pytest.mark.parametrize("case", golden_losses.CASES, ids=lambda case: golden_losses.name(*case))
def test_losses_are_the_committed_ones(starts, case):
    family, recipe, form = case
    found = golden_losses.losses(starts[family], family, recipe, form)
    assert found == pytest.approx(GOLDEN[golden_losses.name(*case)], rel=TOLERANCE)


def test_every_committed_loss_is_compared_and_no_two_cases_agree():
    assert list(GOLDEN) == [golden_losses.name(*case) for case in golden_losses.CASES]
    assert len({tuple(losses) for losses in GOLDEN.values()}) == len(GOLDEN)

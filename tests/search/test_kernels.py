"""What operations compute and move, and how long a GPU takes for that."""

from __future__ import annotations

import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensorMode

from workbench.search.kernels import BANDWIDTH, PRODUCTS, START, Kernels, Work


@pytest.fixture(params=[False, True], ids=["real", "imagined"])
def contents(request):
    """The same is counted of tensors without contents."""
    if request.param:
        with FakeTensorMode():
            yield
    else:
        yield


@pytest.mark.usefixtures("contents")
def test_a_product_reads_two_matrices_and_writes_one():
    one, two = torch.zeros(2, 3), torch.zeros(3, 4)
    with Kernels() as kernels:
        one @ two
    assert kernels.work == Work((2 * 2 * 3 * 4,), (4 * (6 + 12 + 8),))


@pytest.mark.usefixtures("contents")
def test_who_only_looks_in_another_way_does_nothing():
    tensor = torch.zeros(2, 3)
    with Kernels() as kernels:
        tensor.t()[1:].unsqueeze(0).expand(5, 2, 2).detach()
        torch.empty(7, 7)
    assert kernels.work.flops == ()


@pytest.mark.usefixtures("contents")
def test_in_place_moves_too_and_repeated_rows_are_read_once():
    total, row = torch.zeros(5, 4), torch.zeros(1, 4).expand(5, 4)
    with Kernels() as kernels:
        total.add_(row)
    assert kernels.work == Work((0.0,), (4 * (20 + 4 + 20),))


@pytest.mark.usefixtures("contents")
def test_backward_is_counted():
    weight = torch.zeros(3, 4, requires_grad=True)
    with Kernels() as kernels:
        (torch.zeros(2, 3) @ weight).sum().backward()
    assert sum(kernels.work.flops) == 2 * (2 * 2 * 3 * 4)


def test_an_operation_takes_what_holds_it_up():
    products, copies = Work((1e12,), (1e3,)), Work((0.0,), (1e12,))
    assert products.seconds(1e15, 1e12) == pytest.approx(1e-3 / PRODUCTS)
    assert copies.seconds(1e15, 1e12) == pytest.approx(1 / BANDWIDTH)
    both = Work(products.flops + copies.flops, products.moved + copies.moved)
    assert both.seconds(1e15, 1e12) == pytest.approx(1e-3 / PRODUCTS + 1 / BANDWIDTH)


def test_many_small_operations_wait_for_the_processor():
    small = Work((1.0,) * 1000, (1.0,) * 1000)
    assert small.seconds(1e15, 1e12) == pytest.approx(1000 * START)

from __future__ import annotations

import pytest

from workbench.report.words import ranges


@pytest.mark.parametrize(
    ("numbers", "text"),
    [
        ([], ""),
        ([101], "101"),
        ([101, 102], "101, 102"),
        ([101, 102, 103, 105], "101–103, 105"),
        ([7, 101, 102, 104, 105, 106], "7, 101, 102, 104–106"),
    ],
)
def test_seeds_in_a_row_are_a_range(numbers, text):
    assert ranges(numbers) == text

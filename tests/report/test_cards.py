"""What a model card says that went wrong, and over which seeds."""

from __future__ import annotations

from dataclasses import replace

from workbench.data.catalog import CATALOG
from workbench.report.study.cards import failures
from workbench.report.study.collected import read_study
from workbench.report.words import number


def test_with_and_without_the_picture_are_of_the_same_seeds(toy):
    """One seed in five is examined blind; in `toy` GQA needs no picture, whatever the seed."""
    study = read_study(toy)
    for seed in study.seeds:
        once = replace(study, blind={key: v for key, v in study.blind.items() if key[1] == seed})
        (said,) = [text for text in failures(once, "full", CATALOG) if "The picture adds" in text]
        value = number(study.value("full", seed, "gqa"))
        assert f"GQA ({value} with, {value} without)" in said

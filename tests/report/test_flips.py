import numpy as np
import pandas as pd
import pytest
from report_outputs import open_image

from workbench.data.catalog import CATALOG
from workbench.report.study.cells import Arm, Asked, Cell, Study
from workbench.report.study.flips import changes, counts, flips, right

IDS = [f"{number:03d}" for number in range(6)]
NOBODY = np.zeros(6, bool)


def study(shares: dict, metrics: dict[str, str]) -> Study:
    """Two arms with three seeds; `shares` maps (arm, dataset) to (3, 6) scores."""
    lines = [
        {"arm": arm, "dataset": dataset, "example_id": name, "prediction": f"{arm} says", "images": ["a"],
         "instruction": "what?", "references": ["cat"]}
        for arm in ("one", "other") for dataset in metrics for name in IDS
    ]  # fmt: skip
    return Study(
        name="x", question="?", baseline="one", suite="micro",
        arms=[Arm(name, name, "instruct", {}) for name in ("one", "other")],
        claims=[], measures={}, seeds=[1, 2, 3], missing=[], revision={}, blind={}, curves={}, looked={},
        cells=[Cell(arm, n, "", "", "", "", "", {}, {}, {}) for arm in ("one", "other") for n in (1, 2, 3)],
        asked={d: Asked(metric, IDS, IDS, np.arange(6) % 2 == 0) for d, metric in metrics.items()},
        shares={(arm, seed, d): np.array(values[seed - 1], float)
                for (arm, d), values in shares.items() for seed in (1, 2, 3)},
        answers=pd.DataFrame(lines),
    )  # fmt: skip


def test_most_seeds_decide():
    found = study(
        {
            # right with all three, two, one, none, all, half of its share
            ("one", "gqa"): [[100, 100, 100, 0, 100, 50], [100, 100, 0, 0, 100, 50], [100, 0, 0, 0, 100, 50]],
            ("other", "gqa"): [[0, 0, 0, 100, 100, 0]] * 3,
        },
        {"gqa": "exact_match"},
    )
    assert changes(found, "one", "other", "gqa").tolist() == [1, 1, 0, -1, 0, 1]
    (count,) = counts(found)
    assert (count.gained, count.lost, count.asked) == (3, 1, 6)


def test_captions_change_hands_when_they_are_far_apart():
    found = study(
        {
            ("one", "nocaps"): [[300, 120, 10, 99, 0, 0]] * 3,
            ("other", "nocaps"): [[100, 100, 120, 0, 0, 100]] * 3,
        },
        {"nocaps": "cider"},
    )
    assert changes(found, "one", "other", "nocaps").tolist() == [1, 0, -1, 0, 0, -1]


def test_what_counts_as_right_depends_on_the_metric():
    labels = np.array([True, True, False, False, False, False])
    margins = np.array([[1.0, -1.0, 1.0, -1.0, 0.0, 2.0]])
    assert right(Asked("auc", IDS, IDS, labels), margins)[0].tolist() == [1, 0, 0, 1, 1, 0]
    ranks = np.array([[100, 50, 100 / 3, 0, 0, 0]])
    assert right(Asked("mrr", IDS, IDS, NOBODY), ranks)[0].tolist() == [1, 0, 0, 0, 0, 0]
    assert right(Asked("vqa_accuracy", IDS, IDS, NOBODY), ranks)[0].tolist() == [1, 1, 0, 0, 0, 0]


def test_a_dataset_shows_one_example_for_each_way_of_changing():
    found = study(
        {("one", "gqa"): [[100, 100, 100, 0, 0, 0]] * 3, ("other", "gqa"): [[0, 0, 0, 100, 100, 0]] * 3},
        {"gqa": "exact_match"},
    )
    shown = flips(found, CATALOG, open_image)
    assert [set(item.winners) for item in shown] in ([{"one"}, {"other"}], [{"other"}, {"one"}])
    assert all(item.arms == "one other" for item in shown)
    winner = shown[0].winners[0]
    told = {one.arm: one for one in shown[0].answers}
    assert told[winner].text == f"{winner} says"
    assert told[winner].right == "right with 3 of 3"
    assert shown[0].pictures[0].startswith("data:image/png;base64,")


def test_arms_that_agree_show_nothing():
    same = [[100, 0, 100, 0, 0, 0]] * 3
    assert (
        flips(study({("one", "gqa"): same, ("other", "gqa"): same}, {"gqa": "mrr"}), CATALOG, open_image)
        == []
    )


@pytest.mark.parametrize("name", ["a", "b"])
def test_pictures_are_those_of_the_example(name):
    found = study({("one", "gqa"): [[100] * 6] * 3, ("other", "gqa"): [[0] * 6] * 3}, {"gqa": "exact_match"})
    found.answers["images"] = [[name]] * len(found.answers)
    opened = []
    flips(found, CATALOG, lambda ref: opened.append(ref) or open_image(ref))
    assert opened == [name]

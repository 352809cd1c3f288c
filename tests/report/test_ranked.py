import pandas as pd
import pytest

from workbench.report.ranked import ranked

TITLES = {"other": "Other", "visdial": "Visual Dialog"}


def asked(dataset, row, blind, ranks, metric="mrr"):
    return pd.DataFrame(
        {"dataset": dataset, "row": row, "blind": blind, "metric": metric, "score": [100 / r for r in ranks]}
    )


def test_recall_and_mean_rank_by_hand():
    frame = pd.concat(
        [
            asked("visdial", "blip2", False, [1, 3, 7, 7, 12]),
            asked("visdial", "blip2", True, [6, 5, 1, 30, 48]),
            asked("visdial", "instruct", False, [1, 1]),
            asked("other", "blip2", False, [2]),
            asked("gqa", "blip2", False, [1, 1], metric="exact_match"),
            asked("elsewhere", "blip2", False, [1]),
        ]
    )
    lines = ranked(frame, TITLES)
    assert list(zip(lines["dataset"], lines["title"], lines["row"], strict=True)) == [
        ("other", "Other", "blip2"),
        ("visdial", "Visual Dialog", "blip2"),
        ("visdial", "Visual Dialog", "instruct"),
    ]
    second, third = lines.loc[1], lines.loc[2]
    assert [second[f"recall@{k}"] for k in (1, 5, 10)] == [20, 40, 80]
    assert [second[f"recall@{k}_blind"] for k in (1, 5, 10)] == [20, 40, 60]
    assert (second["mean_rank"], second["mean_rank_blind"]) == (6, 18)
    assert (third["recall@1"], third["mean_rank"]) == (100, 1)
    assert pd.isna(third["mean_rank_blind"])


def test_a_rank_survives_its_reciprocal():
    found = ranked(asked("visdial", "blip2", False, range(1, 101)), TITLES)
    assert found["mean_rank"][0] == pytest.approx(50.5)
    assert found["recall@10"][0] == 10


def test_without_such_a_set_there_is_no_line():
    assert ranked(asked("gqa", "blip2", False, [1], metric="exact_match"), TITLES).empty

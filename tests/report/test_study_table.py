import json
import shutil

import pandas as pd
import pytest
from study_outputs import write_study

from workbench import files
from workbench.report.study_table import ReportError, read_study


@pytest.fixture
def copied(toy, tmp_path):
    return shutil.copytree(toy, tmp_path / "studies" / "toy")


def edit(folder, change):
    raw = json.loads((folder / "cells.json").read_text())
    change(raw)
    files.write_json(folder / "cells.json", raw)


def test_a_study_is_read_with_its_cells_in_order(toy):
    study = read_study(toy)
    assert [(cell.arm, cell.seed) for cell in study.cells][:4] == [
        ("full", 101), ("drop", 101), ("twin", 101), ("full", 102)
    ]  # fmt: skip
    assert study.paired("full", "drop") == (101, 102, 103)
    assert study.pair("full", "drop", "gqa").first.shape == (3, 12)
    assert study.cells[0].cost["tune"]["seconds"] == 180


def test_hand_edited_predictions_are_refused(copied):
    path = copied / "cells/drop@102/predictions.parquet"
    frame = pd.read_parquet(path)
    frame.loc[0, "score"] = 55.5
    frame.to_parquet(path)
    with pytest.raises(
        ReportError, match=r"drop@102/predictions\.parquet is not the file.*workbench ablate toy"
    ):
        read_study(copied)


def test_hand_edited_predictions_with_a_new_hash_are_refused_too(copied):
    path = copied / "cells/full@101/predictions.parquet"
    pd.read_parquet(path).assign(prediction="yes").to_parquet(path)

    def change(raw):
        raw["cells"][0]["sha256"]["predictions.parquet"] = files.file_sha256(path)

    edit(copied, change)
    with pytest.raises(ReportError, match=r"cells\[0\]\.sha256 is not its record's"):
        read_study(copied)


@pytest.mark.parametrize("name", ["curve.csv", "attention.json"])
def test_an_edited_curve_or_attention_is_refused(copied, name):
    path = copied / "cells/full@102" / name
    path.write_text(path.read_text().replace("1", "2", 1))
    with pytest.raises(ReportError, match=f"{name} is not the file whose sha256 is in cells.json"):
        read_study(copied)


def test_blind_scores_curves_and_attention_are_read(toy):
    study = read_study(toy)
    assert study.blind["full", 101, "gqa"] == pytest.approx(study.value("full", 101, "gqa"))
    assert study.blind["full", 101, "iconqa"] == pytest.approx(study.value("full", 101, "iconqa") / 2)
    assert study.curves["drop", 103]["val/okvqa"].notna().sum() == 5
    assert study.looked["full", 101].shift == pytest.approx(32)
    assert study.looked["drop", 101].shift == 0


def test_an_edited_record_is_refused(copied):
    path = copied / "cells/full@101/tune.json"
    path.write_text(path.read_text().replace("180.0", "18.0"))
    with pytest.raises(ReportError, match=r"tune\.json: seal is not that of its contents"):
        read_study(copied)


def test_missing_cells_are_named_and_only_paired_seeds_used(tmp_path):
    study = read_study(write_study(tmp_path, missing=("drop@103", "twin@101", "twin@102")))
    assert study.missing == ["twin@101", "twin@102", "drop@103"]
    assert study.paired("full", "drop") == (101, 102)
    assert study.paired("full", "twin") == (103,)
    assert study.paired("drop", "twin") == ()


@pytest.mark.parametrize("name", ["cells.json", "cells/twin@103/scores.jsonl", "cells/twin@103/record.json"])
def test_a_missing_file_is_named_with_a_remedy(copied, name):
    (copied / name).unlink()
    with pytest.raises(ReportError, match=f"{name} is missing; run `workbench ablate toy`"):
        read_study(copied)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda raw: raw.pop("claims"), "claims is missing or no list"),
        (lambda raw: raw["cells"][1].pop("sha256"), r"cells\[1\]: sha256 is missing or no dict"),
        (lambda raw: raw["cells"][1]["extras"].pop("curve.csv"),
         r"cells\[1\]\.extras are not attention.json, curve.csv"),
        (lambda raw: raw["claims"][0].update(paper="5"), r"claims\[0\]: paper is '5', no number"),
        (lambda raw: raw["claims"][0].update(better="none"), r"claims\[0\]: 'none' is no arm"),
        (lambda raw: raw["claims"][0].update(measure="odd"), "is about odd, which was not scored"),
        (lambda raw: raw["arms"][0].update(name="../up"), "may hold a-z, 0-9 and _ only"),
        (lambda raw: raw.update(development=True), "development seeds, which no report shows"),
        (lambda raw: raw.update(study="other"), "'other' in the folder of another"),
        (lambda raw: raw.update(baseline="other"), "baseline 'other' is no arm"),
        (lambda raw: raw["cells"].pop(), "are not every arm with every seed"),
        (lambda raw: raw["cells"][2].update(folder="../.."), r"cells\[2\]\.folder is not cells/twin@101"),
        (lambda raw: raw["cells"][2].update(data="f" * 16), "full@101 and twin@101 differ in data"),
        (lambda raw: raw.update(cells=[], seeds=[101], missing=["full@101", "drop@101", "twin@101"]),
         "no cell is finished, 3 are missing"),
    ],
)  # fmt: skip
def test_what_is_wrong_in_cells_json_is_named(copied, change, message):
    edit(copied, change)
    with pytest.raises(ReportError, match=message):
        read_study(copied)

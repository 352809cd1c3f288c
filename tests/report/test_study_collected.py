import json
import shutil

import pandas as pd
import pytest
from study_outputs import write_study

from workbench import files
from workbench.report.study.collected import ReportError, read_study
from workbench.report.study.effects import Found
from workbench.report.study.tables import tables


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
    with pytest.raises(ReportError, match=r"record\.json: result\.sha256 is not the .* of cells\.json"):
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
    with pytest.raises(ReportError, match=r"tune\.json was edited after it was written"):
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
        (lambda raw: [cell.update(data="f" * 16) for cell in raw["cells"]],
         r"full@101/record\.json: hashes\.data is not the 'f{16}' of cells\.json, cells\[0\]"),
        (lambda raw: [cell.update(code="f" * 16) for cell in raw["cells"]],
         r"record\.json: hashes\.code is not the 'f{16}'"),
        (lambda raw: raw["cells"][1].update(row="blip2"), r"drop@101/record\.json: name is not the 'blip2'"),
        (lambda raw: raw.update(cells=[], seeds=[101], missing=["full@101", "drop@101", "twin@101"]),
         "no cell is finished, 3 are missing"),
    ],
)  # fmt: skip
def test_what_is_wrong_in_cells_json_is_named(copied, change, message):
    edit(copied, change)
    with pytest.raises(ReportError, match=message):
        read_study(copied)


def seal(path, change):
    """A record with a change and a seal of its own, as one that somebody put there."""
    record = json.loads(path.read_text())
    del record["seal"]
    change(record)
    files.write_sealed(path, record)


def test_another_cells_records_under_a_seeds_name_are_refused(copied):
    """The signatures are those of cells.json, so that the seed alone gives it away."""
    for seed, other in ((101, 102), (102, 101)):
        seal(copied / f"cells/full@{seed}/tune.json", lambda record, seed=other: record.update(seed=seed))
    with pytest.raises(ReportError, match=r"full@101/tune\.json: seed is not the 101 of cells\.json.*ablate"):
        read_study(copied)


def test_cells_on_other_data_do_not_compare(copied):
    seal(copied / "cells/twin@101/record.json", lambda record: record["hashes"].update(data="f" * 16))
    edit(copied, lambda raw: raw["cells"][2].update(data="f" * 16))
    with pytest.raises(ReportError, match="full@101 and twin@101 differ in data"):
        read_study(copied)


def test_what_is_not_tuned_is_examined_once_for_all_seeds(copied):
    def change(raw):
        for cell in raw["cells"]:
            if cell["arm"] == "twin":
                cell.update(row="blip2", tune=None)
                del cell["extras"]["curve.csv"]
                path = copied / cell["folder"] / "record.json"
                seal(path, lambda record: record.update(name="blip2", seed=101))

    edit(copied, change)
    assert {cell.seed for cell in read_study(copied).cells if not cell.tune} == {101, 102, 103}


def test_probes_are_read_and_checked_where_a_study_has_them(copied):
    pd.DataFrame({"score": [1.0]}).to_parquet(copied / "cells/full@101/probes.parquet")
    mark = files.file_sha256(copied / "cells/full@101/probes.parquet")
    shutil.copyfile(copied / "cells/full@101/record.json", copied / "cells/full@101/probe.json")
    probed = {"kind": "probe", "signature": "s", "result": {"sha256": {"probes.parquet": mark}}}
    seal(copied / "cells/full@101/probe.json", lambda record: record.update(probed))
    assert not read_study(copied).probed
    edit(copied, lambda raw: raw["cells"][0].update(probe="s"))
    study = read_study(copied)
    assert (study.probed, study.cells[0].probe, study.cells[1].probe) == (True, "s", "")
    assert study.cells[0].cost["probe"]["seconds"] == 14
    written = tables(study, Found([], [], []), [])
    assert written["runs"]["probing"].tolist()[:2] == ["s", ""]
    assert written["cost"]["probe_seconds"].tolist() == [14, 0, 0]
    pd.DataFrame({"score": [2.0]}).to_parquet(copied / "cells/full@101/probes.parquet")
    with pytest.raises(ReportError, match=r"probes\.parquet is missing or not the file that"):
        read_study(copied)

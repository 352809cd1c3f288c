import json
import shutil

import pandas as pd
import pytest
from report_outputs import seal, write_outputs

from workbench.report.methods import METHODS
from workbench.report.outputs import ReportError, read


@pytest.fixture
def copied(outputs, tmp_path):
    return shutil.copytree(outputs, tmp_path / "outputs")


def test_reads_what_the_stages_leave(outputs):
    tables = read(outputs)
    assert tables.rows == list(METHODS)
    assert set(tables.curves) == {"multitask_plain", "multitask_tagged", "instruct"}
    assert len(tables.scores) == 5 * 28 * 2
    assert set(tables.costs["kind"]) == {"tune", "evaluate"}


def test_some_rows_are_enough(tmp_path):
    tables = read(write_outputs(tmp_path / "outputs", 4, ("blip2", "instruct")))
    assert tables.rows == ["blip2", "instruct"]


def test_nothing_evaluated(tmp_path):
    with pytest.raises(ReportError, match="run the evaluate stage first"):
        read(tmp_path)


@pytest.mark.parametrize("name", ["record.json", "scores.jsonl", "predictions.parquet"])
def test_a_missing_file_is_named_with_its_stage(copied, name):
    (copied / "evaluate" / "instruct" / name).unlink()
    with pytest.raises(ReportError, match=rf"{name} is missing; run `dvc repro evaluate`"):
        read(copied)


def test_an_edited_score_is_found(copied):
    path = copied / "evaluate" / "instruct" / "scores.jsonl"
    first, *others = [json.loads(line) for line in path.read_text().splitlines()]
    first["value"] += 1
    path.write_text("\n".join(json.dumps(line) for line in [first, *others]))
    with pytest.raises(ReportError, match="coco_caption, its predictions give"):
        read(copied)


def test_an_edited_record_is_found(copied):
    path = copied / "tune" / "instruct" / "record.json"
    path.write_text(path.read_text().replace('"seconds": 188.0', '"seconds": 18.0'))
    with pytest.raises(ReportError, match=r"record\.json was edited after it was written.*; rerun its stage"):
        read(copied)


def test_a_dataset_left_out_of_the_scores_is_found(copied):
    path = copied / "evaluate" / "blip2" / "scores.jsonl"
    path.write_text("\n".join(path.read_text().splitlines()[1:]))
    with pytest.raises(ReportError, match="do not hold the same datasets"):
        read(copied)


def test_a_column_that_is_missing_is_named(copied):
    path = copied / "evaluate" / "blip2" / "predictions.parquet"
    pd.read_parquet(path).drop(columns="domain").to_parquet(path)
    with pytest.raises(ReportError, match="has no column domain; rerun its stage"):
        read(copied)


def test_a_truncated_table_is_named(copied):
    path = copied / "evaluate" / "blip2" / "predictions.parquet"
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(ReportError, match="not readable parquet"):
        read(copied)


def test_rows_on_different_examples_are_not_compared(copied):
    path = copied / "evaluate" / "instruct" / "predictions.parquet"
    frame = pd.read_parquet(path)
    frame.loc[0, "example_id"] = "other"
    frame.to_parquet(path)
    with pytest.raises(ReportError, match="not scored on the same examples"):
        read(copied)


def test_rows_on_different_data_are_not_compared(copied):
    path = copied / "evaluate" / "instruct" / "record.json"
    record = json.loads(path.read_text())
    del record["seal"]
    record["hashes"]["data"] = "f" * 16
    seal(path.parent, record)
    with pytest.raises(ReportError, match="scored on different data"):
        read(copied)


def test_a_foreign_folder_is_named(copied):
    (copied / "evaluate" / "gpt").mkdir()
    with pytest.raises(ReportError, match="gpt is no row of the comparison"):
        read(copied)

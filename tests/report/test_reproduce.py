"""The paper's tables with our rows, on folders of records whose shares can be averaged by head."""

import csv
import html.parser
import json
import shutil

import numpy as np
import pandas as pd
import pytest
from report_outputs import record, suite, write_outputs
from study_outputs import write_study

from workbench import files
from workbench.data.catalog import BY_NAME, HELD_IN, SECOND, for_suite
from workbench.report.outputs import ReportError
from workbench.report.render import HERE
from workbench.report.reproduce.examinations import find, groups
from workbench.report.reproduce.page import publish
from workbench.report.reproduce.tables import BY_SPLIT, COLUMNS, reproduce

PAPER = files.read_json(HERE / "paper_tables.json")
T5 = {"language_model": "t5", "instruction_aware": True, "unaware_form": "drop"}


def examine(folder, row="instruct", seed=1, shares=None, suite="micro", weights="", start="", **sections):
    """A record in `folder` with these shares: dataset -> one per image."""
    folder.mkdir(parents=True)
    lines, scores = [], []
    for name, values in (shares or {"gqa": [0, 100], "iconqa": [100, 100]}).items():
        metric = sections.get("metric", {}).get(name, for_suite(name, "micro").metric)
        scores.append({"dataset": name, "metric": metric, "value": float(np.mean(values)), "blind": False})
        scores[-1]["n"] = len(values)
        for number, value in enumerate(values):
            line = {"dataset": name, "example_id": str(number), "image_id": str(number), "images": ["a.png"]}
            line |= {"domain": "", "instruction": "?", "prediction": "a", "candidates": [], "blind": False}
            lines.append(line | {"references": ["a"], "score": float(value)})
    pd.DataFrame(lines).to_parquet(folder / "predictions.parquet")
    (folder / "scores.jsonl").write_text("".join(json.dumps(line) + "\n" for line in scores))
    config = {"train": {"seed": seed}, "model": {**T5, **sections.get("model", {})}}
    config["data"] = {"sampling": "sqrt", "held_in": [], **sections.get("data", {})}
    config["evaluate"] = {"split": "test", **sections.get("evaluate", {})}
    content = record("evaluate", row, 1.0) | {"name": row, "seed": seed, "suite": suite, "config": config}
    content["hashes"] = {**content["hashes"], "weights": weights} | ({"start": start} if start else {})
    written = ["scores.jsonl", "predictions.parquet"]
    if beside := sections.get("beside"):  # (dataset, metric) -> one share per image
        lines = [
            {"dataset": name, "metric": metric, "example_id": str(i), "image_id": str(i), "score": value}
            for (name, metric), values in beside.items()
            for i, value in enumerate(values)
        ]
        pd.DataFrame(lines).assign(blind=False).to_parquet(folder / "details.parquet")
        written.append("details.parquet")
    marks = {name: files.file_sha256(folder / name) for name in written}
    content |= {"signature": folder.name, "result": {"sha256": marks}}
    files.write_sealed(folder / "record.json", content)
    return folder


def made(table, *folders, against=""):
    return reproduce(table, groups(folders), PAPER, HELD_IN, against)


def printed(page, name):
    return next(row for row in page.paper if row.name == name)


def test_table1_has_every_row_of_the_paper_and_no_number_that_nobody_measured(tmp_path):
    page = made("table1", examine(tmp_path / "a"))
    assert len(page.paper) == 11
    assert printed(page, "Flamingo-80B").values["NoCaps"] is None
    assert printed(page, "InstructBLIP (FlanT5-XL)").values["GQA"] == 48.4
    (ours,) = page.ours
    assert (set(ours.found), ours.against) == ({"GQA", "IconQA"}, "InstructBLIP (FlanT5-XL)")
    assert ours.found["GQA"].value == 50
    assert ours.differences["GQA"].value == pytest.approx(50 - 48.4)
    half = ours.found["GQA"].high - 50  # t(1) x 50: two images of two, clustered
    assert half == pytest.approx(12.7062 * 50, rel=1e-4)
    assert ours.differences["GQA"].high == pytest.approx(50 - 48.4 + half)
    assert (ours.found["IconQA"].low, ours.found["IconQA"].high) == (100, 100)


def test_several_seeds_are_one_row_and_its_interval_is_over_both(tmp_path):
    shares = {1: [0, 100], 2: [100, 100], 3: [0, 0]}
    found = made(
        "table1", *(examine(tmp_path / str(s), seed=s, shares={"gqa": v}) for s, v in shares.items())
    )
    (ours,) = found.ours
    assert (list(ours.group.seeds), ours.found["GQA"].value) == ([1, 2, 3], 50)
    assert ours.counts["GQA"] == 2


def test_a_seed_recorded_before_a_parameter_existed_is_of_the_same_row(tmp_path):
    younger = {"data": {"answer_vocabulary": 1000, "allow_missing": False}}
    folders = examine(tmp_path / "1", seed=1), examine(tmp_path / "2", seed=2, **younger)
    assert [list(ours.group.seeds) for ours in made("table1", *folders).ours] == [[1, 2]]


def test_a_seed_that_was_also_examined_without_the_picture_is_of_the_same_row(tmp_path):
    blind = [(1, True), (2, False), (1, False)]  # the first seed by two studies
    places = [examine(tmp_path / f"{s}{b}", seed=s, weights=f"w{s}", evaluate={"blind": b}) for s, b in blind]
    assert [group.seeds for group in groups(places)] == [[1, 2]]


def test_the_counterpart_follows_the_language_model_or_what_is_asked(tmp_path):
    llama = examine(tmp_path / "a", row="blip2", model={"language_model": "llama"})
    assert made("table1", llama).ours[0].against == "BLIP-2 (Vicuna-7B)"
    asked = made("table1", llama, against="Flamingo-3B").ours[0]
    assert (asked.against, set(asked.differences)) == ("Flamingo-3B", set())  # it prints neither
    with pytest.raises(ValueError, match="table1 has no row 'Flamingo-4B'; choose one of Flamingo-3B"):
        made("table1", llama, against="Flamingo-4B")


def test_table2_knows_the_ablations_by_their_configuration(tmp_path):
    shares = {name: [40, 60] for name in ("coco_caption", "okvqa", "aokvqa", "textcaps", "gqa")}
    found = made(
        "table2",
        examine(tmp_path / "a", shares=shares),
        examine(tmp_path / "b", shares=shares, model={"instruction_aware": False}),
        examine(tmp_path / "c", shares=shares, data={"sampling": "uniform"}),
        examine(
            tmp_path / "d", shares=shares, data={"sampling": "uniform"}, model={"instruction_aware": False}
        ),
        examine(tmp_path / "e", shares=shares, row="blip2"),
    )
    assert {ours.group.signatures[0]: ours.against for ours in found.ours} == {
        "a": "full (FlanT5-XL)",
        "b": "w/o instruction-aware visual features (FlanT5-XL)",
        "c": "w/o data balancing (FlanT5-XL)",
    }
    assert [ours.found["HeldIn_avg"].value for ours in found.ours] == [50, 50, 50]
    vicuna = printed(found, "w/o data balancing (Vicuna-7B)")
    assert "GQA" in vicuna.recalled
    assert "IconQA" not in vicuna.recalled


def test_an_average_without_one_of_its_datasets_is_left_empty(tmp_path):
    (ours,) = made("table2", examine(tmp_path / "a", shares={"okvqa": [0, 1], "gqa": [0, 1]})).ours
    assert set(ours.found) == {"GQA"}


def test_table3_takes_only_what_was_tuned_on_that_dataset(tmp_path):
    shares = {"aokvqa": [100, 0], "okvqa": [50, 50]}
    mixture = examine(tmp_path / "a", shares=shares)
    alone = examine(tmp_path / "b", shares=shares, data={"held_in": ["aokvqa"]}, evaluate={"split": "val"})
    assert made("table3", mixture).ours == []
    (ours,) = made("table3", mixture, alone).ours
    assert set(ours.found) == {"A-OKVQA_MC_val"}
    assert ours.differences["A-OKVQA_MC_val"].value == pytest.approx(50 - 80.2)
    assert ours.against == "BLIP-2 (FlanT5-XXL)", "the training began with the start"


def test_the_official_suites_test_of_aokvqa_is_the_papers_val(tmp_path):
    tuned = {"data": {"downstream": "aokvqa"}, "evaluate": {"split": "test"}}
    found = made("table3", examine(tmp_path / "a", shares={"aokvqa": [100, 0]}, suite="official", **tuned))
    assert set(found.ours[0].found) == {"A-OKVQA_MC_val"}
    assert any("A-OKVQA's test answers are not public" in note for note in found.notes)
    micro = made("table3", examine(tmp_path / "b", shares={"aokvqa": [100, 0]}, **tuned))
    assert set(micro.ours[0].found) == {"A-OKVQA_MC_test"}
    assert not any("A-OKVQA" in note for note in micro.notes)


def test_aokvqas_direct_answers_have_their_column(tmp_path):
    shares = {"aokvqa": [100, 0], "aokvqa_direct": [100, 0, 100, 100]}
    tuned = {"data": {"downstream": "aokvqa"}, "shares": shares}
    (ours,) = made("table3", examine(tmp_path / "a", suite="official", **tuned)).ours
    assert set(ours.found) == {"A-OKVQA_DA_val", "A-OKVQA_MC_val"}
    assert (ours.found["A-OKVQA_DA_val"].value, ours.counts["A-OKVQA_DA_val"]) == (75, 4)
    assert ours.differences["A-OKVQA_DA_val"].value == pytest.approx(75 - 57.6)
    (micro,) = made("table3", examine(tmp_path / "b", **tuned)).ours
    assert set(micro.found) == {"A-OKVQA_DA_test", "A-OKVQA_MC_test"}


def test_what_stands_beside_the_tables_is_printed_with_them(tmp_path):
    beside = {("visdial", "recall@5"): [100, 0, 0, 0], ("scienceqa", "accuracy: language"): [100]}
    of_one_seed = {("visdial", "ndcg"): [1]}
    for seed, known in ((1, beside), (2, beside | of_one_seed)):
        examine(tmp_path / f"outputs/evaluate/{seed}", seed=seed, suite="official", beside=known)
    found, path = publish("table1", tmp_path, HELD_IN)
    assert found.ours[0].group.beside == ["visdial recall@5", "scienceqa accuracy: language"]
    assert "| visdial recall@5 | 25.0 | 4 |\n| **" in path.read_text()
    section = path.with_suffix(".html").read_text()
    assert "<td>scienceqa accuracy: language</td><td>100.0</td><td>1</td>" in section
    with path.with_suffix(".csv").open() as opened:
        lines = [line for line in csv.DictReader(opened) if line["kind"] == "beside"]
    assert [(line["column"], float(line["value"]), line["n"]) for line in lines] == [
        ("visdial recall@5", 25, "4"),
        ("scienceqa accuracy: language", 100, "1"),
    ]


def test_how_many_answers_the_videos_rank_is_said(tmp_path):
    shares, data = {"msvd_qa": [0, 30]}, {"answer_vocabulary": 1500}
    page = made("table1", examine(tmp_path / "a", shares=shares, suite="official", data=data))
    assert "rank the 1,500 most frequent answers" in " ".join(page.notes)
    micro = made("table1", examine(tmp_path / "b", shares=shares, data=data))
    assert "most frequent answers" not in " ".join(micro.notes)


def test_another_set_of_vizwiz_than_the_papers_is_said(tmp_path):
    for called, said in (("official", True), ("micro", False)):
        page = made("table1", examine(tmp_path / called, shares={"vizwiz": [0, 30]}, suite=called))
        assert ("test-dev" in " ".join(page.notes)) == said


@pytest.mark.parametrize("kind", ["cells", "runs"])
def test_the_start_and_tuned_weights_are_different_beginnings(kind, tmp_path):
    """The examinations' own records differ in the hash of the weights alone, which every seed has."""
    data = {"data": {"downstream": "scienceqa"}, "shares": {"scienceqa": [0, 100]}}
    folders = []
    for seed in (1, 2):
        for name, after in (("tuned", ""), ("fine_tuned", f"tuned{seed}"), ("fine_start", "")):
            trained = record("tune", "instruct", 1.0) | {"name": "instruct", "kind": "tune", "seed": seed}
            trained |= {"signature": f"{name}{seed}", "config": {"train": {"seed": seed}}}
            trained["hashes"] = {"config": f"{seed}", **({"after": after} if after else {})}
            trained["result"] = {"weights_sha256": f"{name}{seed}"}
            if name != "tuned":
                weights = f"{name}{seed}"
                folders.append(examine(tmp_path / f"{name}@{seed}", seed=seed, weights=weights, **data))
            place = f"{name}@{seed}/tune.json" if kind == "cells" else f"{name}{seed}/record.json"
            files.write_sealed(tmp_path / place, trained)
    found = groups(folders)
    assert [(group.after, list(group.seeds)) for group in found] == [(True, [1, 2]), (False, [1, 2])]
    rows = made("table3", *folders).ours
    assert [row.against.partition(" (")[0] for row in rows] == ["InstructBLIP", "BLIP-2"]
    assert len({row.title for row in rows}) == 2


def test_a_training_that_nobody_asked_for_may_be_damaged_or_edited(tmp_path):
    folder = examine(tmp_path / "a", weights="w", data={"downstream": "okvqa"}, shares={"okvqa": [40, 60]})
    trained = record("tune", "instruct", 1.0) | {"name": "instruct", "kind": "tune", "signature": "t"}
    trained |= {"hashes": {"after": "earlier"}, "result": {"weights_sha256": "w"}}
    files.write_sealed(tmp_path / "t/record.json", trained)
    assert [group.after for group in groups([folder])] == [True]
    files.write_json(tmp_path / "t/record.json", trained | {"seed": 9, "seal": files.digest(trained)})
    assert [group.after for group in groups([folder])] == [False], "an edited record is no evidence"
    (tmp_path / "t/record.json").write_text('{"kind": "tune", ')
    assert [group.after for group in groups([folder])] == [False]


def test_a_file_that_is_gone_is_named(tmp_path):
    folder = examine(tmp_path / "a", beside={("visdial", "ndcg"): [0, 100]})
    (folder / "details.parquet").unlink()
    with pytest.raises(ReportError, match=r"details\.parquet is not what .*record\.json says"):
        groups([folder])


def test_what_was_fine_tuned_belongs_into_table3_alone(tmp_path):
    tuned = examine(tmp_path / "a", shares={"okvqa": [40, 60]}, data={"downstream": "okvqa"})
    assert [made(table, tuned).ours for table in ("table1", "table2", "figure4")] == [[], [], []]
    (ours,) = made("table3", tuned).ours
    assert (ours.against, ours.found["OKVQA"].value) == ("BLIP-2 (FlanT5-XXL)", 50)


@pytest.mark.parametrize("name", ["Salesforce/instructblip-flan-t5-xl", "w/instruct_blip_flanxl_trimmed.pth"])
def test_a_published_instructblip_is_not_compared_with_blip2(name, tmp_path):
    published = examine(tmp_path / "a", row="blip2", model={"checkpoint": [name]})
    (ours,) = made("table1", published).ours
    assert (ours.title, ours.against) == ("InstructBLIP as published, T5", "InstructBLIP (FlanT5-XL)")
    assert made("figure4", published).ours[0].against == "InstructBLIP (instruction tuning)"


def test_a_folder_above_says_nothing_of_the_model(tmp_path):
    start = examine(tmp_path / "a", row="blip2", model={"checkpoint": ["/home/instructblip-xxl/blip2"]})
    assert made("table1", start).ours[0].against == "BLIP-2 (FlanT5-XL)"


@pytest.mark.parametrize(
    ("model", "family"),
    [
        ({"checkpoint": ["google-bert/bert-base-uncased", "Salesforce/blip2-flan-t5-xxl"]}, "FlanT5-XXL"),
        ({"start": "backbones/official/flant5xxl"}, "FlanT5-XXL"),
        ({"start": "backbones/official/vicuna13b", "language_model": "llama"}, "Vicuna-13B"),
        ({"start": "backbones/official/vicuna7b", "language_model": "llama"}, "Vicuna-7B"),
    ],
)
def test_the_counterpart_is_as_large(model, family, tmp_path):
    group = examine(tmp_path / "a", model=model)
    assert made("table1", group).ours[0].against == f"InstructBLIP ({family})"


def test_figure4_averages_the_papers_datasets(tmp_path):
    outputs = write_outputs(tmp_path / "outputs", 6)
    page = made("figure4", *find(outputs / "evaluate"))
    assert [ours.against for ours in page.ours] == [row.name for row in page.paper]
    frame = pd.read_json(outputs / "evaluate/instruct/scores.jsonl", lines=True)
    values = frame[~frame["blind"]].set_index("dataset")["value"]
    instruct = page.ours[-1]
    assert instruct.found["held_out_avg"].value == pytest.approx(values[list(suite().figure4)].mean())
    assert instruct.found["held_in_avg"].value == pytest.approx(values[list(HELD_IN)].mean())


def test_every_column_of_the_paper_is_a_dataset_of_the_catalogue():
    assert {name for names in COLUMNS.values() for name in names} <= set(BY_NAME)
    assert {name for name, _ in BY_SPLIT.values()} <= {*BY_NAME, *SECOND}


@pytest.fixture
def root(tmp_path):
    examine(tmp_path / "outputs/evaluate/instruct", shares={"gqa": [0, 100], "vsr": [100, 100]})
    return tmp_path


def test_files_say_that_it_is_micro_and_leave_blank_what_is_missing(root):
    found, path = publish("table1", root, HELD_IN)
    text = path.read_text()
    assert "micro suite's" in text
    line = next(line for line in text.splitlines() if line.startswith("| **instruction tuning"))
    cells = [cell.strip() for cell in line.split("|")[3:-1]]
    assert len(cells) == 13
    assert cells[2].startswith("50.0 [")
    assert cells[0] == ""  # NoCaps was not scored
    assert "minus" in text
    with (path.parent / "table1.csv").open() as opened:
        lines = list(csv.DictReader(opened))
    assert len(lines) == 12 * 13
    ours = {line["column"]: line for line in lines if line["kind"] == "ours"}
    assert (ours["NoCaps"]["value"], ours["NoCaps"]["difference"], ours["NoCaps"]["n"]) == ("", "", "")
    assert float(ours["GQA"]["difference"]) == pytest.approx(1.6)
    assert found.notes[0] in text


def test_the_official_suite_is_not_called_micro(tmp_path):
    examine(tmp_path / "outputs/evaluate/instruct", suite="official")
    assert "micro" not in publish("table1", tmp_path, HELD_IN)[1].read_text()


def test_the_section_nests_and_is_escaped(root):
    class Nested(html.parser.HTMLParser):
        open = ()

        def handle_starttag(self, tag, attrs):
            self.open = (*self.open, tag)

        def handle_endtag(self, tag):
            assert self.open[-1] == tag
            self.open = self.open[:-1]

    for table in ("table1", "table2", "table3", "figure4"):
        reader = Nested()
        reader.feed(publish(table, root, HELD_IN)[1].with_suffix(".html").read_text())
        assert reader.open == ()


def test_two_writings_are_equal_byte_by_byte(root):
    _, path = publish("table2", root, HELD_IN)
    first = [path.with_suffix(kind).read_bytes() for kind in (".md", ".csv", ".html")]
    publish("table2", root, HELD_IN)
    assert first == [path.with_suffix(kind).read_bytes() for kind in (".md", ".csv", ".html")]


def test_a_studys_cells_are_examinations(tmp_path):
    folder = write_study(tmp_path / "outputs", seeds=(101, 102), examples=4)
    assert len(find(folder)) == 6


def test_a_checkpoint_stands_for_the_examination_of_its_weights(root):
    tuned = root / "outputs/tune/instruct"
    tuned.mkdir(parents=True)
    (tuned / "best.safetensors").write_bytes(b"weights")
    with pytest.raises(ReportError, match="was never examined"):
        publish("table1", root, HELD_IN, tuned)
    mark = files.file_sha256(tuned / "best.safetensors")
    examine(root / "runs/abc", weights=mark, shares={"gqa": [100, 100]})
    found, _ = publish("table1", root, HELD_IN, tuned)
    assert [ours.group.signatures for ours in found.ours] == [["abc"]]
    assert found.ours[0].found["GQA"].value == 100


def test_a_start_stands_for_the_examination_of_itself_untuned(root):
    start = root / "backbones/official/instructblip"
    with pytest.raises(ReportError, match=r"instructblip was never examined; run `workbench evaluate blip2`"):
        publish("table1", root, HELD_IN, start, starts=["abc"])
    examine(root / "runs/own", row="blip2", start="abc", shares={"gqa": [100, 0]})
    examine(root / "runs/tuned", start="abc", weights="w", shares={"gqa": [100, 100]})
    examine(root / "runs/other", row="blip2", start="def", shares={"gqa": [0, 0]})
    found, _ = publish("table1", root, HELD_IN, start, starts=["abc"])
    assert [ours.group.signatures for ours in found.ours] == [["own"]]


def test_a_studys_copy_stands_for_a_run_that_is_gone_and_damage_elsewhere_is_no_matter(tmp_path, caplog):
    (tmp_path / "tuned").mkdir()
    (tmp_path / "tuned/best.safetensors").write_bytes(b"weights")
    mark = files.file_sha256(tmp_path / "tuned/best.safetensors")
    examine(tmp_path / "outputs/studies/own/cells/full@101", weights=mark, shares={"gqa": [100, 100]})
    (examine(tmp_path / "runs/torn") / "record.json").write_text("{")
    (examine(tmp_path / "runs/other") / "scores.jsonl").write_text("")
    found, _ = publish("table1", tmp_path, HELD_IN, tmp_path / "tuned")
    assert found.ours[0].found["GQA"].value == 100
    assert "torn/record.json is left out" in caplog.text


def test_without_records_the_papers_rows_stand_alone(tmp_path):
    found, path = publish("figure4", tmp_path, HELD_IN)
    assert found.ours == []
    assert "no row of ours" in path.read_text()
    assert "52.9" in path.read_text()


def test_what_is_wrong_is_named(root):
    folder = root / "outputs/evaluate/instruct"
    with pytest.raises(ReportError, match="holds no examination"):
        find(root / "elsewhere")
    twice = shutil.copytree(folder, root / "outputs/evaluate/twice")
    assert len(groups([folder, twice])) == 1  # a copy
    again = examine(root / "again", shares={"gqa": [0, 0], "vsr": [100, 100]})
    with pytest.raises(ReportError, match="have the same seed and configuration"):
        groups([folder, again])
    (folder / "scores.jsonl").write_text((folder / "scores.jsonl").read_text() + "\n")
    with pytest.raises(ReportError, match=r"scores\.jsonl is not what"):
        groups([folder])
    raw = files.read_json(twice / "record.json")
    files.write_json(twice / "record.json", raw | {"seed": 9})
    with pytest.raises(ReportError, match="was edited"):
        groups([twice])
    kept = {key: raw[key] for key in raw if key not in ("suite", "seal")}
    files.write_json(twice / "record.json", kept)
    with pytest.raises(ReportError, match="has no seal"):
        groups([twice])
    files.write_sealed(twice / "record.json", kept)
    with pytest.raises(ReportError, match="has no field 'suite'"):
        groups([twice])


def test_seeds_that_were_asked_different_examples_do_not_mix(tmp_path):
    one = examine(tmp_path / "a", seed=1, shares={"gqa": [0, 100]})
    other = examine(tmp_path / "b", seed=2, shares={"gqa": [0, 100, 50]})
    with pytest.raises(ReportError, match="were not asked the same of gqa"):
        groups([one, other])

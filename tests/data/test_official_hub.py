"""Datasets of the hub, from folders as a download leaves them; nothing here goes to the network."""
# ruff: noqa: E501 - records and sentences read best whole

from __future__ import annotations

import io
import json
import zipfile

import official_root
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from workbench.config import Config, changed
from workbench.data.images import open_image
from workbench.data.official import hub
from workbench.data.official.check import Check, lines
from workbench.data.official.releases import RELEASES
from workbench.data.official.rows import DataFault
from workbench.data.prepare import load_examples, prepare, read_manifest

REVISION = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture(autouse=True)
def alone(monkeypatch, tmp_path):
    for name, release in official_root.small_releases().items():
        monkeypatch.setitem(RELEASES, name, release)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("HF_HOME", str(tmp_path / "cache"))


def encoded(seed):
    buffer = io.BytesIO()
    Image.new("RGB", (20 + seed, 30), (seed, 0, 0)).save(buffer, "PNG")
    return {"bytes": buffer.getvalue(), "path": None}


def repository(root, name, configs):
    """A folder of a dataset's repository: a card that names its parts, and their rows."""
    card = ["---", "configs:"]
    for config, (split, rows, pictures) in configs.items():
        table = pa.Table.from_pylist(rows)
        features = {name: {"_type": "Image"} for name in pictures}
        if features:
            table = table.replace_schema_metadata(
                {"huggingface": json.dumps({"info": {"features": _features(table, features)}})}
            )
        path = root / "hub" / name / config / f"{split}-00000-of-00001.parquet"
        path.parent.mkdir(parents=True)
        pq.write_table(table, path)
        card += [
            f"- config_name: {config}",
            "  data_files:",
            f"  - split: {split}",
            f"    path: {config}/{split}-*",
        ]
    (root / "hub" / name / "README.md").write_text("\n".join([*card, "---", ""]))


def _features(table, pictures):
    import datasets

    known = datasets.Features.from_arrow_schema(table.schema.remove_metadata()).to_dict()
    return {**known, **pictures}


def prepared(root, dataset, **changes):
    settings = {
        "suite": "official",
        "data.root": str(root),
        "data.datasets": [dataset],
        "data.eval_examples": 9,
    }
    prepare(changed(Config(), {**settings, **changes}), root / "out/prepared", workers=1)
    return load_examples(root / "out/prepared", dataset, "test")


def test_scienceqa_is_read_with_its_pictures(tmp_path):
    row = {"question": "Which?", "choices": ["a", "b"], "answer": 1, "hint": "Look.", "subject": "natural science",
           "grade": "grade2", "topic": "physics", "image": encoded(1)}  # fmt: skip
    repository(tmp_path, "ScienceQA", {"ScienceQA-IMG": ("test", [row], ["image"])})
    official_root.write(tmp_path, "hub.json", {"scienceqa": {"repo": "hub/ScienceQA"}})
    found = tmp_path / "found.zip"
    (example,) = hub.examples(tmp_path, "scienceqa", "test", found)
    assert (example.references, example.fields["context"], example.domain) == (
        ("b",),
        "Look.",
        "natural science",
    )
    with pytest.raises(DataFault, match="cannot be read"):  # there is no validation split in that folder
        list(hub.examples(tmp_path, "scienceqa", "val", found))


def test_gqas_pictures_lie_in_another_part(tmp_path):
    questions = [
        {"id": f"2013{k}", "imageId": "n1", "question": "Is it red?", "answer": "no"} for k in range(2)
    ]
    parts = {
        "testdev_balanced_instructions": ("testdev", questions, []),
        "testdev_balanced_images": ("testdev", [{"id": "n1", "image": encoded(2)}], ["image"]),
    }
    repository(tmp_path, "GQA", parts)
    official_root.write(tmp_path, "hub.json", {"gqa": {"repo": "hub/GQA"}})
    first, second = prepared(tmp_path, "gqa")
    assert first.images == second.images == ("hub/gqa_test.zip/n1.png",)
    assert open_image(tmp_path / "out/prepared", first.images[0]).size == (22, 30)
    assert (first.example_id, first.image_id) == ("gqa_20130", "gqa/n1")
    assert prepared(tmp_path, "gqa") == [first, second], "taken over as it is"


def test_a_picture_that_many_questions_show_is_kept_once(tmp_path):
    rows = [
        {"question_id": 1030 + k, "question": "What?", "answers": ["tea"] * 10, "image": encoded(3)}
        for k in range(3)
    ]
    repository(tmp_path, "OK-VQA", {"default": ("val2014", rows, ["image"])})
    official_root.write(tmp_path, "hub.json", {"okvqa": {"repo": "hub/OK-VQA"}})
    examples = list(hub.examples(tmp_path, "okvqa", "test", tmp_path / "okvqa_test.zip"))
    assert {example.image_id for example in examples} == {"coco/000000000103"}
    assert len({example.images for example in examples}) == 1


ROWS = {
    "aokvqa": (
        "validation",
        {"question_id": "22jb", "question": "What?", "choices": ["cat", "dog"], "correct_choice_idx": 1,
         "direct_answers": "['a dog', 'dog']", "difficult_direct_answer": False},
        ("dog",), ("cat", "dog"), {"question": "What?", "options": "(a) cat (b) dog",
         "direct_answers": '["a dog", "dog"]', "difficult_direct_answer": "no"},
    ),
    "nocaps": ("validation", {"image_id": 7, "annotations_captions": ["A cat.", "The cat."]}, ("A cat.", "The cat."), (), {}),
    "iconqa": (
        "test",
        {"question_id": "9", "question": "How many?", "choices": "2, 3,4", "answer": "3", "ques_type": "choose_txt"},
        ("3",), ("2", "3", "4"), {"question": "How many?", "options": "(a) 2 (b) 3 (c) 4"},
    ),
    "textvqa": (
        "validation",
        {"question_id": 5, "image_id": "x1", "question": "What brand?", "answers": ["acme"] * 10, "ocr_tokens": ["ACME", "1"]},
        ("acme",) * 10, (), {"question": "What brand?", "ocr": "ACME, 1"},
    ),
    "vizwiz": (
        "val", {"question_id": "VizWiz_val_0.jpg", "question": "What is it?", "answers": ["tea"] * 10},
        ("tea",) * 10, (), {"question": "What is it?"},
    ),
}  # fmt: skip


@pytest.mark.parametrize("dataset", ROWS)
def test_a_row_of_a_copy_is_the_example_of_the_official_file(dataset, tmp_path):
    split, row, references, candidates, fields = ROWS[dataset]
    repository(tmp_path, "copy", {"default": (split, [{**row, "image": encoded(4)}], ["image"])})
    official_root.write(tmp_path, "hub.json", {dataset: {"repo": "hub/copy"}})
    (example,) = hub.examples(tmp_path, dataset, "test", tmp_path / "copy_test.zip")
    assert (example.references, example.candidates, dict(example.fields)) == (references, candidates, fields)
    assert example.example_id.startswith(f"{dataset}_")


def test_nocaps_pictures_are_known_as_open_images_where_the_copy_says_so(tmp_path):
    row = {
        "image_id": 7,
        "image_open_images_id": "0a1b",
        "annotations_captions": ["A cat."],
        "image": encoded(4),
    }
    repository(tmp_path, "copy", {"default": ("validation", [row], ["image"])})
    official_root.write(tmp_path, "hub.json", {"nocaps": {"repo": "hub/copy"}})
    (example,) = hub.examples(tmp_path, "nocaps", "test", tmp_path / "copy_test.zip")
    assert (example.example_id, example.image_id) == ("nocaps_7", "openimages/0a1b")


def test_a_copy_of_another_size_leaves_no_pictures_behind(tmp_path):
    row = {"image_id": 7, "annotations_captions": ["A cat."], "image": encoded(4)}
    repository(tmp_path, "copy", {"default": ("validation", [row], ["image"])})
    official_root.write(tmp_path, "hub.json", {"nocaps": {"repo": "hub/copy"}})
    with pytest.raises(DataFault, match="1 examples, but nocaps as published has"):
        prepared(tmp_path, "nocaps")
    assert not list(tmp_path.rglob("nocaps_test.zip"))


def test_what_a_copy_lacks_is_read_from_the_official_files_or_left_out(tmp_path):
    rows = [
        {"question_id": 1030 + k, "question": "What?", "answers": ["tea"] * 10, "image": encoded(3)}
        for k in range(3)
    ]
    repository(tmp_path, "OK-VQA", {"default": ("val2014", rows, ["image"])})
    official_root.write(tmp_path, "hub.json", {"okvqa": {"repo": "hub/OK-VQA"}})
    out = tmp_path / "out/prepared"
    asked = prepared(tmp_path, "okvqa")
    assert read_manifest(out)["datasets"] == {"okvqa": {"val": 3, "test": 3}}
    lacking = "\n".join(lines(Check(tmp_path).dataset("okvqa")))
    assert "okvqa/OpenEnded_mscoco_train2014_questions.json: is missing (for tuning only); get it" in lacking
    official_root._vqa(tmp_path, "okvqa", "", bom=True)
    official_root.picture(tmp_path, "coco/train2014/COCO_train2014_000000000100.jpg")
    assert prepared(tmp_path, "okvqa") == asked
    assert read_manifest(out)["datasets"] == {"okvqa": {"train": 3, "val": 3, "test": 3}}
    (picture,) = {example.images for example in load_examples(out, "okvqa", "train")}
    assert open_image(out, *picture).size == (64, 48)
    line, licence = lines(Check(tmp_path).dataset("okvqa"))
    assert licence.split()[0] == "licence:"
    assert line == "present  okvqa  train 3, val 3, test 3, from the hub: hub/OK-VQA"
    line = next(lines(Check(tmp_path, pictures=False).dataset("okvqa")))
    assert line.startswith("present  okvqa  train 3, from the hub: hub/OK-VQA; its pictures are checked when")


def test_pictures_of_a_copy_in_a_folder_are_compared_with_training(tmp_path):
    official_root.fill(tmp_path)
    known = io.BytesIO()
    trained = tmp_path / "coco/train2014/COCO_train2014_000000000101.jpg"
    Image.open(trained).resize((200, 150)).save(known, "PNG")
    questions = [{"id": n, "imageId": "n1", "question": "Is it red?", "answer": "no"} for n in "12"]
    picture = {"id": "n1", "image": {"bytes": known.getvalue(), "path": None}}
    parts = {
        "testdev_balanced_instructions": ("testdev", questions, []),
        "testdev_balanced_images": ("testdev", [picture], ["image"]),
    }
    repository(tmp_path, "GQA", parts)
    official_root.write(tmp_path, "hub.json", {"gqa": {"repo": "hub/GQA"}})
    examination = Check(tmp_path)
    for name in ("coco_caption", "vqav2", "gqa"):
        assert examination.dataset(name).state == "present", name
    leaks = [sentence for expected, sentence in examination.shared() if not expected]
    assert any("of gqa looks like" in leak and str(trained.name) in leak for leak in leaks), leaks


@pytest.mark.parametrize("karpathys", [True, False])
def test_of_all_pictures_of_flickr30k_karpathys_test_is_read(tmp_path, karpathys):
    captions = [f"A dog {word}." for word in ("runs", "sits", "eats", "naps", "digs")]
    rows = [
        {"image": encoded(k), "caption": captions, "img_id": str(k), "filename": f"{100 + k}.jpg"}
        for k in range(4)
    ]
    repository(tmp_path, "flickr30k", {"default": ("test", rows, ["image"])})
    official_root.write(tmp_path, "hub.json", {"flickr30k": {"repo": "hub/flickr30k"}})
    with pytest.raises(DataFault, match=r"flickr30k/dataset_flickr30k\.json"):
        list(hub.examples(tmp_path, "flickr30k", "test", tmp_path / "x.zip"))
    if karpathys:
        split = [{"filename": f"{100 + k}.jpg", "split": "test" if k in (1, 3) else "val"} for k in range(4)]
        official_root.write(tmp_path, "flickr30k/dataset_flickr30k.json", {"images": split})
    else:
        official_root.write(tmp_path, "flickr30k/test.txt", "101\n103\n", newline="\r\n")
    found = list(hub.examples(tmp_path, "flickr30k", "test", tmp_path / "x.zip"))
    assert [(one.example_id, one.image_id) for one in found] == [
        ("flickr30k_101", "flickr/101"), ("flickr30k_103", "flickr/103"),
    ]  # fmt: skip
    assert {one.references for one in found} == {tuple(captions)}
    with zipfile.ZipFile(tmp_path / "x.zip") as pictures:
        assert len(pictures.namelist()) == 2, "others' pictures are left out"


def test_of_cocos_validation_pictures_karpathys_are_read(tmp_path):
    names = [f"COCO_val2014_{k:012d}.jpg" for k in (7, 8, 9)]
    rows = [
        {"question_id": name, "image": encoded(k), "answer": ["A cat."] * 5} for k, name in enumerate(names)
    ]
    repository(
        tmp_path, "COCO", {"default": ("val", [*rows, {**rows[0], "question_id": "cat.jpg"}], ["image"])}
    )
    official_root.write(tmp_path, "hub.json", {"coco_caption": {"repo": "hub/COCO"}})
    split = [
        {"filename": name, "split": part}
        for name, part in zip(names, ("test", "restval", "val"), strict=True)
    ]
    official_root.write(tmp_path, "coco/dataset_coco.json", {"images": split})
    for part, number in (("test", 7), ("val", 9)):
        (example,) = hub.examples(tmp_path, "coco_caption", part, tmp_path / "x.zip")
        assert (example.example_id, example.image_id) == (f"coco_caption_{number}", f"coco/{number:012d}")
        assert len(example.references) == 5
    official_root.write(
        tmp_path, "coco/dataset_coco.json", {"images": [{"filename": "cat.jpg", "split": "test"}]}
    )
    with pytest.raises(
        DataFault, match="val row 3: the field 'question_id' is not the name of a picture of COCO"
    ):
        list(hub.examples(tmp_path, "coco_caption", "test", tmp_path / "x.zip"))


def test_textcaps_trains_on_each_caption_and_is_examined_on_all_of_a_picture(tmp_path):
    row = {"image": encoded(1), "image_id": "0a", "caption_str": ["A sign.", "A stop sign."]}
    repository(tmp_path, "TextCaps", {"default": ("train", [row], ["image"])})
    official_root.write(tmp_path, "hub.json", {"textcaps": {"repo": "hub/TextCaps"}})
    found = list(hub.examples(tmp_path, "textcaps", "train", tmp_path / "x.zip"))
    assert [(one.example_id, one.references) for one in found] == [
        ("textcaps_0a_0", ("A sign.",)), ("textcaps_0a_1", ("A stop sign.",)),
    ]  # fmt: skip
    assert len({one.images for one in found}) == 1
    examined = tmp_path / "other"
    repository(examined, "TextCaps", {"default": ("val", [row], ["image"])})
    official_root.write(examined, "hub.json", {"textcaps": {"repo": "hub/TextCaps"}})
    (example,) = hub.examples(examined, "textcaps", "test", examined / "x.zip")
    assert (example.image_id, example.references) == ("openimages/0a", ("A sign.", "A stop sign."))


def test_one_of_ten_answers_may_be_empty_and_not_all(tmp_path):
    official_root.write(tmp_path, "hub.json", {"vqav2": {"repo": "hub/VQAv2"}})
    answers = [{"answer": text, "answer_id": k} for k, text in enumerate(["tea", "", *["tea"] * 8])]
    row = {"question_id": 1030, "question": "What?", "answers": answers, "image": encoded(3)}
    empty = {**row, "question_id": 1031, "answers": [{"answer": "", "answer_id": 1}]}
    repository(tmp_path, "VQAv2", {"default": ("validation", [row, empty], ["image"])})
    found = hub.examples(tmp_path, "vqav2", "test", tmp_path / "x.zip")
    assert next(found).references == ("tea", "", *["tea"] * 8)
    with pytest.raises(DataFault, match="validation row 1: has no answer that is not empty"):
        next(found)


def test_a_damaged_picture_is_named(tmp_path):
    broken = {**encoded(4), "bytes": encoded(4)["bytes"][:40]}
    row = {"question_id": "VizWiz_val_1.jpg", "question": "What?", "answers": ["tea"] * 10, "image": broken}
    repository(tmp_path, "VizWiz", {"default": ("val", [row], ["image"])})
    official_root.write(tmp_path, "hub.json", {"vizwiz": {"repo": "hub/VizWiz"}})
    with pytest.raises(DataFault, match=r"hub/VizWiz, val row 0: image hub/VizWiz, val row 0 is truncated"):
        list(hub.examples(tmp_path, "vizwiz", "test", tmp_path / "x.zip"))
    assert not (tmp_path / "x.zip").exists()


@pytest.mark.parametrize(
    ("pins", "says"),
    [
        ({"msvd_qa": {"repo": "x/y", "revision": REVISION}}, "hub.json, msvd_qa: has no copy with pictures"),
        (
            {"gqa": {"repo": "lmms-lab/GQA", "revision": "main"}},
            "the revision 'main' is no commit; run `workbench",
        ),
        ({"gqa": {"repo": "../outside"}}, "the revision '' is no commit"),
        ({"gqa": "lmms-lab/GQA"}, "names no repo"),
        ([], "has to map datasets"),
    ],
)
def test_pins_that_do_not_hold_are_refused(tmp_path, pins, says):
    root = tmp_path / "root"
    (tmp_path / "outside").mkdir()
    official_root.write(root, "hub.json", pins)
    with pytest.raises(DataFault) as raised:
        hub.pinned(root)
    assert says in str(raised.value)


def test_the_hub_is_asked_once_for_a_revision(tmp_path, monkeypatch):
    import huggingface_hub

    class Hub:
        def dataset_info(self, repo):
            assert repo == "lmms-lab/GQA"
            return type("Info", (), {"sha": REVISION})()

    monkeypatch.setattr(huggingface_hub, "HfApi", Hub)
    assert hub.pin(tmp_path, "gqa") == REVISION
    assert hub.pinned(tmp_path) == {"gqa": {"repo": "lmms-lab/GQA", "revision": REVISION}}


def test_offline_is_one_sentence(tmp_path):
    with pytest.raises(DataFault, match=r"hub\.json, gqa: the hub does not answer.*HF_HUB_OFFLINE"):
        hub.pin(tmp_path, "gqa")
    official_root.write(tmp_path, "hub.json", {"nocaps": {"repo": "lmms-lab/NoCaps", "revision": REVISION}})
    with pytest.raises(DataFault, match=r"lmms-lab/NoCaps, validation: cannot be read"):
        list(hub.examples(tmp_path, "nocaps", "test", tmp_path / "x.zip"))


def gqa(root, number="n1", rows=2):
    """A copy of GQA whose rows show one picture of this name."""
    questions = [
        {"id": f"2013{k}", "imageId": number, "question": "Is it red?", "answer": "no"} for k in range(rows)
    ]
    parts = {
        "testdev_balanced_instructions": ("testdev", questions, []),
        "testdev_balanced_images": ("testdev", [{"id": number, "image": encoded(2)}], ["image"]),
    }
    repository(root, "GQA", parts)
    official_root.write(root, "hub.json", {"gqa": {"repo": "hub/GQA"}})


@pytest.mark.parametrize("number", ["../../evil", "/abs", "a/b", "a\\b"])
def test_a_pictures_name_leads_nowhere(tmp_path, number):
    gqa(tmp_path, number)
    with pytest.raises(DataFault, match=r"hub/GQA, testdev row 0: its picture's name .* is none of a file"):
        prepared(tmp_path, "gqa")
    assert not list(tmp_path.rglob("*.zip"))


def test_a_copy_is_checked_as_it_would_be_prepared(tmp_path):
    gqa(tmp_path, rows=3)
    finding = Check(tmp_path).dataset("gqa")
    assert (finding.state, finding.sizes) == ("partial", {"test": 3})
    (said,) = finding.faults
    assert said.startswith("hub.json, test: 3 examples, but gqa as published has 2; get the whole file")
    path = next((tmp_path / "hub/GQA").rglob("testdev_balanced_instructions/*.parquet"))
    rows = pq.read_table(path).to_pylist()
    pq.write_table(pa.Table.from_pylist([rows[0], rows[0], rows[1]]), path)
    finding = Check(tmp_path).dataset("gqa")
    assert (finding.state, finding.sizes) == ("partial", {"test": 2})
    assert [said.partition(";")[0] for said in finding.faults] == ["hub.json, example gqa_20130: its name stands twice"]


@pytest.mark.parametrize("way", ["card", "link"])
def test_a_copy_reads_nothing_outside_its_folder(tmp_path, way):
    root = tmp_path / "root"
    gqa(root)
    copy = root / "hub/GQA"
    path = next(copy.rglob("testdev_balanced_instructions/*.parquet"))
    outside = tmp_path / "outside.parquet"
    path.rename(outside)
    if way == "link":
        path.symlink_to(outside)
    else:
        card = (copy / "README.md").read_text()
        (copy / "README.md").write_text(card.replace("testdev_balanced_instructions/testdev-*", str(outside)))
    with pytest.raises(DataFault, match=r"hub/GQA: reads .*\.parquet, outside its folder; put the file itself"):
        prepared(root, "gqa")


def test_a_folder_outside_the_root_is_no_repository(tmp_path, monkeypatch):
    gqa(tmp_path / "outside")
    root = tmp_path / "root"
    for repo in (str(tmp_path / "outside/hub/GQA"), "outside/GQA"):
        official_root.write(root, "hub.json", {"gqa": {"repo": repo, "revision": REVISION}})
        (tmp_path / "outside/GQA").mkdir(exist_ok=True)
        monkeypatch.chdir(tmp_path)
        with pytest.raises(DataFault, match=r"hub\.json, gqa: .* is neither a repository of the hub nor a folder"):
            prepared(root, "gqa")

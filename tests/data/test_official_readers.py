"""Every official dataset, from files in its publisher's schema to examples."""

from __future__ import annotations

import importlib
import json
import shutil
import zipfile
from pathlib import Path

import official_root
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from workbench.data.catalog import CATALOG, DOWNSTREAM, entry
from workbench.data.images import open_image
from workbench.data.official import vetting
from workbench.data.official.carving import carved
from workbench.data.official.pictures import video_of
from workbench.data.official.releases import RELEASES
from workbench.data.official.rows import DataFault
from workbench.data.templates import evaluation_text

SPLITS = [(name, split) for name, sizes in official_root.SIZES.items() for split in sizes]


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return official_root.fill(tmp_path_factory.mktemp("official"))


def read(name, split, root, note=None):
    source = importlib.import_module(f"workbench.data.sources.{name}")
    return list(source.official(split, root, note) if note else source.official(split, root))


def test_all_26_have_releases_and_held_in_ones_three_splits():
    assert set(RELEASES) == {row.name for row in CATALOG} == set(official_root.SIZES)
    for row in CATALOG:
        parts = RELEASES[row.name].parts
        assert "test" in parts
        tuned_on = row.held_in or row.name in DOWNSTREAM
        assert set(parts) == {"train", "val", "test"} if tuned_on else "train" not in parts


@pytest.mark.parametrize(("name", "split"), SPLITS)
def test_a_split_has_its_examples_and_they_fill_the_prompt(root, name, split):
    examples = read(name, split, root)
    assert len(examples) == official_root.SIZES[name][split]
    assert len({example.example_id for example in examples}) == len(examples)
    for example in examples:
        assert example.dataset == name
        assert any(example.references)
        assert len(example.images) == entry(name).frames
        assert evaluation_text(example)
        if entry(name).decoding == "rank" and entry(name).metric != "exact_match":
            assert example.references[0] in example.candidates
        if video_of(example.images[0]) is None:
            assert open_image(root, example.images[0]).size == (64, 48)
        else:
            assert (root / video_of(example.images[0])).is_file()


def test_karpathys_training_split_leaves_restval_out_and_gives_each_caption(root):
    train = read("coco_caption", "train", root)
    assert {example.image_id for example in train} == {"coco/000000000100", "coco/000000000101"}
    assert all(len(example.references) == 1 for example in train)
    assert train[0].references == ("Ein Käse №0 on tray 0 .",)
    assert len(read("coco_caption", "test", root)[0].references) == 5


def test_questions_and_answers_are_joined_by_id_whatever_their_order(root):
    example = read("okvqa", "test", root)[1]  # the questions' file begins with a byte order mark
    assert example.example_id == "okvqa_1031"
    assert example.references == ("tea", "tea", "thé") * 3 + ("tea",)
    turned = read("okvqa_qg", "test", root)[1]
    assert (turned.example_id, turned.references) == ("okvqa_qg_1031", (example.fields["question"],))
    assert turned.fields == {"answer": "tea"}


def test_difficult_direct_answers_are_marked(root):
    easy, hard = read("aokvqa", "test", root)
    assert [e.fields["difficult_direct_answer"] for e in (easy, hard)] == ["no", "yes"]
    assert hard.references == ("stone",)
    assert hard.fields["options"] == "(a) wood (b) stone (c) glass, tinted (d) iron"


def test_captions_with_words_have_thirty_ocr_tokens_at_most(root):
    first, second = read("textcaps", "test", root)
    assert first.fields["ocr"] == ""
    assert second.fields["ocr"].split(", ") == [f"w{k}" for k in range(30)]
    assert len(second.references) == 5
    assert len(read("textcaps", "train", root)[0].references) == 1


def test_an_image_of_llava_is_in_the_same_split_of_its_three_sets(root):
    for split in ("train", "val", "test"):
        sets = [read(f"llava_{kind}", split, root) for kind in ("conversation", "detail", "reasoning")]
        assert len({examples[0].image_id for examples in sets}) == 1
    assert sets[0][0].fields == {"question": "What is 0?"}
    assert sets[0][0].references == ("It is 0.\nMore of it.",)


def test_coco_files_of_2014_and_2017_are_found_under_either_name(root):
    assert read("aokvqa", "val", root)[0].images == ("coco/val2014/COCO_val2014_000000000103.jpg",)
    assert read("vsr", "test", root)[0].images == ("coco/train2017/000000050403.jpg",)


def test_both_schemas_of_vsr_are_read(root):
    old, new = read("vsr", "test", root)
    assert (old.references, new.references) == (("true",), ("false",))
    assert old.fields == {"statement": "The teddy bear is in front of the person."}


def test_visual_dialog_is_looked_up_in_its_tables(root):
    first, second = read("visdial", "test", root)[:2]
    assert first.candidates[:5] == ("2", "i can't tell", "no", "yes", "answer 4")
    assert len(first.candidates) == 100
    assert first.references == ("2",)
    assert first.fields["history"] == "a man on a horse."
    assert second.fields["history"] == "a man on a horse. is it sunny? no."
    assert second.fields["question"] == "is he old"
    assert second.fields["relevance"].startswith("0.0 0.4 1.0 0.0 ")
    assert "relevance" not in first.fields


def test_all_ten_vizwiz_answers_count_however_sure(root):
    sure, unanswerable = read("vizwiz", "test", root)
    assert sure.references == ("can", "") * 5
    assert unanswerable.references[0] == "unanswerable"


def test_scienceqa_takes_problems_with_an_image(root):
    (only,) = read("scienceqa", "test", root)
    assert only.fields["context"] == "A hint.\nWith a line."
    assert (only.references, only.domain) == (("solid",), "natural science")


def test_videos_are_found_by_mapping_and_ranked_by_training_answers(root):
    example = read("msvd_qa", "test", root)[2]
    assert example.candidates[:3] == ("cut", "cook", "word 000")
    assert len(example.candidates) == 1000
    assert example.references == ("cook",)
    assert example.images == tuple(f"msvd_qa/videos/yt3_0_5.avi.zip/{k}.png" for k in range(4))
    assert read("ivqa", "test", root)[0].references == ("milk", "milk", "cream", "milk")


def test_msvd_is_read_from_csv_as_well(root, tmp_path):
    for split, size in (("train", 1000), ("test", 1)):
        rows = "".join(f"1451,600,480,who opened it,someone {k},{37348 + k}\n" for k in range(size))
        head = "video,width,height,question,answer,qid\n"
        official_root.write(tmp_path, f"msvd_qa/{split}.csv", head + rows)
    (example,) = read("msvd_qa", "test", tmp_path)
    assert (example.example_id, example.image_id) == ("msvd_qa_37348", "msvd_qa/vid1451")


def test_flickr_is_read_from_its_token_file_and_a_list(tmp_path):
    token = "".join(f"{i}.jpg#{k}\tTwo “men” {k} .\n" for i in (1, 2, 3) for k in range(5))
    official_root.write(tmp_path, "flickr30k/results_20130124.token", token, newline="\r\n")
    official_root.write(tmp_path, "flickr30k/test.txt", "2\n3\n")
    two, three = read("flickr30k", "test", tmp_path)
    assert (two.image_id, three.image_id) == ("flickr/2", "flickr/3")
    assert two.references[4] == "Two “men” 4 ."


def test_ocr_vqa_takes_tokens_where_there_are_some(root, tmp_path):
    books = json.loads((root / "ocrvqa/dataset.json").read_text())
    official_root.write(tmp_path, "ocrvqa/dataset.json", books)
    tokens = {"data": [{"image_id": "B00TEST0XX", "ocr_tokens": ["Moo,", "Baa"]}]}
    official_root.write(tmp_path, "ocrvqa/ocr_tokens.json", tokens)
    assert read("ocrvqa", "test", root)[0].fields["ocr"] == ""
    assert read("ocrvqa", "test", tmp_path)[0].fields["ocr"] == "Moo,, Baa"


def test_pictures_in_archives_are_found(tmp_path):
    record = {"question": "?", "answer": "no", "imageId": "n1"}
    official_root.write(tmp_path, "gqa/testdev_balanced_questions.json", {"1": record})
    picture = official_root.picture(tmp_path, "n1.jpg")
    for inside in ("images/n1.jpg", "n1.jpg"):
        with zipfile.ZipFile(tmp_path / "gqa/images.zip", "w") as archive:
            archive.write(picture, inside)
        assert read("gqa", "test", tmp_path)[0].images == (f"gqa/images.zip/{inside}",)


RIGHT = {"question": "Is it?", "answer": "no", "imageId": "n1"}
FAULTS = {
    "missing answer": ({"answer": None}, "the field 'answer' is missing"),
    "empty question": ({"question": " "}, "'question' is empty"),
    "number for text": ({"question": 3}, "'question' has to be text, not 3"),
    "climbs out": ({"imageId": "../../etc/x"}, "leads out of gqa/images"),
    "absolute": ({"imageId": "/etc/x"}, "leads out of gqa/images"),
    "backslash": ({"imageId": "..\\x"}, "leads out of gqa/images"),
    "drive": ({"imageId": "C:x"}, "leads out of gqa/images"),
}


@pytest.mark.parametrize("case", FAULTS)
def test_a_record_with_a_fault_is_named_and_the_others_are_read(tmp_path, case):
    change, says = FAULTS[case]
    records = {"1": {**RIGHT, **change}, "2": RIGHT}
    official_root.write(tmp_path, "gqa/testdev_balanced_questions.json", records)
    with pytest.raises(DataFault, match=r"gqa/testdev_balanced_questions\.json, record '1'") as raised:
        read("gqa", "test", tmp_path)
    assert says in str(raised.value)
    noted = []
    assert [e.example_id for e in read("gqa", "test", tmp_path, noted.append)] == ["gqa_2"]
    assert [str(fault) for fault in noted] == [str(raised.value)]


def test_a_link_out_of_the_root_is_refused(tmp_path):
    root, right = tmp_path / "root", {"1": RIGHT}
    official_root.write(root, "gqa/testdev_balanced_questions.json", right)
    (root / "gqa/images").mkdir()
    (root / "gqa/images/n1.jpg").symlink_to(official_root.picture(tmp_path, "secret.jpg"))
    with pytest.raises(DataFault, match="outside the data root"):
        read("gqa", "test", root)
    (root / "gqa/testdev_balanced_questions.json").unlink()
    (root / "gqa/testdev_balanced_questions.json").symlink_to(official_root.write(tmp_path, "q.json", right))
    with pytest.raises(DataFault, match="outside the data root"):
        read("gqa", "test", root)


def test_a_table_that_is_too_short_is_named(root, tmp_path):
    content = json.loads((root / "visdial/visdial_1.0_val.json").read_text())
    content["data"]["answers"] = content["data"]["answers"][:3]
    official_root.write(tmp_path, "visdial/visdial_1.0_val.json", content)
    with pytest.raises(DataFault, match=r"record 0, dialog\[0\]: points to number 3 of answers"):
        read("visdial", "test", tmp_path)


@pytest.mark.parametrize(
    ("options", "relevance", "says"),
    [
        ([3, 2, 1, 0], [0.0] * 100, r"record 0, dialog\[0\]: has 4 answer_options, not 100"),
        (list(range(100)), [0.0, 0.4], r"record 0, dialog\[1\]: has 2 relevances in .*dense.*, not 100"),
        (list(range(100)), 5, r"annotations\.json, record 0: the field 'gt_relevance' has to be a list"),
        (list(range(100)), ["x"] * 100, "the field 'gt_relevance' has to be a list of numbers"),
    ],
)
def test_a_round_has_a_hundred_options(root, tmp_path, options, relevance, says):
    content = json.loads((root / "visdial/visdial_1.0_val.json").read_text())
    content["data"]["dialogs"][0]["dialog"][0]["answer_options"] = options
    official_root.write(tmp_path, "visdial/visdial_1.0_val.json", content)
    dense = [{"image_id": 185565, "round_id": 2, "gt_relevance": relevance}]
    official_root.write(tmp_path, "visdial/visdial_1.0_val_dense_annotations.json", dense)
    with pytest.raises(DataFault, match=says):
        read("visdial", "test", tmp_path)


def test_too_few_answers_for_the_vocabulary_are_named(root, tmp_path):
    rows = [{"answer": "cut", "id": 1, "question": "what?", "video_id": 1}]
    for split in ("train", "test"):
        official_root.write(tmp_path, f"msrvtt_qa/{split}_qa.json", rows)
    with pytest.raises(DataFault, match=r"msrvtt_qa/train_qa\.json: holds too few.*answer_vocabulary"):
        read("msrvtt_qa", "test", tmp_path)


def test_web_capfilt_without_pictures_says_what_to_do(tmp_path):
    official_root.write(
        tmp_path, "web_capfilt/annotations.json", [{"url": "http://x/y.jpg", "caption": "a dog"}]
    )
    with pytest.raises(DataFault, match="has a url and no image file; fetch it with img2dataset"):
        read("web_capfilt", "train", tmp_path)


def test_a_question_without_answers_is_named(root, tmp_path):
    for name in ("questions", "annotations"):
        file = f"okvqa/{'OpenEnded_' * (name == 'questions')}mscoco_val2014_{name}.json"
        content = json.loads((root / file).read_text(encoding="utf-8-sig"))
        if name == "annotations":
            content["annotations"].pop()
        official_root.write(tmp_path, file, content)
    with pytest.raises(DataFault, match=r"question 1030 has 0 entries in okvqa/mscoco_val2014_annota"):
        read("okvqa", "test", tmp_path)


def test_the_layout_is_written_down():
    from workbench.data.official import releases

    text = (Path(releases.__file__).parent / "README.md").read_text(encoding="utf-8")
    assert releases.table() in text


def test_what_img2dataset_fetched_is_read_as_it_lies(tmp_path):
    shard = [
        {"key": f"{n:09d}", "url": f"https://example.org/{n}", "caption": f"a dog {n}", "status": status}
        for n, status in enumerate(("success", "failed_to_download", "success", "success"))
    ]
    folder = tmp_path / "web_capfilt/images"
    folder.mkdir(parents=True)
    pq.write_table(pa.Table.from_pylist(shard[:2]), folder / "00000.parquet")
    pq.write_table(pa.Table.from_pylist(shard[2:]), folder / "00001.parquet")
    for name in ("00000/000000000.jpg", "00001/000000002.jpg"):
        official_root.picture(tmp_path, f"web_capfilt/images/{name}")
    lacking = []
    found = list(vetting.examples(tmp_path, "web_capfilt", "train", lacking.append))
    assert [(one.example_id, one.images, one.references) for one in found] == [
        ("web_capfilt_000000000", ("web_capfilt/images/00000/000000000.jpg",), ("a dog 0",)),
        ("web_capfilt_000000002", ("web_capfilt/images/00001/000000002.jpg",), ("a dog 2",)),
    ]
    unfetched, gone = map(str, lacking)
    assert unfetched.startswith("web_capfilt/images/00000.parquet, row 1: has a url and no image file; fetch")
    assert gone.startswith("web_capfilt/images/00001/000000003.jpg, the picture of web_capfilt_000000003: is")
    assert [read("web_capfilt", split, tmp_path) for split in ("val", "test")] == [[], []]
    (folder / "00001.parquet").write_bytes((folder / "00001.parquet").read_bytes()[:-9])
    with pytest.raises(DataFault, match=r"web_capfilt/images/00001\.parquet, row 0: is broken or cut off"):
        read("web_capfilt", "train", tmp_path, lacking.append)


def test_a_web_picture_is_of_the_same_split_whatever_its_file_is_called(tmp_path):
    urls = (f"https://example.org/{n}" for n in range(100_000))
    url = next(url for url in urls if carved(url, 2800) == "val")
    for name in ("a.jpg", "b/c.jpg"):
        official_root.picture(tmp_path, f"web_capfilt/images/{name}")
        row = {"url": url, "image": name, "caption": "a dog"}
        official_root.write(tmp_path, "web_capfilt/annotations.json", [row])
        assert [len(read("web_capfilt", split, tmp_path)) for split in ("train", "val", "test")] == [0, 1, 0]


def test_textvqas_pictures_are_found_in_the_archive_that_it_is_published_in(tmp_path):
    root = official_root.fill(tmp_path)
    pictures = root / "textvqa/train_images"
    with zipfile.ZipFile(root / "textvqa/train_val_images.zip", "w") as archive:
        for path in pictures.iterdir():
            archive.write(path, f"train_images/{path.name}")
    shutil.rmtree(pictures)
    (first, *_) = read("textvqa", "test", root)
    assert first.images[0].startswith("textvqa/train_val_images.zip/train_images/")
    assert open_image(root, first.images[0], own=True).size == (64, 48)
    assert read("textcaps", "test", root)


def test_nobody_learns_to_say_nothing_but_an_examination_counts_it(tmp_path):
    root = official_root.fill(tmp_path)
    for split, wanted in (("train", ("yes",)), ("val", ("", " yes"))):
        file = root / f"okvqa/mscoco_{split}2014_annotations.json"
        content = json.loads(file.read_text(encoding="utf-8-sig"))
        for number, answer in enumerate(content["annotations"][0]["answers"]):
            answer["answer"] = ("", " yes")[number % 2]
        official_root.write(root, file.relative_to(root).as_posix(), content)
        number = content["annotations"][0]["question_id"]
        (found,) = [one for one in read("okvqa", split, root) if one.example_id == f"okvqa_{number}"]
        assert tuple(dict.fromkeys(found.references)) == wanted
        turned = read("okvqa_qg", split, root)
        assert "yes" in {one.fields["answer"] for one in turned}
        assert not [one for one in turned if one.fields["answer"] != one.fields["answer"].strip()]
        content["annotations"][0]["answers"][0]["answer"] = 0
        official_root.write(root, file.relative_to(root).as_posix(), content)
        with pytest.raises(DataFault, match="'answer' has to be text, not 0"):
            read("okvqa", split, root)


def test_one_of_an_images_captions_may_be_empty_and_not_all(tmp_path):
    root = official_root.fill(tmp_path)
    file = root / "flickr30k/dataset_flickr30k.json"
    content = json.loads(file.read_text(encoding="utf-8-sig"))
    for image in content["images"]:
        image["sentences"][1]["raw"] = " "
    official_root.write(root, "flickr30k/dataset_flickr30k.json", content)
    assert [len(one.references) for one in read("flickr30k", "test", root)] == [4]
    for image in content["images"]:
        image["sentences"] = [{"raw": ""}]
    official_root.write(root, "flickr30k/dataset_flickr30k.json", content)
    with pytest.raises(DataFault, match="has no caption that is not empty"):
        read("flickr30k", "test", root)


def test_a_list_of_answers_takes_the_place_of_the_training_answers(tmp_path):
    root = official_root.fill(tmp_path)
    for dataset, name in (("msvd_qa", "qa_ans2label"), ("msrvtt_qa", "train_ans2label")):
        official_root.write(root, f"{dataset}/{name}.json", {"sing": 1, "cut": 0, "a man": 2})
        assert {one.candidates for one in read(dataset, "test", root)} == {("cut", "sing", "a man")}
    official_root.write(root, "msvd_qa/qa_ans2label.json", {"sing": "one"})
    with pytest.raises(DataFault, match=r"msvd_qa/qa_ans2label\.json.*'sing' has to be a whole number"):
        read("msvd_qa", "test", root)


def test_marks_of_a_dialogue_stand_once(tmp_path):
    root = official_root.fill(tmp_path)
    file = root / "visdial/visdial_1.0_val.json"
    content = json.loads(file.read_text(encoding="utf-8-sig"))
    data = content["data"]
    data["dialogs"][0]["caption"] = "a man."
    first = data["dialogs"][0]["dialog"][0]
    data["questions"][first["question"]], data["answers"][first["answer"]] = "is it outside?", "no"
    official_root.write(root, "visdial/visdial_1.0_val.json", content)
    found = read("visdial", "test", root)
    assert found[0].fields["history"] == "a man."
    assert found[1].fields["history"] == "a man. is it outside? no."

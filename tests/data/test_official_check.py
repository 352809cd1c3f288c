"""`workbench data check` on an empty root, a half-filled one and one with planted faults."""

from __future__ import annotations

import json
import shutil
import sys
import zipfile
from dataclasses import replace
from pathlib import Path

import official_root
import pytest
from PIL import Image
from typer.testing import CliRunner

from workbench.cli import app
from workbench.data.official import check, lookup
from workbench.data.official.check import Check, archive_faults, lines
from workbench.data.official.releases import RELEASES
from workbench.files import FullDisk


@pytest.fixture
def small(monkeypatch):
    for name, release in official_root.small_releases().items():
        monkeypatch.setitem(RELEASES, name, release)


@pytest.fixture(scope="module")
def filled(tmp_path_factory):
    return official_root.fill(tmp_path_factory.mktemp("official"))


def checked(*arguments):
    done = CliRunner().invoke(app, ["data", "check", *map(str, arguments)])
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
    return done.exit_code, done.output


def test_an_empty_root_lacks_everything_and_says_where_it_is_to_be_had(tmp_path):
    code, said = checked(tmp_path)
    assert code == 1
    assert [line.split()[1] for line in said.splitlines() if line.startswith("missing")] == list(RELEASES)
    for release in RELEASES.values():
        assert f"licence: {release.licence}; get it: {release.home}" in said
    assert "vsr/test.jsonl: is missing" in said
    assert "vsr/dev.jsonl: is missing (for development only)" in said


def test_a_whole_root_is_present(filled, small):
    code, said = checked(filled)
    states = {line.split()[1]: line for line in said.splitlines() if line.startswith(("present", "partial"))}
    assert set(states) == set(RELEASES)
    assert all(line.startswith("present") for line in states.values()), said
    assert "present  visdial  test 20" in said
    assert code == 0, said


def test_the_papers_sizes_are_asked_for(filled):
    code, said = checked(filled, "gqa", "--quick")
    assert code == 1
    assert "partial  gqa  test 2" in said
    assert "gqa/testdev_balanced_questions.json, test: 2 examples, but gqa as published has 12,578" in said


def test_fewer_web_pictures_than_the_papers_are_stated(filled, monkeypatch):
    part = replace(RELEASES["web_capfilt"].parts["train"], examples=5)
    parts = {**official_root.small_releases()["web_capfilt"].parts, "train": part}
    monkeypatch.setitem(RELEASES, "web_capfilt", replace(RELEASES["web_capfilt"], parts=parts))
    code, said = checked(filled, "web_capfilt")
    assert code == 0
    assert said.splitlines()[0] == "present  web_capfilt  train 2 of 5, val 1, test 1"


def test_a_half_filled_root_says_what_is_there_and_what_is_not(tmp_path, filled, small):
    for name in (
        "vsr/test.jsonl",
        "gqa/testdev_balanced_questions.json",
        "okvqa/mscoco_val2014_annotations.json",
    ):
        official_root.write(tmp_path, name, (filled / name).read_text(encoding="utf-8-sig"))
    official_root.picture(tmp_path, "coco/val2017/000000050403.jpg")
    said = checked(tmp_path)[1]
    assert "partial  vsr  test 2\n           vsr/dev.jsonl: is missing (for development only)" in said
    assert (
        "partial  gqa  test 2\n           gqa/images/n161313.jpg, the picture of gqa_20130: is missing"
        in said
    )
    assert "partial  okvqa\n           okvqa/OpenEnded_mscoco_train2014_questions.json: is missing" in said
    assert "missing  nocaps" in said


def test_the_first_faults_are_named_or_all_of_them(tmp_path, monkeypatch):
    monkeypatch.setattr(check, "SHOWN", 1)
    some, every = (checked(tmp_path, "okvqa", *more)[1] for more in ((), ("--all",)))
    lacking = every.count(": is missing")
    assert lacking > 2
    assert some.count(": is missing") == 1
    assert f"and {lacking - 1} more" in some
    assert " more" not in every


def plant(root: Path) -> None:
    """One fault in each of many files."""

    def edit(name, change):
        content = json.loads((root / name).read_text(encoding="utf-8-sig"))
        change(content)
        (root / name).write_text(json.dumps(content))

    edit("okvqa/mscoco_val2014_annotations.json", lambda c: c["annotations"][0].update(answers=[]))
    edit("gqa/testdev_balanced_questions.json", lambda c: c["20130"].update(question=""))
    edit("vizwiz/val.json", lambda c: c.append(c[0]))
    edit("aokvqa/aokvqa_v1p0_val.json", lambda c: c[1].update(correct_choice_idx=4))
    edit(
        "nocaps/nocaps_val_4500_captions.json",
        lambda c: c["images"][1].update(file_name="../../../etc/passwd"),
    )
    edit("textvqa/TextVQA_0.5.1_val.json", lambda c: c["data"].pop())
    path = root / "flickr30k/flickr30k-images/1002.jpg"
    path.write_bytes(path.read_bytes()[:-200])
    (root / "iconqa/test/choose_txt/9/image.png").write_bytes(b"\x89PNG\r\n\x1a\nnot")
    official_root.bomb(root / "hatefulmemes/img/42953.png", 11_000, 10_000)
    video = root / "msvd_qa/videos/yt3_0_5.avi"
    video.write_bytes(video.read_bytes()[:3000])
    (root / "scienceqa/images/test/4/image.png").unlink()
    secret = official_root.picture(root.parent, "secret.png")
    (root / "scienceqa/images/test/4/image.png").symlink_to(secret)
    with (root / "scienceqa/problems.json").open("a") as file:
        file.write("{")
    with (root / "vsr/test.jsonl").open("a") as file:
        file.write('{"image": "000000050403.jpg", "caption": "x", "label": NaN}\r\n')


PLANTED = {
    "okvqa": "okvqa/mscoco_val2014_annotations.json, record 0: has no answer that is not empty",
    "gqa": "gqa/testdev_balanced_questions.json, record '20130': the field 'question' is empty",
    "vizwiz": "vizwiz/val.json, example vizwiz_VizWiz_val_00000000: its name stands twice",
    "aokvqa": "record 1: the field 'correct_choice_idx' is 4, but there are only 4",
    "nocaps": "record 1: the image name '../../../etc/passwd' leads out of nocaps/images",
    "textvqa": "test: 1 examples, but textvqa as published has 2",
    "flickr30k": "flickr30k/flickr30k-images/1002.jpg, the picture of flickr30k_1002: image",
    "iconqa": "iconqa/test/choose_txt/9/image.png, the picture of iconqa_9: image",
    "hatefulmemes": "unpacks to 11000 x 10000 pixels",
    "msvd_qa": "msvd_qa/videos/yt3_0_5.avi: is",
    "scienceqa": "outside the data root",
    "vsr": "vsr/test.jsonl, line 3: is broken or cut off (NaN is no JSON)",
}


def test_planted_faults_are_named_and_nothing_else_is(tmp_path, small):
    root = official_root.fill(tmp_path / "root")
    plant(root)
    examination = Check(root)
    findings = {name: examination.dataset(name) for name in RELEASES}
    partial = {name for name, finding in findings.items() if finding.state == "partial"}
    assert partial == {*PLANTED, "okvqa_qg", "aokvqa_qg"}
    for name, says in PLANTED.items():
        said = "\n".join(lines(findings[name]))
        assert says in said
        assert "get it: " in said
    assert any("is broken or cut off" in fault for fault in findings["scienceqa"].faults)


def test_a_picture_that_is_trained_on_and_tested_is_named(tmp_path, small):
    root = official_root.fill(tmp_path / "root")
    rows = [json.loads(line) for line in (root / "vsr/test.jsonl").read_text().splitlines()]
    rows = [{**row, "image": "000000000100.jpg"} for row in rows]
    official_root.write(root, "vsr/test.jsonl", official_root.lines(rows))
    known = root / "coco/train2014/COCO_train2014_000000000101.jpg"
    Image.open(known).resize((200, 150)).save(
        root / "gqa/images/n161313.jpg", quality=70
    )  # the same, recompressed
    dialogue = root / "visdial/VisualDialog_val2018/VisualDialog_val2018_000000185565.jpg"
    Image.open(known).save(dialogue)
    tokens = json.loads((root / "textvqa/TextVQA_0.5.1_val.json").read_text())
    signs = json.loads((root / "textcaps/TextCaps_0.1_train.json").read_text())
    signs["data"][0]["image_id"] = image = tokens["data"][0]["image_id"]
    official_root.write(root, "textcaps/TextCaps_0.1_train.json", signs)
    names = ("coco_caption", "vqav2", "vsr", "gqa", "visdial", "textcaps", "textvqa")
    code, said = checked(root, *names)
    assert code == 1
    leak = f"1 pictures of textvqa are in the training of textcaps (openimages/{image}); the paper keeps"
    assert f"LEAK     {leak}" in said
    made = "VSR is made of COCO's pictures; its score counts known ones"
    assert f"shared   1 pictures of vsr are in the training of vqav2 (coco/000000000100); {made}" in said
    looks = "gqa/images/n161313.jpg of gqa looks like coco/train2014/COCO_train2014_000000000101.jpg"
    assert f"LEAK     {looks} in the training of coco_caption" in said
    assert "shared   visdial/VisualDialog_val2018" in said


def test_a_held_in_test_that_others_train_on_is_named_and_no_error(tmp_path, small):
    root = official_root.fill(tmp_path / "root")
    rows = json.loads((root / "aokvqa/aokvqa_v1p0_train.json").read_text())
    rows = [{**row, "image_id": 104} for row in rows]  # of Karpathy's test
    official_root.write(root, "aokvqa/aokvqa_v1p0_train.json", rows)
    known = Image.open(root / "coco/val2014/COCO_val2014_000000000104.jpg")
    web = json.loads((root / "web_capfilt/annotations.json").read_text())[0]["image"]
    known.save(root / "web_capfilt/images" / web)
    code, said = checked(root, "coco_caption", "aokvqa", "aokvqa_qg", "web_capfilt")
    shared = [line for line in said.splitlines() if line.startswith(("shared", "LEAK"))]
    why = "both are held-in, where the paper keeps nothing apart; its score counts known pictures"
    both = "coco_caption are in the training of aokvqa (coco/000000000104)"
    assert f"shared   1 pictures of {both}; {why}" in shared
    looks = f"coco/val2014/COCO_val2014_000000000104.jpg of coco_caption looks like web_capfilt/images/{web}"
    assert f"shared   {looks} in the training of web_capfilt; look at both" in shared
    assert not [line for line in shared if "of aokvqa_qg are in the training of aokvqa " in line]
    assert code == 0, said


def packed(folder: Path, archive: Path, prefix: str) -> None:
    """Puts a folder's files into an archive, in place of the folder."""
    with zipfile.ZipFile(archive, "w") as target:
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                target.write(path, prefix + path.relative_to(folder).as_posix())
    shutil.rmtree(folder)


def test_archives_may_hold_folders(tmp_path, small):
    root = official_root.fill(tmp_path / "root")
    for split in ("val", "test"):  # as ScienceQA distributes them
        folder = root / "scienceqa/images" / split
        packed(folder, folder.with_suffix(".zip"), f"{split}/")
    packed(root / "web_capfilt/images", root / "web_capfilt/images.zip", "")  # of shards
    packed(root / "gqa/images", root / "gqa/images.zip", "./")
    packed(root / "vizwiz", root / "vizwiz.zip", "vizwiz/")
    with zipfile.ZipFile(root / "vizwiz.zip") as archive:
        archive.extract("vizwiz/val.json", root)
    examination = Check(root)
    for name in ("scienceqa", "web_capfilt", "gqa", "vizwiz"):
        assert examination.dataset(name).state == "present", name


def test_a_manifest_in_the_root_leads_to_no_other_place(tmp_path, small):
    root = official_root.fill(tmp_path / "root")
    official_root.picture(tmp_path / "outside", "gqa/images/n161313.jpg")
    (root / "gqa/images/n161313.jpg").unlink()
    official_root.write(root, "manifest.json", {"data_root": "../outside"})
    assert "n161313.jpg, the picture of gqa_20130: is missing" in checked(root, "gqa")[1]


def test_unsafe_archives_are_refused(tmp_path):
    link = zipfile.ZipInfo("images/link.jpg")
    link.external_attr = 0o120777 << 16
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as archive:
        archive.writestr("./", b"")
        archive.writestr("images/good.jpg", b"x")
        archive.writestr("../evil.jpg", b"x")
        archive.writestr("/etc/evil.jpg", b"x")
        archive.writestr(link, "/etc/passwd")
    said = [str(fault) for fault in archive_faults(tmp_path, "x.zip")]
    assert [text.partition("; ")[0] for text in said] == [
        "x.zip, member '../evil.jpg': leads out of the archive",
        "x.zip, member '/etc/evil.jpg': leads out of the archive",
        "x.zip, member 'images/link.jpg': is a link",
    ]
    (tmp_path / "y.zip").write_bytes((tmp_path / "x.zip").read_bytes()[:-30])
    assert ["is damaged" in str(fault) for fault in archive_faults(tmp_path, "y.zip")] == [True]
    data = bytearray((tmp_path / "x.zip").read_bytes())
    listed = data.index(b"PK\x01\x02")
    for place, byte in ((6, 99), (46, 0xFF)):  # the version that it needs; its name, said to be UTF-8
        odd = data.copy()
        odd[listed + place], odd[listed + 9] = byte, 0x08
        (tmp_path / "y.zip").write_bytes(odd)
        (fault,) = archive_faults(tmp_path, "y.zip")
        assert str(fault).startswith("y.zip: is damaged"), place


ODD = {
    "vsr: a name of 5,000 digits": (
        "vsr/test.jsonl",
        '{"image": "' + "1" * 5000 + '.jpg", "label": 1, "caption": "x"}',
        "vsr/test.jsonl, line 1: the image '1111",
    ),
    "textvqa: tokens are a number": (
        "textvqa/TextVQA_Rosetta_OCR_v0.2_val.json",
        '{"data": [{"image_id": "val0", "ocr_tokens": 5}]}',
        "record 0: the field 'ocr_tokens' has to be a list, not 5",
    ),
    "textvqa: tokens are an object": (
        "textvqa/TextVQA_Rosetta_OCR_v0.2_val.json",
        '{"data": [{"image_id": "val0", "ocr_tokens": {"a": 1}}]}',
        "record 0: the field 'ocr_tokens' has to be a list, not {'a': 1}",
    ),
    "vizwiz: a name that no disk takes": (
        "vizwiz/val.json",
        '[{"image": "' + "x" * 300 + '.jpg", "question": "q", "answers": [{"answer": "a"}]}]',
        "xxx.jpg, the picture of vizwiz_xx",
    ),
    "msvd_qa: the other format was read": (
        "msvd_qa/test.csv",
        "video,question,answer,qid\n3,q,cut,1\n",
        "msvd_qa/test.csv, test: 1 examples, but msvd_qa as published has 3",
    ),
}


@pytest.mark.parametrize("case", ODD)
def test_odd_content_is_named(tmp_path, small, case):
    file, text, says = ODD[case]
    root = official_root.fill(tmp_path / "root")
    (root / "msvd_qa/test_qa.json").unlink()
    official_root.write(root, file, text)
    assert says in checked(root, case.partition(":")[0])[1]


def test_a_file_in_place_of_a_folder_is_named(tmp_path, small):
    root = official_root.fill(tmp_path / "root")
    shutil.rmtree(root / "iconqa/test/choose_txt")
    (root / "iconqa/test/choose_txt").write_text("x")
    assert "iconqa/test/choose_txt: has to be a folder of questions; unpack" in checked(root, "iconqa")[1]


@pytest.mark.parametrize(
    ("pins", "says"),
    [
        ("{", "hub.json: cannot be read (Expecting property name"),
        ("[]", "hub.json: has to map datasets"),
        ('{"gqa": {"repo": "lmms-lab/GQA", "revision": "main"}}', "the revision 'main' is no commit"),
        ('{"gqa": {"repo": "lmms-lab/GQA", "revision": null}}', "the revision '' is no commit"),
        ('{"gqa": {"repo": "a\\u0000b"}}', "is neither a repository of the hub nor a folder below"),
    ],
)
def test_a_wrong_list_of_hub_copies_is_one_sentence(tmp_path, pins, says):
    official_root.write(tmp_path, "hub.json", pins)
    done = CliRunner().invoke(app, ["data", "check", str(tmp_path), "gqa"])
    assert str(done.exception).startswith("error: hub.json")
    assert says in str(done.exception)


def test_without_a_library_the_rest_is_checked_and_what_was_left_out_is_said_once(
    filled, small, monkeypatch, tmp_path
):
    monkeypatch.setitem(sys.modules, "imagehash", None)
    code, said = checked(filled, "gqa", "vsr")
    left = "left out: imagehash, which tells pictures that look alike, is not installed: run `pip install"
    assert (code, said.splitlines()[1].strip()) == (0, f"{left} -e '.[official]'`")
    assert said.count("imagehash") == 1
    (tmp_path / "gqa").mkdir()
    shutil.copy(filled / "gqa/testdev_balanced_questions.json", tmp_path / "gqa")
    (tmp_path / "gqa/images").mkdir()
    (tmp_path / "gqa/images/n161313.jpg").write_bytes(b"torn")
    assert "n161313.jpg is truncated" in checked(tmp_path, "gqa")[1]
    monkeypatch.setitem(sys.modules, "av", None)
    assert "left out: av, which decodes videos, is not installed" in checked(filled, "ivqa")[1]


def test_what_cannot_be_checked_is_one_sentence(tmp_path):
    for arguments in ([tmp_path / "nowhere"], [tmp_path, "gpa"]):
        done = CliRunner().invoke(app, ["data", "check", *map(str, arguments)])
        assert str(done.exception).startswith("error: ")


def test_no_room_for_temporary_files_is_one_sentence(filled, monkeypatch):
    made = lookup.database

    def full():
        rows = made()
        rows.execute("PRAGMA max_page_count=2")
        return rows

    monkeypatch.setattr(lookup, "database", full)
    with pytest.raises(FullDisk, match="no room for temporary files: free some, or name another folder"):
        Check(filled, pictures=False).dataset("vqav2")

"""The official suite, prepared: complete, in parts that are kept, and refused when a file is wrong."""
# ruff: noqa: E501 - records and sentences read best whole

from __future__ import annotations

import json
import os
import shutil
import zipfile
from dataclasses import replace
from pathlib import Path

import official_root
import pytest
from PIL import Image

from workbench import code
from workbench.config import Config, changed
from workbench.data.images import open_image
from workbench.data.official import part as parts
from workbench.data.official import vetting, video
from workbench.data.official.pictures import video_of
from workbench.data.official.releases import RELEASES
from workbench.data.official.rows import DataFault, NoPicture
from workbench.data.prepare import PreparedError, load_examples, prepare
from workbench.files import file_sha256

BASE = {
    "suite": "official",
    "data.root": "official",
    "data.eval_examples": 100,
    "train.validation_examples": 100,
}


def config(**changes):
    return changed(Config(), {**BASE, **{key.replace("__", "."): value for key, value in changes.items()}})


@pytest.fixture
def small(monkeypatch):
    """The sizes of the small root in place of the paper's."""
    for name, release in official_root.small_releases().items():
        monkeypatch.setitem(RELEASES, name, release)


@pytest.fixture(scope="module")
def filled(tmp_path_factory):
    return official_root.fill(tmp_path_factory.mktemp("home") / "official")


@pytest.fixture
def home(filled, tmp_path):
    """A home of one's own whose data root may be changed."""
    for path in filled.rglob("*"):
        if path.is_file():
            target = tmp_path / "official" / path.relative_to(filled)
            target.parent.mkdir(parents=True, exist_ok=True)
            os.link(path, target)
    return tmp_path


def run(home: Path, **changes):
    return prepare(config(**changes), home / "data/prepared", workers=1, root=home)


def names(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def test_all_26_are_prepared_and_read_back(home, small):
    manifest = run(home)
    out = home / "data/prepared"
    assert {name: manifest["datasets"][name] for name in official_root.SIZES} == official_root.SIZES
    assert manifest["datasets"]["easy_vqa"] == {"train": 2000, "val": 100, "test": 100}
    assert manifest["data_root"] == "../../official"
    for name, splits in manifest["datasets"].items():
        for split, size in splits.items():
            examples = load_examples(out, name, split)
            assert len(examples) == size
            for example in examples:
                for ref in example.images:
                    assert open_image(out, ref).size == (64, 48) or name == "easy_vqa"
    assert set(manifest["files"]) | {"manifest.json"} == {
        n for n in names(out) if not n.endswith(parts.STATE)
    }
    assert manifest["files"]["gqa/test.parquet"] == file_sha256(out / "gqa/test.parquet")
    assert sorted(path.name for path in (home / "data").iterdir()) == ["prepared"]


def test_pictures_stay_where_they_are(home, small):
    run(home, data__datasets=["gqa", "ivqa"])
    found = {name for name in names(home / "data/prepared") if not name.endswith((".json", ".parquet"))}
    assert found == {"ivqa/videos/-abc_12.mp4.zip"}


def test_finished_parts_are_not_made_again(home, small, monkeypatch):
    run(home, data__datasets=["gqa", "vsr", "ivqa"])
    before = {n: file_sha256(home / "data/prepared" / n) for n in names(home / "data/prepared")}

    def never(*_):
        raise AssertionError("made again")

    monkeypatch.setattr(parts.vetting, "examples", never)
    monkeypatch.setattr(video, "frames", never)
    run(home, data__datasets=["gqa", "vsr", "ivqa"])
    assert {n: file_sha256(home / "data/prepared" / n) for n in names(home / "data/prepared")} == before
    run(home, data__datasets=["gqa"])
    assert not any(name.startswith("vsr") for name in names(home / "data/prepared"))
    os.utime(home / "official/gqa/testdev_balanced_questions.json", ns=(1, 1))
    with pytest.raises(AssertionError, match="made again"):
        run(home, data__datasets=["gqa"])


@pytest.fixture
def hashed(monkeypatch):
    """The modules of data/ whose code is hashed, as far as they are from here on."""
    found, meaning = set(), code._meaning
    names = {path.read_bytes(): code.name_of(path) for path in code.PACKAGE.rglob("*.py")}

    def noted(source):
        found.add(names[source].removeprefix("workbench.data."))
        return meaning(source)

    monkeypatch.setattr(code, "_meaning", noted)
    return found


def test_a_part_follows_from_the_code_that_decides_its_contents(hashed):
    parts._common.__wrapped__()
    deciding = {"candidates", "images", "prepare", "micro.sampling"}
    deciding |= {f"official.{name}" for name in ("copies", "hub", "part", "vetting", "video", "releases", "vqa")}
    assert deciding <= hashed
    assert not {"catalog", "micro.render", "sources.gqa"} & hashed, "else every edit makes all again"
    assert {"gqa.py", "reading.py"} <= set(parts._code("gqa")[0])


def test_a_clip_follows_from_how_its_frames_are_taken(home, hashed, monkeypatch):
    video._code.__wrapped__()
    assert hashed == {"official.video"}
    root, clip = home / "official", "ivqa/videos/-abc_12.mp4"
    before = video.stamp(root, clip)
    monkeypatch.setattr(video, "FRAMES", 8)
    assert video.stamp(root, clip) != before


def test_an_interrupted_run_goes_on_and_leaves_what_was_there(home, small, monkeypatch):
    run(home, data__datasets=["gqa"])
    kept = {n: file_sha256(home / "data/prepared" / n) for n in names(home / "data/prepared")}
    made, real = [], parts.write_examples

    def breaking(path, examples, at_once):
        made.append(path.parent.name)
        if len(made) == 2:
            next(iter(examples))
            raise KeyboardInterrupt
        return real(path, examples, at_once)

    monkeypatch.setattr(parts, "write_examples", breaking)
    with pytest.raises(KeyboardInterrupt):
        run(home, data__datasets=["visdial", "vsr"])
    assert {n: file_sha256(home / "data/prepared" / n) for n in names(home / "data/prepared")} == kept
    waiting = names(home / "data/.prepared.official")
    assert waiting == {"visdial/test.parquet", "visdial/test.state.json"}, "whole parts only"
    run(home, data__datasets=["visdial", "vsr"])
    assert made == ["visdial", "vsr", "vsr", "vsr"]
    assert not (home / "data/.prepared.official").exists()


def test_a_wrong_size_is_refused(home):
    with pytest.raises(DataFault) as raised:
        run(home, data__datasets=["gqa"])
    assert str(raised.value).startswith(
        "gqa/testdev_balanced_questions.json, test: 2 examples, but gqa as published has 12,578; get the whole file"
    )
    assert not names(home / "data/.prepared.official")


def test_a_fault_comes_back_from_another_process(home):
    with pytest.raises(DataFault, match="test: 2 examples, but gqa as published has 12,578"):
        prepare(config(data__datasets=["gqa", "vsr"]), home / "data/prepared", workers=2, root=home)


def test_missing_files_are_all_named_at_once(home, small):
    (home / "official/okvqa/mscoco_train2014_annotations.json").unlink()
    (home / "official/vsr/test.jsonl").unlink()
    with pytest.raises(PreparedError) as raised:
        run(home)
    for part in ("mscoco_train2014_annotations.json (okvqa)", "vsr/test.jsonl (vsr)", "workbench data check"):
        assert part in str(raised.value)
    assert sorted(path.name for path in home.iterdir()) == ["official"]


def test_held_out_development_data_may_be_missing(home, small):
    (home / "official/vsr/dev.jsonl").unlink()
    assert run(home, data__datasets=["vsr"])["datasets"] == {"vsr": {"test": 2}}


def test_scienceqas_training_problems_may_be_missing(home, small):
    examples = {"train": 1, "val": 1, "test": 1}
    assert run(home, data__datasets=["scienceqa"])["datasets"] == {"scienceqa": examples}
    (learnt,) = load_examples(home / "data/prepared", "scienceqa", "train")
    assert learnt.images == ("scienceqa/images/train/7/image.png",)
    shutil.rmtree(home / "official/scienceqa/images/train")
    assert run(home, data__datasets=["scienceqa"])["datasets"] == {"scienceqa": {"val": 1, "test": 1}}


@pytest.mark.parametrize(
    ("file", "damage", "says"),
    [
        ("gqa/images/n161313.jpg", None, "gqa/images/n161313.jpg, the picture of gqa_20130: is missing"),
        ("ivqa/videos/-abc_12.mp4", b"", "ivqa/videos/-abc_12.mp4: is damaged or not a video"),
        ("gqa/testdev_balanced_questions.json", b'{"1": {', "record 0: is broken or cut off"),
    ],
)
def test_a_damaged_file_stops_it_and_nothing_half_done_stays(home, small, file, damage, says):
    (home / "official" / file).unlink()
    if damage is not None:
        (home / "official" / file).write_bytes(damage)
    with pytest.raises(DataFault) as raised:
        run(home, data__datasets=["gqa", "ivqa"])
    assert says in str(raised.value)
    assert not (home / "data/prepared").exists()
    left = names(home / "data/.prepared.official")
    assert not {name for name in left if Path(name).name.startswith(".") or name.endswith(".zip")}


def test_a_name_that_stands_twice_is_refused(home, small):
    rows = json.loads((home / "official/vizwiz/val.json").read_text())
    official_root.write(home / "official", "vizwiz/copy.json", [*rows, rows[0]]).replace(
        home / "official/vizwiz/val.json"
    )
    with pytest.raises(
        DataFault, match=r"vizwiz/val.json, example vizwiz_VizWiz_val_00000000: its name stands"
    ):
        run(home, data__datasets=["vizwiz"])


def test_shared_images_are_recorded(home, small):
    statements = (home / "official/vsr/test.jsonl").read_text().splitlines()
    rows = [{**json.loads(line), "image": "000000000100.jpg"} for line in statements]
    (home / "official/vsr/test.jsonl").unlink()
    official_root.write(home / "official", "vsr/test.jsonl", official_root.lines(rows))
    manifest = run(home, data__datasets=["vsr", "vqav2", "okvqa", "gqa"])
    assert manifest["shared_images"] == {"vsr": {"vqav2": 1, "okvqa": 1}}
    rows = json.loads((home / "official/aokvqa/aokvqa_v1p0_train.json").read_text())
    (home / "official/aokvqa/aokvqa_v1p0_train.json").unlink()
    rows = [{**row, "image_id": 104} for row in rows]
    official_root.write(home / "official", "aokvqa/aokvqa_v1p0_train.json", rows)
    manifest = run(home, data__datasets=["coco_caption", "aokvqa", "aokvqa_qg"])
    assert manifest["shared_images"] == {"coco_caption": {"aokvqa": 1, "aokvqa_qg": 1}}


def test_evaluation_is_drawn_when_there_is_more_than_wanted(home, small):
    full = run(home, data__datasets=["visdial"])
    everything = load_examples(home / "data/prepared", "visdial", "test")
    some = run(home, data__datasets=["visdial"], data__eval_examples=7)
    drawn = load_examples(home / "data/prepared", "visdial", "test")
    assert (full["datasets"]["visdial"], some["datasets"]["visdial"]) == ({"test": 20}, {"test": 7})
    places = [everything.index(example) for example in drawn]
    assert places == sorted(places)
    assert places != list(range(7))


def test_training_data_is_scaled_down_and_never_up(home, small):
    assert (
        run(home, data__datasets=["coco_caption"], data__size_scale=0.5)["datasets"]["coco_caption"]["train"]
        == 5
    )
    with pytest.raises(PreparedError, match="cannot grow"):
        run(home, data__size_scale=2.0)


def test_processes_share_the_work_on_releases_of_the_papers_size(tmp_path):
    """Without the small sizes: 340 + 1,222 statements, 500 + 540 memes, of which 400 are in both files."""
    root = tmp_path / "official"
    row = json.loads((official_root.fill(tmp_path / "small") / "vsr/test.jsonl").read_text().splitlines()[0])
    os.rename(tmp_path / "small/coco", root.mkdir() or root / "coco")
    for name, count in (("dev", 340), ("test", 1222)):
        official_root.write(root, f"vsr/{name}.jsonl", official_root.lines([row] * count))
    for name, numbers in (("dev_seen", range(500)), ("dev_unseen", range(100, 640))):
        memes = [{"id": n, "img": "img/1.png", "label": n % 2, "text": f"meme {n}"} for n in numbers]
        official_root.write(root, f"hatefulmemes/{name}.jsonl", official_root.lines(memes))
    official_root.picture(root, "hatefulmemes/img/1.png")
    changes = {"data.datasets": ["vsr", "hatefulmemes"], "data.eval_examples": 5000}
    settings = changed(config(), changes)
    one = prepare(settings, tmp_path / "one/prepared", workers=1, root=tmp_path)
    two = prepare(settings, tmp_path / "two/prepared", workers=2, root=tmp_path)
    assert one == two
    assert one["datasets"] == {"vsr": {"test": 1222, "val": 340}, "hatefulmemes": {"test": 1040}}
    memes = load_examples(tmp_path / "one/prepared", "hatefulmemes", "test")
    assert len({example.image_id for example in memes}) == 640


def test_frames_of_a_video_that_was_replaced_are_made_again(home, small):
    run(home, data__datasets=["ivqa"])
    archive = home / "data/prepared/ivqa/videos/-abc_12.mp4.zip"
    before = zipfile.ZipFile(archive).read("0.png")
    (home / "official/ivqa/videos/-abc_12.mp4").unlink()
    official_root.clip(home / "official/ivqa/videos/-abc_12.mp4", size=(32, 32))
    run(home, data__datasets=["ivqa"])
    assert zipfile.ZipFile(archive).read("0.png") != before


def test_pictures_that_moved_are_looked_for_again(home, small):
    root, out = home / "official", home / "data/prepared"
    run(home, data__datasets=["gqa", "msvd_qa"])
    with zipfile.ZipFile(root / "gqa/images.zip", "w") as archive:
        archive.write(root / "gqa/images/n161313.jpg", "images/n161313.jpg")
    (root / "gqa/images/n161313.jpg").unlink()
    (root / "gqa/images").rmdir()
    (root / "msvd_qa/videos/yt3_0_5.avi").unlink()
    official_root.clip(root / "msvd_qa/videos/yt3_0_5.mp4")
    run(home, data__datasets=["gqa", "msvd_qa"])
    for name, where in (("gqa", "gqa/images.zip/images/n161313.jpg"), ("msvd_qa", "msvd_qa/videos/yt3_0_5.mp4.zip/0.png")):
        ref = load_examples(out, name, "test")[0].images[0]
        assert ref == where
        assert open_image(out, ref).size == (64, 48)
    with zipfile.ZipFile(root / "gqa/images.zip", "a") as archive:  # another archive, another place in it
        archive.writestr("more.jpg", b"")
    before = json.loads((out / "gqa/test.state.json").read_text())
    run(home, data__datasets=["gqa"])
    assert json.loads((out / "gqa/test.state.json").read_text()) != before


@pytest.mark.parametrize("damage", [None, b"", b"{", b"PK"])
@pytest.mark.parametrize("name", ["gqa/test.parquet", "gqa/test.state.json", "ivqa/videos/-abc_12.mp4.zip"])
def test_what_was_damaged_or_deleted_since_is_made_again(home, small, name, damage):
    whole = run(home, data__datasets=["gqa", "ivqa"])
    path = home / "data/prepared" / name
    path.unlink()
    if damage is not None:
        path.write_bytes(damage)
    assert run(home, data__datasets=["gqa", "ivqa"]) == whole
    assert load_examples(home / "data/prepared", "gqa", "test")


def test_the_prepared_folder_may_lie_behind_a_link(home, small):
    (home / "far/away/from/here").mkdir(parents=True)
    (home / "data").symlink_to(home / "far/away/from/here")
    run(home, data__datasets=["gqa"])
    out = home / "data/prepared"
    assert open_image(out, load_examples(out, "gqa", "test")[0].images[0]).size == (64, 48)


def test_the_table_says_about_where_sizes_may_differ():
    part = replace(RELEASES["web_capfilt"].parts["train"])
    assert part.suits(13_873_136)
    assert part.suits(10_000_000), "links die"
    assert not part.suits(15_000_000)
    assert not part.suits(0)
    gqa = RELEASES["gqa"].parts["test"]
    assert [gqa.suits(12_577), gqa.suits(12_577, fewer=True), gqa.suits(0, fewer=True)] == [False, True, False]
    assert not gqa.suits(12_579, fewer=True)


def test_missing_pictures_are_left_out_and_counted_if_wanted(home, small):
    root, out = home / "official", home / "data/prepared"
    rows = json.loads((root / "web_capfilt/annotations.json").read_text())
    (root / "web_capfilt/images" / rows[0]["image"]).unlink()
    rows.append({"url": "https://example.org/dead.jpg", "caption": "gone"})
    (root / "web_capfilt/annotations.json").unlink()
    official_root.write(root, "web_capfilt/annotations.json", rows)
    for row in json.loads((root / "vizwiz/val.json").read_text())[:1]:
        (root / "vizwiz/val" / row["image"]).unlink()
    (root / "msvd_qa/videos/yt2_0_5.avi").unlink()
    wanted = ["web_capfilt", "vizwiz", "msvd_qa", "gqa"]
    with pytest.raises(DataFault, match=r"web_capfilt/images.*is missing"):
        run(home, data__datasets=["web_capfilt"])
    with pytest.raises(DataFault, match=r"msvd_qa/val_qa\.json, val: 0 examples, but"):
        run(home, data__datasets=wanted, data__allow_missing=True)
    official_root.clip(root / "msvd_qa/videos/yt2_0_5.avi")
    manifest = run(home, data__datasets=wanted, data__allow_missing=True)
    assert manifest["missing_pictures"] == {"web_capfilt/train": 2, "vizwiz/test": 1}
    assert manifest["datasets"]["web_capfilt"] == {"train": 1, "val": 1, "test": 1}
    assert manifest["datasets"]["vizwiz"] == {"test": 1}
    assert len(load_examples(out, "vizwiz", "test")) == 1
    assert run(home, data__datasets=wanted, data__allow_missing=True) == manifest, "taken over as it is"
    official_root.picture(root, f"web_capfilt/images/{rows[0]['image']}")  # fetched after all, into its shard
    manifest = run(home, data__datasets=wanted, data__allow_missing=True)
    assert manifest["missing_pictures"] == {"web_capfilt/train": 1, "vizwiz/test": 1}
    with pytest.raises(DataFault, match=r"record 4: has a url and no image file; fetch it"):
        run(home, data__datasets=wanted)


def test_the_size_of_the_vocabulary_is_a_parameter(home, small):
    out = home / "data/prepared"
    manifest = run(home, data__datasets=["msvd_qa"])
    assert len(load_examples(out, "msvd_qa", "test")[0].candidates) == 1000
    assert manifest["answers_covered"] == {"msvd_qa/test": 100.0, "msvd_qa/val": 100.0}
    official_root.write(root := home / "official", "x.json", [
        {"answer": answer, "id": 300 + k, "question": "what?", "video_id": 3} for k, answer in enumerate(("cut", "cook", "sing"))
    ]).replace(root / "msvd_qa/test_qa.json")
    manifest = run(home, data__datasets=["msvd_qa"], data__answer_vocabulary=2)
    assert load_examples(out, "msvd_qa", "test")[0].candidates == ("cut", "cook")
    assert manifest["answers_covered"] == {"msvd_qa/test": 66.7, "msvd_qa/val": 100.0}


def test_damaged_pictures_are_refused_or_left_out_if_wanted(home, small):
    root, out = home / "official", home / "data/prepared"
    name = json.loads((root / "vizwiz/val.json").read_text())[0]["image"]
    cut(root / "vizwiz/val" / name)
    single = min((root / "nocaps/images").iterdir())
    single.unlink()
    Image.new("L", (1, 1)).save(single, "GIF")
    with pytest.raises(DataFault, match=rf"{name}, the picture of vizwiz_.*truncated.*; get it again"):
        run(home, data__datasets=["vizwiz"])
    with pytest.raises(DataFault, match=r"of nocaps_\d+: is a single pixel, in place of a picture; get it"):
        run(home, data__datasets=["nocaps"])
    manifest = run(home, data__datasets=["vizwiz", "nocaps"], data__allow_missing=True)
    assert manifest["missing_pictures"] == {"vizwiz/test": 1, "nocaps/test": 1}
    assert manifest["datasets"] == {"vizwiz": {"test": 1}, "nocaps": {"test": 2}}
    assert not [one for one in load_examples(out, "vizwiz", "test") if one.images[0].endswith(name)]


def cut(path):
    data = path.read_bytes()
    path.unlink()  # it is a link to the module's
    path.write_bytes(data[: len(data) // 2])


def test_a_damaged_video_ends_it_unless_it_may_be_left_out(home, small):
    root = home / "official"
    whole = list(vetting.examples(root, "ivqa", "test"))
    cut(root / video_of(whole[0].images[0]))
    said = []
    assert list(vetting.whole(root, iter(whole), said.append, videos=True)) == []
    assert [type(fault) for fault in said] == [NoPicture] * len(whole)
    assert list(vetting.whole(root, iter(whole), said.append, videos=False)) == whole, "frames come later"
    with pytest.raises(DataFault, match="get the video again"):
        run(home, data__datasets=["ivqa"])


def test_few_records_with_faults_are_left_out_if_wanted_and_many_are_not(home, small, monkeypatch):
    file = home / "official/gqa/testdev_balanced_questions.json"
    records = json.loads(file.read_text(encoding="utf-8-sig"))
    first = next(iter(records))
    records[first]["answer"] = ""
    file.unlink()
    official_root.write(home / "official", "gqa/testdev_balanced_questions.json", records)
    with pytest.raises(DataFault, match=r"'answer' is empty; data\.allow_missing leaves out 0 such records of"):
        run(home, data__datasets=["gqa"], data__allow_missing=True)
    monkeypatch.setattr(parts, "FAULTY", 0.5)
    manifest = run(home, data__datasets=["gqa"], data__allow_missing=True)
    assert manifest["datasets"] == {"gqa": {"test": 1}}
    (said,) = manifest["faulty_records"]["gqa/test"]
    assert said.startswith(f"gqa/testdev_balanced_questions.json, record {first!r}: the field 'answer' is empty")
    with pytest.raises(DataFault, match="'answer' is empty; correct the record"):
        run(home, data__datasets=["gqa"])

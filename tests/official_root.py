"""A data root with a few records of every official dataset, in the publishers' schemas, oddities included."""
# ruff: noqa: E501 - a record reads best on one line

from __future__ import annotations

import csv
import io
import json
import struct
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import av
import numpy as np
from PIL import Image

from workbench.data.official.carving import carved
from workbench.data.official.releases import RELEASES

WEB = "https://example.org/ü"
BOM = "\ufeff"


def write(root: Path, name: str, content: Any, *, bom: bool = False, newline: str = "\n") -> Path:
    """JSON, or text as it is."""
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    text = content if isinstance(content, str) else json.dumps(content, ensure_ascii=False)
    path.write_bytes(((BOM if bom else "") + text.replace("\n", newline)).encode())
    return path


def lines(rows: Sequence[Any]) -> str:
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


def table(rows: Sequence[Mapping[str, Any]]) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def picture(root: Path, name: str, seed: int | None = None, size: tuple[int, int] = (64, 48)) -> Path:
    """A JPEG or PNG of coarse noise, which keeps its look when it is compressed or scaled."""
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    number = sum(name.encode()) * 7919 + len(name) if seed is None else seed
    coarse = np.random.default_rng(number).integers(0, 256, (8, 8, 3), dtype=np.uint8)
    Image.fromarray(coarse).resize(size, Image.Resampling.BICUBIC).save(path)
    return path


def bomb(path: Path, width: int, height: int) -> Path:
    """A PNG of a few bytes that says it is of that size."""
    path.parent.mkdir(parents=True, exist_ok=True)
    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunks = b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in ((b"IHDR", head), (b"IDAT", zlib.compress(b"")), (b"IEND", b""))
    )
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunks)
    return path


def clip(path: Path, frames: int = 8, size: tuple[int, int] = (64, 48), codec: str = "mpeg4") -> Path:
    """A video whose frame k is grey of brightness 20 + 20 k."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=8)
        stream.width, stream.height, stream.pix_fmt = *size, "yuv420p"
        stream.gop_size = 4
        for k in range(frames):
            shown = np.full((size[1], size[0], 3), min(20 + 20 * k, 255), np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(shown, "rgb24")))
        container.mux(stream.encode())
    return path


def answers(*texts: str) -> list[dict[str, Any]]:
    ten = [texts[i % len(texts)] for i in range(10)]
    sure = ("yes", "maybe", "no")
    return [{"answer": t, "answer_confidence": sure[i % 3], "answer_id": i + 1} for i, t in enumerate(ten)]


def _coco(root: Path) -> None:
    splits = ("train", "train", "restval", "val", "test")
    images = []
    for i, split in enumerate(splits):
        year = "train2014" if split == "train" else "val2014"
        name = f"COCO_{year}_{100 + i:012d}.jpg"
        picture(root, f"coco/{year}/{name}")
        said = [
            {"raw": f" Ein Käse №{k} on tray {i} .", "tokens": [], "imgid": i, "sentid": 10 * i + k}
            for k in range(5)
        ]
        images.append(
            {
                "filepath": year,
                "filename": name,
                "imgid": i,
                "split": split,
                "sentences": said,
                "cocoid": 100 + i,
            }
        )
    write(root, "coco/dataset_coco.json", {"images": images, "dataset": "coco"})


def _vqa(root: Path, folder: str, prefix: str, bom: bool) -> None:
    for year, image in (("train2014", 100), ("val2014", 103)):
        questions = [
            {"image_id": image, "question": f"What is in hand {k}?", "question_id": image * 10 + k}
            for k in range(3)
        ]
        said = [
            {"question_id": q["question_id"], "image_id": image, "question_type": "what", "answer_type": "other",
             "multiple_choice_answer": "tea", "answers": answers("tea", "tea", "thé")}
            for q in reversed(questions)
        ]  # fmt: skip
        head = {"info": {"year": 2017}, "license": {}, "data_subtype": year}
        write(
            root,
            f"{folder}/{prefix}OpenEnded_mscoco_{year}_questions.json",
            {**head, "questions": questions},
            bom=bom,
        )
        write(root, f"{folder}/{prefix}mscoco_{year}_annotations.json", {**head, "annotations": said})


def _aokvqa(root: Path) -> None:
    for split, image in (("train", 101), ("val", 103)):
        rows = [
            {
                "split": split, "image_id": image, "question_id": f"q{split}{k}", "question": "What is it made of?",
                "choices": ["wood", "stone", "glass, tinted", "iron"], "correct_choice_idx": k,
                "direct_answers": ["wood"] * 9 + ["oak"], "difficult_direct_answer": k == 1, "rationales": ["r"],
            }
            for k in range(2)
        ]  # fmt: skip
        write(root, f"aokvqa/aokvqa_v1p0_{split}.json", rows)


def _open_images(root: Path) -> None:
    for split in ("train", "val"):
        said = [f"A bottle of Zubrówka {k}." for k in range(5)]
        rows = [
            {"caption_str": text, "image_id": f"{split}{i}", "image_path": f"x/{split}{i}.jpg", "set_name": split,
             "reference_strs": said, "image_classes": []}
            for i in range(2) for text in said
        ]  # fmt: skip
        write(root, f"textcaps/TextCaps_0.1_{split}.json", {"dataset_name": "textcaps", "data": rows})
        tokens = [
            {"image_id": f"{split}{i}", "ocr_tokens": [f"w{k}" for k in range(40 * i)], "ocr_info": []}
            for i in range(2)
        ]
        write(root, f"textvqa/TextVQA_Rosetta_OCR_v0.2_{split}.json", {"data": tokens})
        for i in range(2):
            picture(root, f"textvqa/train_images/{split}{i}.jpg")
    rows = [
        {"question_id": 34602 + i, "image_id": f"val{i}", "question": "what brand is it?", "answers": ["nokia"] * 10,
         "image_width": 1024, "set_name": "val"}
        for i in range(2)
    ]  # fmt: skip
    write(root, "textvqa/TextVQA_0.5.1_val.json", {"dataset_type": "val", "data": rows})
    images, said = [], []
    for i, domain in enumerate(("in-domain", "near-domain", "out-domain")):
        name = f"0{i}ab.jpg"
        images.append(
            {"id": i, "file_name": name, "open_images_id": f"0{i}ab", "domain": domain, "width": 64}
        )
        picture(root, f"nocaps/images/{name}")
        said += [{"image_id": i, "id": 10 * i + k, "caption": f"caption {k} of {i}"} for k in range(10)]
    said.sort(key=lambda one: one["id"] % 10)  # captions of an image do not stand together
    write(
        root,
        "nocaps/nocaps_val_4500_captions.json",
        {"info": {}, "licenses": [], "images": images, "annotations": said},
    )


def _llava(root: Path) -> None:
    for name, count in (("conversation_58k", 3), ("detail_23k", 1), ("complex_reasoning_77k", 1)):
        rows = []
        for split in ("train", "val", "test"):
            number = next(n for n in range(1000, 9000) if carved(f"coco/{n:012d}", 100) == split)
            picture(root, f"coco/train2017/{number:012d}.jpg")
            turns = [
                turn
                for k in range(count)
                for turn in (
                    {"from": "human", "value": f"<image>\nWhat is {k}?" if k == 0 else f"And {k}?"},
                    {"from": "gpt", "value": f"It is {k}.\r\nMore of it."},
                )
            ]
            rows.append({"id": f"{number:012d}", "image": f"{number:012d}.jpg", "conversations": turns})
        write(root, f"llava/{name}.json", rows)


def _books(root: Path) -> None:
    books = {}
    for code, name in ((1, "761183272"), (2, "1588345335"), (3, "B00TEST0XX")):
        books[name] = {
            "imageURL": f"http://ecx.images-amazon.com/images/I/{name}.gif?x=1", "split": code, "title": "Mom's",
            "questions": ["Who wrote this book?", "Is this a romance?"], "answers": ["Sandra Boynton", "No"],
            "genre": "Calendars", "authorName": "Sandra Boynton",
        }  # fmt: skip
        picture(root, f"ocrvqa/images/{name}.gif")
    write(root, "ocrvqa/dataset.json", books)


def _web(root: Path) -> None:
    rows = []
    for split in ("train", "train", "val", "test"):
        taken = {row["image"] for row in rows}
        names = (f"{n // 1000:05d}/{n:09d}.jpg" for n in range(100_000))
        name = next(n for n in names if n not in taken and carved(f"{WEB}/{n}", 2800) == split)
        picture(root, f"web_capfilt/images/{name}")
        rows.append({"url": f"{WEB}/{name}", "image": name, "caption": "a dog — on a beach"})
    write(root, "web_capfilt/annotations.json", rows)


def _flickr(root: Path) -> None:
    images = []
    for i, split in enumerate(("train", "val", "test")):
        said = [{"raw": f"Two men {k}.", "tokens": [], "sentid": 5 * i + k} for k in range(5)]
        images.append({"filename": f"100{i}.jpg", "imgid": i, "split": split, "sentences": said})
        picture(root, f"flickr30k/flickr30k-images/100{i}.jpg")
    write(root, "flickr30k/dataset_flickr30k.json", {"images": images, "dataset": "flickr30k"})


def _reasoning(root: Path) -> None:
    questions = {
        f"2013{i}": {
            "question": "Is it red?",
            "answer": "no",
            "imageId": "n161313",
            "isBalanced": True,
            "types": {},
        }
        for i in range(2)
    }
    picture(root, "gqa/images/n161313.jpg")
    write(root, "gqa/testdev_balanced_questions.json", questions)
    row = {"image": "000000050403.jpg", "image_link": "http://x", "caption": "The teddy bear is in front of the person.",
           "label": 1, "relation": "in front of", "annotator_id": 31}  # fmt: skip
    old = {**row, "vote_true_validator_id": [2, 6], "vote_false_validator_id": []}
    new = {**row, "label": 0, "subj": "teddy bear", "obj": "person", "vote_true_validator_id": "[]"}
    picture(root, "coco/train2017/000000050403.jpg")
    for name in ("dev", "test"):
        write(root, f"vsr/{name}.jsonl", lines([old, new]), newline="\r\n")
    for split in ("val", "test"):
        for number in (9, 10):
            folder = f"iconqa/{split}/choose_txt/{number}"
            data = {"question": "Which is next?", "choices": ["turtle", "fish"], "answer": 1, "ques_type": "choose_txt",
                    "grade": "grade1", "label": "S2"}  # fmt: skip
            write(root, f"{folder}/data.json", json.dumps(data, indent=2), newline="\r\n")
            picture(root, f"{folder}/image.png")


def _dialogues(root: Path) -> None:
    talk = [
        {"question": k % 3, "answer": (k + 1) % 4, "gt_index": k % 4, "answer_options": [3, 2, 1, 0, *range(4, 100)]}
        for k in range(10)
    ]
    dialogs = [{"image_id": 185565 + i, "caption": "a man on a horse", "dialog": talk} for i in range(2)]
    tables = {
        "questions": ["is it sunny", "is he old", "any trees"],
        "answers": ["yes", "no", "i can't tell", "2", *(f"answer {k}" for k in range(4, 100))],
    }
    for i in range(2):
        picture(root, f"visdial/VisualDialog_val2018/VisualDialog_val2018_{185565 + i:012d}.jpg")
    write(
        root,
        "visdial/visdial_1.0_val.json",
        {"version": "1.0", "split": "val", "data": {"dialogs": dialogs, **tables}},
    )
    dense = [{"image_id": 185565, "round_id": 2, "gt_relevance": [0.0, 0.4, 1.0, *[0.0] * 97]}]
    write(root, "visdial/visdial_1.0_val_dense_annotations.json", dense)


def _others(root: Path) -> None:
    for stem, numbers in (("dev_seen", (42953, 8291)), ("dev_unseen", (8291,))):
        rows = [
            {"id": n, "img": f"img/{n:05d}.png", "label": n % 2, "text": "it's “just” a text"}
            for n in numbers
        ]
        write(root, f"hatefulmemes/{stem}.jsonl", lines(rows))
        for n in numbers:
            picture(root, f"hatefulmemes/img/{n:05d}.png")
    rows = [
        {"image": f"VizWiz_val_{i:08d}.jpg", "question": "What's this?", "answer_type": "other", "answerable": 1 - i,
         "answers": [{k: v for k, v in a.items() if k != "answer_id"} for a in answers("unanswerable" if i else "can", "")]}
        for i in range(2)
    ]  # fmt: skip
    for row in rows:
        picture(root, f"vizwiz/val/{row['image']}")
    write(root, "vizwiz/val.json", rows)
    problem = {"question": "Which is it?", "choices": ["solid", "liquid"], "answer": 0, "hint": "", "image": "image.png",
               "task": "closed choice", "grade": "grade3", "subject": "natural science", "topic": "physics"}  # fmt: skip
    problems = {
        "4": {**problem, "split": "test", "hint": "A hint.\nWith a line."},
        "5": {**problem, "split": "test", "image": None},
        "6": {**problem, "split": "val", "subject": "social science"},
        "7": {**problem, "split": "train"},
    }
    picture(root, "scienceqa/images/train/7/image.png")
    picture(root, "scienceqa/images/test/4/image.png")
    picture(root, "scienceqa/images/val/6/image.png")
    write(root, "scienceqa/problems.json", problems)


def _videos(root: Path) -> None:
    others = tuple(f"word {k:03}" for k in range(998))  # to a thousand answers
    for dataset, stem, ending in (("msvd_qa", "vid", "avi"), ("msrvtt_qa", "video", "mp4")):
        for split, number in (("train", 1), ("val", 2), ("test", 3)):
            rows = [
                {
                    "answer": answer,
                    "id": 100 * number + k,
                    "question": "what is a man doing?",
                    "video_id": number,
                }
                for k, answer in enumerate(("cut", "cut", "cook", *others * (split == "train")))
            ]
            write(root, f"{dataset}/{split}_qa.json", rows)
            if split != "train":
                name = f"yt{number}_0_5" if dataset == "msvd_qa" else f"{stem}{number}"
                clip(root / f"{dataset}/videos/{name}.{ending}")
    write(root, "msvd_qa/youtube_mapping.txt", "yt2_0_5 vid2\nyt3_0_5 vid3\n", newline="\r\n")
    row = {
        "video_id": "-abc_12",
        "start": 3,
        "end": 9,
        "question": "What, then, is poured?",
        "answer1": "milk",
    }
    for split in ("val", "test"):
        rows = [{**row, "answer2": "milk", "answer3": "cream", "answer4": "", "answer5": "milk"}]
        write(root, f"ivqa/{split}.csv", table(rows), newline="\r\n", bom=True)
    clip(root / "ivqa/videos/-abc_12.mp4")


def fill(root: Path) -> Path:
    """Writes all 26 datasets."""
    _coco(root)
    _vqa(root, "vqav2", "v2_", bom=False)
    _vqa(root, "okvqa", "", bom=True)
    for part in (
        _aokvqa,
        _open_images,
        _llava,
        _books,
        _web,
        _flickr,
        _reasoning,
        _dialogues,
        _others,
        _videos,
    ):
        part(root)
    return root


SIZES: dict[str, dict[str, int]] = {
    "coco_caption": {"train": 10, "val": 1, "test": 1},
    "web_capfilt": {"train": 2, "val": 1, "test": 1},
    "textcaps": {"train": 10, "val": 2, "test": 2},
    **{name: {"train": 3, "val": 3, "test": 3} for name in ("vqav2", "okvqa", "vqav2_qg", "okvqa_qg")},
    **{name: {"train": 2, "val": 2, "test": 2} for name in ("aokvqa", "aokvqa_qg", "ocrvqa")},
    **{
        f"llava_{kind}": {"train": 1, "val": 1, "test": 1} for kind in ("conversation", "detail", "reasoning")
    },
    "nocaps": {"test": 3},
    "flickr30k": {"val": 1, "test": 1},
    "textvqa": {"test": 2},
    "vizwiz": {"test": 2},
    "gqa": {"test": 2},
    "vsr": {"val": 2, "test": 2},
    "iconqa": {"val": 2, "test": 2},
    "scienceqa": {"train": 1, "val": 1, "test": 1},
    "hatefulmemes": {"test": 3},
    "visdial": {"test": 20},
    "msvd_qa": {"val": 3, "test": 3},
    "msrvtt_qa": {"val": 3, "test": 3},
    "ivqa": {"val": 1, "test": 1},
}


def small_releases() -> dict[str, Any]:
    """The releases, with the sizes of this root in place of the paper's."""
    found = {}
    for name, release in RELEASES.items():
        made: dict[int, Any] = {}
        parts = {}
        for split, part in release.parts.items():
            made.setdefault(id(part), replace(part, examples=SIZES[name][split], tolerance=0.0))
            parts[split] = made[id(part)]
        found[name] = replace(release, parts=parts)
    return found

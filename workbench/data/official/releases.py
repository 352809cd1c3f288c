"""What each of the 26 datasets is made of on disk: files, sizes, licence, where to get it.

The one place that says so; README.md beside this file is printed from it (`table`). Files are relative to
the data root; ``a|b`` means either. Sizes are numbers of examples as the paper used the split: where the
official test answers are not public, `test` is the official validation set, which is then `val` as well.
"""
# ruff: noqa: E501 - one dataset, a few lines

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from workbench.records import Split


@dataclass(frozen=True, slots=True)
class Part:
    """A split: the annotation files it is read from, all of them, and how many examples it has.

    Attributes:
        tolerance: the share by which the size may differ, 0 where the release is fixed.
        fewer: whether less will do, because the pictures are to be fetched from links that die.
        optional: files that add something and may be missing.
    """

    files: tuple[str, ...]
    examples: int
    tolerance: float = 0.0
    optional: tuple[str, ...] = ()
    fewer: bool = False

    def suits(self, examples: int, fewer: bool = False) -> bool:
        """Whether so many examples are the paper's, or fewer where that will do."""
        if 0 < examples < self.examples and (fewer or self.fewer):
            return True
        return abs(examples - self.examples) <= self.tolerance * self.examples


@dataclass(frozen=True, slots=True)
class Release:
    """A dataset.

    Attributes:
        pictures: folders of its pictures or videos; ``<folder>.zip`` does as well for pictures.
        note: what has to be known about the choice of splits.
    """

    dataset: str
    parts: Mapping[Split, Part]
    pictures: tuple[str, ...]
    licence: str
    home: str
    note: str = field(default="", kw_only=True)


_COCO = ("coco/train2014", "coco/val2014")
_ANY_COCO = ("coco/train2014 + coco/val2014", "or coco/train2017 + coco/val2017")
_CC_BY = "CC BY 4.0"
_TEXTVQA = ("textvqa/train_images", "or", "textvqa/train_val_images")
_COCO_HOME = "https://cocodataset.org/#download"
_OCR = "textvqa/TextVQA_Rosetta_OCR_v0.2_{}.json"
ANSWERS = "{0}/qa_ans2label.json|{0}/train_ans2label.json"  # which answers a video set ranks
_CAPTIONS = "coco/dataset_coco.json"


def _vqa(folder: str, prefix: str, train: int, val: int) -> Mapping[Split, Part]:
    def files(year: str) -> tuple[str, ...]:
        questions = f"{folder}/{prefix}OpenEnded_mscoco_{year}_questions.json"
        return questions, f"{folder}/{prefix}mscoco_{year}_annotations.json"

    held = Part(files("val2014"), val)
    return {"train": Part(files("train2014"), train), "val": held, "test": held}


def _llava(file: str, examples: int) -> Mapping[Split, Part]:
    path = (f"llava/{file}",)
    return {
        "train": Part(path, round(0.98 * examples), 0.05),
        "val": Part(path, round(0.01 * examples), 0.3),
        "test": Part(path, round(0.01 * examples), 0.3),
    }


def _video_qa(folder: str, val: int, test: int) -> Mapping[Split, Part]:
    def file(split: str) -> str:
        return f"{folder}/{split}_qa.json|{folder}/{split}.csv"

    more = (f"{folder}/youtube_mapping.txt", ANSWERS.format(folder))
    return {
        "val": Part((file("val"), file("train")), val, optional=more),
        "test": Part((file("test"), file("train")), test, optional=more),
    }


def _science(split: str, examples: int) -> Part:
    """One file has all problems; a split is there when its pictures are."""
    folder = f"scienceqa/images/{split}"
    return Part(("scienceqa/problems.json", f"{folder}|{folder}.zip|scienceqa/images.zip"), examples)


_VQAV2 = _vqa("vqav2", "v2_", 443_757, 214_354)
_OKVQA = _vqa("okvqa", "", 9_009, 5_046)
_AOKVQA_VAL = Part(("aokvqa/aokvqa_v1p0_val.json",), 1_145)
_AOKVQA: Mapping[Split, Part] = {
    "train": Part(("aokvqa/aokvqa_v1p0_train.json",), 17_056),
    "val": _AOKVQA_VAL,
    "test": _AOKVQA_VAL,
}
_WEB = ("web_capfilt/annotations.json|web_capfilt/annotations.jsonl|web_capfilt/images",)
_TEXTCAPS_VAL = Part(("textcaps/TextCaps_0.1_val.json", _OCR.format("val")), 3_166)
_NO_TEST = "the official test answers are not public: val and test are both the official validation set"
_CARVED = "has no evaluation split: one image in a hundred, by a hash of its name, is val, another test"

_TABLE = (
    Release(
        "coco_caption",
        {"train": Part((_CAPTIONS,), 414_113), "val": Part((_CAPTIONS,), 5_000), "test": Part((_CAPTIONS,), 5_000)},
        _COCO, "CC BY 4.0 (annotations); Flickr terms (images)",
        f"https://cs.stanford.edu/people/karpathy/deepimagesent (caption_datasets.zip); images: {_COCO_HOME}",
        note="Karpathy's split; an example per caption in training (82,783 images, without restval, whose images are those of the VQA validation sets), per image otherwise",
    ),
    Release(
        "web_capfilt",
        {
            "train": Part(_WEB, 14_000_000, 0.05, fewer=True),
            "val": Part(_WEB, 5_000, 0.3, fewer=True),
            "test": Part(_WEB, 5_000, 0.3, fewer=True),
        },
        ("web_capfilt/images",), "that of each web page; captions BSD-3 (Salesforce)",
        "https://github.com/salesforce/BLIP#pre-training-datasets-download (ccs_synthetic_filtered_large.json): img2dataset --url_list ccs_synthetic_filtered_large.json --input_format json --url_col url --caption_col caption --resize_mode no --output_format files --output_folder web_capfilt/images",
        note="about 14 million pairs, of which links have died: data.allow_missing leaves out and counts what could not be fetched; pictures that were fetched in another way are named in the field image of annotations.json; one image in 2,800 by a hash of its url is val, another test",
    ),
    Release(
        "textcaps",
        {"train": Part(("textcaps/TextCaps_0.1_train.json", _OCR.format("train")), 109_765), "val": _TEXTCAPS_VAL, "test": _TEXTCAPS_VAL},
        _TEXTVQA, _CC_BY, "https://textvqa.org/textcaps/dataset; images and OCR tokens are TextVQA's",
        note=f"an example per caption in training, per image otherwise; {_NO_TEST}",
    ),
    Release("vqav2", _VQAV2, _COCO, _CC_BY, "https://visualqa.org/download.html", note=_NO_TEST),
    Release("okvqa", _OKVQA, _COCO, _CC_BY, "https://okvqa.allenai.org/download.html", note="has no third split: val and test are both its validation set"),
    Release("aokvqa", _AOKVQA, _ANY_COCO, "Apache-2.0", "https://allenai.org/project/a-okvqa", note=_NO_TEST),
    Release(
        "ocrvqa",
        {
            "train": Part(("ocrvqa/dataset.json",), 801_579, 0.02, ("ocrvqa/ocr_tokens.json",)),
            "val": Part(("ocrvqa/dataset.json",), 100_000, 0.02, ("ocrvqa/ocr_tokens.json",)),
            "test": Part(("ocrvqa/dataset.json",), 100_000, 0.02, ("ocrvqa/ocr_tokens.json",)),
        },
        ("ocrvqa/images",), "not stated; for research", "https://ocr-vqa.github.io",
        note="pictures are <id>.jpg, or <id> with the ending of their URL; ocr_tokens.json, in the form of TextVQA's, is of your own making (the hub's howard-hou/OCR-VQA has tokens, of a recogniser it does not name), without it no OCR tokens are given",
    ),
    Release("vqav2_qg", _VQAV2, _COCO, _CC_BY, "derived from vqav2", note="the most frequent answer is given, the question is asked for"),
    Release("okvqa_qg", _OKVQA, _COCO, _CC_BY, "derived from okvqa", note="as vqav2_qg"),
    Release("aokvqa_qg", _AOKVQA, _ANY_COCO, "Apache-2.0", "derived from aokvqa", note="the right choice is given, the question is asked for"),
    Release("llava_conversation", _llava("conversation_58k.json", 57_000), _ANY_COCO, "CC BY-NC 4.0", "https://huggingface.co/datasets/liuhaotian/LLaVA-Instruct-150K", note=f"the first turn of each conversation, as in LAVIS; {_CARVED}"),
    Release("llava_detail", _llava("detail_23k.json", 23_240), _ANY_COCO, "CC BY-NC 4.0", "https://huggingface.co/datasets/liuhaotian/LLaVA-Instruct-150K", note=_CARVED),
    Release("llava_reasoning", _llava("complex_reasoning_77k.json", 77_000), _ANY_COCO, "CC BY-NC 4.0", "https://huggingface.co/datasets/liuhaotian/LLaVA-Instruct-150K", note=_CARVED),
    Release("nocaps", {"test": Part(("nocaps/nocaps_val_4500_captions.json",), 4_500)}, ("nocaps/images",), "CC BY 2.0", "https://nocaps.org/download"),
    Release(
        "flickr30k",
        {
            "val": Part(("flickr30k/dataset_flickr30k.json|flickr30k/results_20130124.token",), 1_014, 0.02, ("flickr30k/val.txt",)),
            "test": Part(("flickr30k/dataset_flickr30k.json|flickr30k/results_20130124.token",), 1_000, 0.0, ("flickr30k/test.txt",)),
        },
        ("flickr30k/flickr30k-images",), "Flickr terms; non-commercial research",
        "https://shannon.cs.illinois.edu/DenotationGraph (on request); Karpathy's caption_datasets.zip, or test.txt of https://github.com/BryanPlummer/flickr30k_entities",
        note="Karpathy's split, or the token file with the lists of flickr30k_entities",
    ),
    Release("textvqa", {"test": Part(("textvqa/TextVQA_0.5.1_val.json", _OCR.format("val")), 5_000)}, _TEXTVQA, _CC_BY, "https://textvqa.org/dataset", note="the paper examines on the validation set"),
    Release("vizwiz", {"test": Part(("vizwiz/val.json",), 4_319)}, ("vizwiz/val",), _CC_BY, "https://vizwiz.org/tasks-and-datasets/vqa", note="the paper examines on test-dev (8,000), whose answers only EvalAI has; what can be scored here is the validation set"),
    Release("gqa", {"test": Part(("gqa/testdev_balanced_questions.json",), 12_578)}, ("gqa/images",), _CC_BY, "https://cs.stanford.edu/people/dorarad/gqa/download.html", note="balanced test-dev"),
    Release("vsr", {"val": Part(("vsr/dev.jsonl",), 340), "test": Part(("vsr/test.jsonl",), 1_222)}, ("vsr/images", "or", *_ANY_COCO), "Apache-2.0", "https://github.com/cambridgeltl/visual-spatial-reasoning (data/splits/zeroshot)", note="zero-shot split; its images are COCO's, so some may be in held-in training"),
    Release(
        "iconqa", {"val": Part(("iconqa/val/choose_txt",), 6_316), "test": Part(("iconqa/test/choose_txt",), 6_316)},
        ("iconqa/val/choose_txt", "iconqa/test/choose_txt"), "CC BY-NC-SA 4.0", "https://iconqa.github.io",
        note="multi-text-choice: a folder per question, with data.json and image.png; what is in iconqa_data/iconqa of the archive goes to iconqa, problems.json and pid_splits.json are not read",
    ),
    Release("scienceqa", {"train": _science("train", 6_218), "val": _science("val", 2_097), "test": _science("test", 2_017)}, ("scienceqa/images/train", "scienceqa/images/val", "scienceqa/images/test"), "CC BY-NC-SA 4.0", "https://github.com/lupantech/ScienceQA", note="problems with an image context only; train is for fine-tuning"),
    Release("hatefulmemes", {"test": Part(("hatefulmemes/dev_seen.jsonl", "hatefulmemes/dev_unseen.jsonl"), 1_040)}, ("hatefulmemes/img",), "Facebook's research licence", "https://ai.meta.com/tools/hatefulmemes", note="both validation files, 500 and 540; 400 memes are in both, so 640 are distinct; the files of fine-grained hateful memes will do, one label in each is another there"),
    Release("visdial", {"test": Part(("visdial/visdial_1.0_val.json",), 20_640, 0.0, ("visdial/visdial_1.0_val_dense_annotations.json",))}, ("visdial/VisualDialog_val2018",), _CC_BY, "https://visualdialog.org/data", note="2,064 dialogues of ten rounds; the images may be in held-in training, as the paper says"),
    Release("msvd_qa", _video_qa("msvd_qa", 6_415, 13_157), ("msvd_qa/videos",), "MIT (questions); MSVD terms (videos)", "https://github.com/xudejing/video-question-answering; videos: https://www.cs.utexas.edu/~ml/clamp/videoDescription", note="candidates are the data.answer_vocabulary (1,000) most frequent training answers, or those of the list of LAVIS or ClipBERT (answer: number) where it is there; videos are not read from archives"),
    Release("msrvtt_qa", _video_qa("msrvtt_qa", 12_278, 72_821), ("msrvtt_qa/videos",), "MIT (questions); MSR-VTT terms (videos)", "https://github.com/xudejing/video-question-answering; videos: MSR-VTT", note="candidates are the data.answer_vocabulary (1,000) most frequent training answers, or those of the list of LAVIS or ClipBERT (answer: number) where it is there; videos are not read from archives"),
    Release("ivqa", {"val": Part(("ivqa/val.csv",), 2_000), "test": Part(("ivqa/test.csv",), 2_000)}, ("ivqa/videos",), "Apache-2.0 (annotations); YouTube terms (videos)", "https://github.com/antoyang/just-ask", note="videos/<video_id>.mp4 is the clip between start and end, already cut out"),
)  # fmt: skip
RELEASES: Mapping[str, Release] = {release.dataset: release for release in _TABLE}


def chosen(root: Path, file: str) -> str:
    """Of the alternatives ``a|b``, the first that is there, or the first."""
    names = file.split("|")
    return next((name for name in names if (root / name).exists()), names[0])


def file_of(root: Path, dataset: str, split: Split, number: int = 0) -> str:
    """The annotation file of a split.

    Raises:
        ValueError: when the release has no such split.
    """
    parts = RELEASES[dataset].parts
    if split not in parts:
        raise ValueError(f"the official {dataset} has no split {split}; it has {', '.join(parts)}")
    return chosen(root, parts[split].files[number])


def folders(release: Release) -> list[str]:
    """The folders of its pictures one by one; the table writes alternatives and pairs of them."""
    texts = [text.removeprefix("or ") for text in release.pictures if text != "or"]
    return [folder for text in texts for folder in text.split(" + ")]


def archives(root: Path, release: Release) -> list[str]:
    """The archives that are there of those folders, or of the folders that they lie in."""
    places = [PurePosixPath(folder) for folder in folders(release)]
    names = dict.fromkeys(f"{part}.zip" for place in places for part in (place, *place.parents[:-1]))
    return [name for name in names if (root / name).is_file()]


def missing(root: Path, part: Part) -> list[str]:
    """The files of a split that are not there."""
    return [file for file in part.files if not (root / chosen(root, file)).exists()]


def table() -> str:
    """README.md's table of the data root."""
    lines = [
        "| dataset | annotation files | pictures | examples | licence | where to get it, and what to know |"
    ]
    lines.append("|---|---|---|---|---|---|")
    for release in _TABLE:
        files = dict.fromkeys(
            file for part in release.parts.values() for file in (*part.files, *part.optional)
        )
        shown = "<br>".join(f"`{file}`".replace("|", "` or `") for file in files)
        sizes = "<br>".join(
            f"{split} {'about ' * bool(part.tolerance)}{part.examples:,}{' or fewer' * part.fewer}"
            for split, part in release.parts.items()
        )
        about = release.home + (f"; {release.note}" if release.note else "")
        pictures = "<br>".join(release.pictures)
        lines.append(f"| {release.dataset} | {shown} | {pictures} | {sizes} | {release.licence} | {about} |")
    return "\n".join(lines) + "\n"

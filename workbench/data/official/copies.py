"""Which datasets the hub has copies of that hold the pictures, and what their rows mean as examples."""

from __future__ import annotations

import ast
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from workbench.data.official.captions import images
from workbench.data.official.choices import listed
from workbench.data.official.ocr import first
from workbench.data.official.reading import text_lines
from workbench.data.official.rows import Row
from workbench.data.official.vqa import answers
from workbench.records import Example, Split

Wanted = Callable[[Row], bool]


def _all(root: Path, split: Split) -> Wanted:
    return lambda row: True


@dataclass(frozen=True, slots=True)
class Copy:
    """A repository.

    Attributes:
        config: its part that holds the questions; pictures_config: the one that holds the pictures, if apart.
        splits: ours -> its.
        make: an example from a row and the reference of its picture.
        choose: from data root and split, whether a row belongs to it as the paper uses it.
        captions: whether training has an example for each reference of a row.
    """

    repo: str
    config: str | None
    splits: Mapping[Split, str]
    make: Callable[[Row, str], Example]
    choose: Callable[[Path, Split], Wanted] = _all
    pictures_config: str | None = None
    captions: bool = False


def _choose_text(root: Path, split: Split) -> Wanted:
    """Of IconQA's three kinds of question the one whose choices are texts."""
    return lambda row: row.optional("ques_type") == "choose_txt"


def _karpathys(file: str, column: str, names_of: str = "") -> Callable[[Path, Split], Wanted]:
    """The copy holds the pictures of all splits in one; which are whose a file of the data root says.

    Args:
        file: Karpathy's, with the split of each picture.
        column: that of the copy with the picture's name.
        names_of: a list of the split's pictures, taken where it is there.
    """

    def choose(root: Path, split: Split) -> Wanted:
        lines = names_of.format(split)
        if lines and (root / lines).is_file():
            names = [line.strip() for _, line in text_lines(root, lines)]
        else:
            names = [row.text("filename") for row in images(root, file, split)]
        wanted = frozenset(map(_stem, names))
        return lambda row: _stem(row.text(column)) in wanted

    return choose


def _coco_caption(row: Row, picture: str) -> Example:
    digits = _stem(row.text("question_id")).rpartition("_")[2]  # of COCO_val2014_000000391895.jpg
    if len(digits) != 12 or not digits.isdecimal():
        raise row.fault("the field 'question_id' is not the name of a picture of COCO")
    name = f"coco_caption_{int(digits)}"
    return Example("coco_caption", name, f"coco/{digits}", (picture,), row.texts("answer"))


def _flickr30k(row: Row, picture: str) -> Example:
    name = _stem(row.text("filename"))
    captions = row.texts("caption")
    return Example("flickr30k", f"flickr30k_{name}", f"flickr/{name}", (picture,), captions)


def _textcaps(row: Row, picture: str) -> Example:
    name, captions = row.name("image_id"), row.texts("caption_str")
    fields = {"ocr": ""}  # the recogniser's tokens are in a file of their own, and no template shows them
    return Example("textcaps", f"textcaps_{name}", f"openimages/{name}", (picture,), captions, fields)


def _answers(row: Row) -> tuple[str, ...]:
    """Ten answers, as texts or as objects; some may be empty."""
    found = row.value("answers")
    if isinstance(found, list) and found and isinstance(found[0], dict):
        return answers(row)
    return row.texts("answers", written=True)


def _asked(dataset: str, pictures_of: int) -> Callable[[Row, str], Example]:
    """VQAv2 and OKVQA: the number of a question begins with that of its picture."""

    def make(row: Row, picture: str) -> Example:
        number = row.number("question_id")
        image_id = f"coco/{number // pictures_of:012d}"
        fields = {"question": row.text("question")}
        return Example(dataset, f"{dataset}_{number}", image_id, (picture,), _answers(row), fields)

    return make


def _aokvqa(row: Row, picture: str) -> Example:
    choices = row.texts("choices")
    if isinstance(row.value("direct_answers"), str):  # the list as Python writes it
        try:
            spelled = ast.literal_eval(row.text("direct_answers"))
        except (ValueError, SyntaxError, MemoryError, RecursionError) as error:
            raise row.fault("its direct answers are no list") from error
        row = Row(row.file, row.place, {**row.values, "direct_answers": spelled})
    return Example(
        dataset="aokvqa",
        example_id=f"aokvqa_{row.name('question_id')}",
        image_id=f"aokvqa/{_stem(picture)}",
        images=(picture,),
        references=(choices[row.index("correct_choice_idx", len(choices))],),
        fields={
            "question": row.text("question"),
            "options": listed(choices, row),
            "direct_answers": json.dumps(row.texts("direct_answers", written=True), ensure_ascii=False),
            "difficult_direct_answer": "yes" if row.values.get("difficult_direct_answer") is True else "no",
        },
        candidates=choices,
    )


def _nocaps(row: Row, picture: str) -> Example:
    captions = row.texts("annotations_captions")
    number, known = row.name("image_id"), row.optional("image_open_images_id")
    image_id = f"openimages/{known}" if known else f"nocaps/{number}"  # TextCaps shows Open Images as well
    return Example("nocaps", f"nocaps_{number}", image_id, (picture,), captions)


def _gqa(row: Row, picture: str) -> Example:
    fields = {"question": row.text("question")}
    name, image_id = f"gqa_{row.name('id')}", f"gqa/{row.name('imageId')}"
    return Example("gqa", name, image_id, (picture,), (row.text("answer"),), fields)


def _iconqa(row: Row, picture: str) -> Example:
    choices = tuple(choice.strip() for choice in row.text("choices").split(","))
    answer, number = row.text("answer"), row.name("question_id")
    if answer not in choices:
        raise row.fault(f"its answer {answer!r} is none of its choices {choices}")
    fields = {"question": row.text("question"), "options": listed(choices, row)}
    return Example("iconqa", f"iconqa_{number}", f"iconqa/{number}", (picture,), (answer,), fields, choices)


def _scienceqa(row: Row, picture: str) -> Example:
    choices, name = row.texts("choices"), _stem(picture)
    extras = {key: row.optional(key) for key in ("grade", "topic") if row.optional(key)}
    return Example(
        dataset="scienceqa",
        example_id=f"scienceqa_{row.place.rpartition(' ')[2]}",
        image_id=f"scienceqa/{name}",
        images=(picture,),
        references=(choices[row.index("answer", len(choices))],),
        fields={
            "context": row.optional("hint"),
            "question": row.text("question"),
            "options": listed(choices, row),
            **extras,
        },
        candidates=choices,
        domain=row.optional("subject"),
    )


def _textvqa(row: Row, picture: str) -> Example:
    read = first(row, row.values.get("ocr_tokens") or [])
    fields = {"question": row.text("question"), "ocr": ", ".join(read)}
    name, image_id = f"textvqa_{row.name('question_id')}", f"openimages/{row.name('image_id')}"
    return Example("textvqa", name, image_id, (picture,), row.texts("answers"), fields)


def _vizwiz(row: Row, picture: str) -> Example:
    number = row.name("question_id")
    stem = number.removesuffix(".jpg")
    fields = {"question": row.text("question")}
    return Example("vizwiz", f"vizwiz_{stem}", f"vizwiz/{stem}", (picture,), _answers(row), fields)


def _stem(picture: str) -> str:
    """``n1`` of ``hub/gqa_test.zip/n1.png``."""
    return picture.rpartition("/")[2].partition(".")[0]


COPIES: Mapping[str, Copy] = {
    "coco_caption": Copy(
        "lmms-lab/COCO-Caption", None, {"val": "val", "test": "val"}, _coco_caption,
        _karpathys("coco/dataset_coco.json", "question_id"),
    ),
    "textcaps": Copy(
        "lmms-lab/TextCaps", None, {"train": "train", "val": "val", "test": "val"}, _textcaps, captions=True
    ),
    "vqav2": Copy("lmms-lab/VQAv2", None, {"val": "validation", "test": "validation"}, _asked("vqav2", 1000)),
    "okvqa": Copy("lmms-lab/OK-VQA", None, {"val": "val2014", "test": "val2014"}, _asked("okvqa", 10)),
    "aokvqa": Copy(
        "HuggingFaceM4/A-OKVQA", None, {"train": "train", "val": "validation", "test": "validation"}, _aokvqa
    ),
    "nocaps": Copy("lmms-lab/NoCaps", None, {"test": "validation"}, _nocaps),
    "flickr30k": Copy(
        "lmms-lab/flickr30k", None, {"val": "test", "test": "test"}, _flickr30k,
        _karpathys("flickr30k/dataset_flickr30k.json", "filename", "flickr30k/{}.txt"),
    ),
    "gqa": Copy(
        "lmms-lab/GQA", "testdev_balanced_instructions", {"test": "testdev"}, _gqa,
        pictures_config="testdev_balanced_images",
    ),
    "iconqa": Copy(
        "lmms-lab/ICON-QA", None, {"val": "val", "test": "test"}, _iconqa,
        _choose_text,
    ),
    "scienceqa": Copy(
        "lmms-lab/ScienceQA", "ScienceQA-IMG", {"val": "validation", "test": "test"}, _scienceqa
    ),
    "textvqa": Copy("lmms-lab/textvqa", None, {"test": "validation"}, _textvqa),
    "vizwiz": Copy("lmms-lab/VizWiz-VQA", None, {"test": "val"}, _vizwiz),
}  # fmt: skip

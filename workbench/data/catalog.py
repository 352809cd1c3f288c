"""The 26 datasets of InstructBLIP (paper Figure 2, appendix C), one literal row each.

Micro and official share the rows: only where the examples come from differs. `factor` is the
manual weight on top of the square-root sampling; the paper says that A-OKVQA is lowered and OKVQA
raised but gives no coefficients, so params.yaml holds ours (data.factors).
"""
# ruff: noqa: E501 - one dataset, one line

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Literal

Category = Literal[
    "image captioning",
    "image captioning reading comprehension",
    "visual question answering",
    "knowledge grounded image question answering",
    "image question answering reading comprehension",
    "image question generation",
    "llava instruct",
    "visual reasoning",
    "video question answering",
    "visual conversational question answering",
    "image classification",
]
Metric = Literal[
    "cider",
    "vqa_accuracy",
    "vqa_accuracy_official",
    "vqa_accuracy_lavis",
    "vqa_accuracy_evalai",
    "vqa_accuracy_vizwiz",
    "exact_match",
    "multiple_choice",
    "direct_answer",
    "ivqa_accuracy",
    "mrr",
    "auc",
]
Suite = Literal["micro", "official"]
Task = Literal["caption", "vqa", "vqa_ocr", "multiple_choice", "question_generation", "as_is"]


@dataclass(frozen=True, slots=True)
class Entry:
    """One dataset.

    Attributes:
        name: identifier, also the module in data/sources/.
        title: as the paper writes it; also the dataset part of the `[Task:Dataset]` tag.
        prompt: evaluation prompt (paper appendix E), filled from Example.fields.
        task: which list of training templates applies; `as_is` uses Example.fields["question"].
        decoding: generate an answer, or rank Example.candidates by log-likelihood.
        max_new_tokens, min_new_tokens, length_penalty: generation settings (LAVIS: length penalty 1 for
            captions, -1 for short answers under T5).
        repetition_penalty: in place of `evaluate.repetition_penalty`, where that is one; 0: none of its own.
        paper_size: training examples of the original (S of the sampling rule), or its evaluation
            examples for held-out sets.
        micro_size: training examples of the micro twin; 0 for held-out sets.
        frames: pictures per example.
        factor: the manual weight in the mixture; params.yaml has the same in `data.factors`, to be varied.
    """

    name: str
    title: str
    category: Category
    held_in: bool
    task: Task
    metric: Metric
    decoding: Literal["generate", "rank"]
    prompt: str
    paper_size: int
    micro_size: int = 0
    max_new_tokens: int = 8
    length_penalty: float = -1.0
    frames: int = 1
    min_new_tokens: int = 0
    repetition_penalty: float = 0.0
    factor: float = 1.0


CAPTION_PROMPT = "A short image description:"
QUESTION_PROMPT = "Question: {question} Short answer:"
OPTIONS_PROMPT = "Question: {question} Options: {options}. Short answer:"
OCR_PROMPT = "OCR tokens: {ocr}. Question: {question} Short answer:"
GENERATION_PROMPT = 'Given the image, write a question whose answer is "{answer}". Question:'

_CAPTION: Category = "image captioning"
_READ_CAPTION: Category = "image captioning reading comprehension"
_VQA: Category = "visual question answering"
_KNOWLEDGE: Category = "knowledge grounded image question answering"
_READ: Category = "image question answering reading comprehension"
_QG: Category = "image question generation"
_LLAVA: Category = "llava instruct"
_REASON: Category = "visual reasoning"
_VIDEO: Category = "video question answering"
_DIALOG: Category = "visual conversational question answering"
_CLASSIFY: Category = "image classification"

CATALOG: tuple[Entry, ...] = (
    # held-in
    Entry("coco_caption", "COCO Caption", _CAPTION, True, "caption", "cider", "generate", CAPTION_PROMPT, 566_747, 6_000, 48, 1.0),
    Entry("web_capfilt", "Web CapFilt", _CAPTION, True, "caption", "cider", "generate", CAPTION_PROMPT, 14_000_000, 16_000, 48, 1.0),
    Entry("textcaps", "TextCaps", _READ_CAPTION, True, "caption", "cider", "generate", CAPTION_PROMPT, 109_765, 2_400, 48, 1.0),
    Entry("vqav2", "VQAv2", _VQA, True, "vqa", "vqa_accuracy", "generate", QUESTION_PROMPT, 443_757, 5_000),
    Entry("okvqa", "OKVQA", _KNOWLEDGE, True, "vqa", "vqa_accuracy", "generate", QUESTION_PROMPT, 9_009, 300, factor=2.0),
    Entry("aokvqa", "A-OKVQA", _KNOWLEDGE, True, "multiple_choice", "multiple_choice", "rank", OPTIONS_PROMPT, 17_056, 500, factor=0.5),
    Entry("ocrvqa", "OCR-VQA", _READ, True, "vqa_ocr", "exact_match", "generate", OCR_PROMPT, 801_579, 7_000),
    Entry("vqav2_qg", "VQAv2 QG", _QG, True, "question_generation", "cider", "generate", GENERATION_PROMPT, 443_757, 5_000, 24, 1.0),
    Entry("okvqa_qg", "OKVQA QG", _QG, True, "question_generation", "cider", "generate", GENERATION_PROMPT, 9_009, 300, 24, 1.0),
    Entry("aokvqa_qg", "A-OKVQA QG", _QG, True, "question_generation", "cider", "generate", GENERATION_PROMPT, 17_056, 500, 24, 1.0),
    Entry("llava_conversation", "LLaVA Conversation", _LLAVA, True, "as_is", "cider", "generate", "{question}", 58_000, 1_600, 40, 1.0),
    Entry("llava_detail", "LLaVA Detail", _LLAVA, True, "as_is", "cider", "generate", "{question}", 23_000, 800, 64, 1.0),
    Entry("llava_reasoning", "LLaVA Reasoning", _LLAVA, True, "as_is", "cider", "generate", "{question}", 77_000, 2_000, 64, 1.0),
    # held-out: unseen data of seen tasks, then four task categories never trained on
    Entry("nocaps", "NoCaps", _CAPTION, False, "caption", "cider", "generate", CAPTION_PROMPT, 4_500, 0, 48, 1.0),
    Entry("flickr30k", "Flickr30K", _CAPTION, False, "caption", "cider", "generate", CAPTION_PROMPT, 1_000, 0, 48, 1.0),
    Entry("textvqa", "TextVQA", _READ, False, "vqa_ocr", "vqa_accuracy", "generate", OCR_PROMPT, 5_000),
    Entry("vizwiz", "VizWiz", _VQA, False, "vqa", "vqa_accuracy", "generate", QUESTION_PROMPT, 8_000),
    Entry("gqa", "GQA", _REASON, False, "vqa", "exact_match", "generate", QUESTION_PROMPT, 12_578),
    Entry("vsr", "VSR", _REASON, False, "as_is", "exact_match", "generate", 'Based on the image, is this statement true or false? "{statement}" Answer:', 1_222),
    Entry("iconqa", "IconQA", _REASON, False, "multiple_choice", "multiple_choice", "rank", OPTIONS_PROMPT, 6_316),
    Entry("scienceqa", "ScienceQA", _KNOWLEDGE, False, "multiple_choice", "multiple_choice", "rank", "Context: {context} Question: {question} Options: {options}. Answer:", 2_017),
    Entry("hatefulmemes", "HatefulMemes", _CLASSIFY, False, "as_is", "auc", "rank", 'This is an image with: "{text}" written on it. Is it hateful? Answer:', 1_040),
    Entry("visdial", "Visual Dialog", _DIALOG, False, "as_is", "mrr", "rank", "Dialog history: {history}\n Question: {question} Short answer:", 20_640),
    Entry("msvd_qa", "MSVD-QA", _VIDEO, False, "vqa", "exact_match", "rank", QUESTION_PROMPT, 13_157, frames=4),
    Entry("msrvtt_qa", "MSRVTT-QA", _VIDEO, False, "vqa", "exact_match", "rank", QUESTION_PROMPT, 72_821, frames=4),
    Entry("ivqa", "iVQA", _VIDEO, False, "vqa", "ivqa_accuracy", "generate", QUESTION_PROMPT, 2_000, frames=4),
)
EXTERNAL: tuple[Entry, ...] = (
    # real data nobody here wrote; scored zero-shot beside the 26, in no average
    Entry("easy_vqa", "easy-VQA", _VQA, False, "vqa", "exact_match", "generate", QUESTION_PROMPT, 9_673),
)
# held-out sets that can be fine-tuned on (data.downstream): training examples of the micro suite
DOWNSTREAM: Mapping[str, int] = MappingProxyType({"easy_vqa": 2_000, "scienceqa": 1_000})
BY_NAME = {entry.name: entry for entry in CATALOG + EXTERNAL}
HELD_IN = tuple(entry.name for entry in CATALOG if entry.held_in)
HELD_OUT = tuple(entry.name for entry in CATALOG if not entry.held_in)
# The official data is scored by the code that published numbers come from, quirks included; micro by the rule
# without them (workbench/evaluate/metrics/README.md).
OFFICIAL_METRIC: Mapping[str, Metric] = {
    "vqav2": "vqa_accuracy_official",
    "okvqa": "vqa_accuracy_lavis",
    "vizwiz": "vqa_accuracy_vizwiz",
    "textvqa": "vqa_accuracy_evalai",
}
# A-OKVQA has two scores. Its row ranks the choices; asked again, the model is to say the answer itself.
SECOND: Mapping[str, Entry] = MappingProxyType(
    {
        "aokvqa_direct": replace(
            BY_NAME["aokvqa"],
            name="aokvqa_direct",
            title="A-OKVQA, direct answer",
            metric="direct_answer",
            decoding="generate",
            prompt=QUESTION_PROMPT,
        )
    }
)
ASKED_AGAIN: Mapping[str, str] = {"aokvqa_direct": "aokvqa"}  # the dataset whose examples are asked again
SCORED = (*CATALOG, *EXTERNAL, *SECOND.values())  # everything that has a score, in the order of tables
# The rows above leave room for what the micro suite says. People's answers are longer: in the median LLaVA's take about
# 19 (conversation), 94 (detail) and 123 (reasoning) tokens, and OCR-VQA asks for titles. Short answers get LAVIS' 10.
# Captions are made as by LAVIS' projects/instructblip/caption_*.yaml (80 tokens at most and 10 at least) and its
# captioning task (repetition penalty 1.15).
OFFICIAL_TOKENS: Mapping[str, int] = {
    **{row.name: 10 for row in SCORED if row.length_penalty < 0},
    **{row.name: 256 for row in CATALOG if row.category == _LLAVA},  # as many as training shows: TARGET_TOKENS
    "ocrvqa": 32,
    **{row.name: 80 for row in CATALOG if row.task == "caption"},
}
# paper Figure 4 averages over these held-out sets (no captioning, dialogue, MSVD, MSRVTT)
FIGURE4_HELD_OUT = ("gqa", "textvqa", "vsr", "hatefulmemes", "iconqa", "scienceqa", "ivqa", "vizwiz")
# paper Table 2 averages over these held-in sets
TABLE2_HELD_IN = ("coco_caption", "okvqa", "aokvqa", "textcaps")


def entry(name: str) -> Entry:
    """The dataset of that name.

    Raises:
        ValueError: with the nearest known name.
    """
    if name not in BY_NAME:
        near = difflib.get_close_matches(name, BY_NAME, n=1)
        hint = f"did you mean {near[0]!r}?" if near else "known: " + ", ".join(BY_NAME)
        raise ValueError(f"unknown dataset {name!r}; {hint}")
    return BY_NAME[name]


def for_suite(name: str, suite: Suite) -> Entry:
    """The dataset as a suite asks and scores it, also by the names of SECOND.

    Raises:
        ValueError: with the nearest known name.
    """
    row = SECOND.get(name) or entry(name)
    if suite == "micro":
        return row
    tokens = OFFICIAL_TOKENS.get(row.name, row.max_new_tokens)
    official = replace(row, metric=OFFICIAL_METRIC.get(row.name, row.metric), max_new_tokens=tokens)
    if row.task == "caption":
        return replace(official, min_new_tokens=10, repetition_penalty=1.15)
    return official

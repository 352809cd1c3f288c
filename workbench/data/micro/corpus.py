"""Text the micro language models learn from: scenes described in words, then instructions about them.

A language model in FlanT5's or Vicuna's place has seen every kind of task as text, the held-out ones
too. So every dataset of the catalogue appears here with its pictures replaced by descriptions, drawn
from a seed of its own; and dense lookups, many short questions to one description, which end the
long plateau before in-context lookup is learnt.
"""

from __future__ import annotations

import importlib
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from workbench.data.catalog import CATALOG, QUESTION_PROMPT, Entry
from workbench.data.micro.asking import shuffled
from workbench.data.micro.concepts import CONCEPTS
from workbench.data.micro.language import caption, describe, statement
from workbench.data.micro.questions import ASKERS, QA, questions
from workbench.data.micro.sampling import draw_scene, pick, stream
from workbench.data.micro.scene import Scene
from workbench.data.templates import BUILTIN, Templates, evaluation_text, training_text

TEXT_SEED = 990_000  # far from every world seed, so that no scene of a dataset occurs in the text
RUINED = "a dark and blurred picture ."
HEADERS = ("frame 1 :", "frame 2 :", "frame 3 :", "frame 4 :")
CHUNK = 16
STATEMENT = 'true or false ? "{statement}"'
WRAPPED = (*BUILTIN["vqa"], QUESTION_PROMPT)
# metrics of tasks with one right answer; the others ask for sentences
CLOSED = ("vqa_accuracy", "exact_match", "multiple_choice", "ivqa_accuracy", "mrr", "auc")
# learnt last: closed tasks (exact match .44 to .80 when the other nine were above .9), and naming one thing
# after the other, of which a description's things came out .57, the first ones again and again
LAGGING = (
    "msvd_qa", "msrvtt_qa", "ivqa", "hatefulmemes", "scienceqa", "iconqa",
    "coco_caption", "textcaps", "nocaps", "flickr30k", "llava_detail", "llava_conversation",
)  # fmt: skip
# where lookup starts: one thing is found and one thing about it is said
ONE_HOP = ("colour", "size", "place", "which_colour", "at_place", "kind_of", "word_at", "exists")


@dataclass(frozen=True, slots=True)
class Text:
    """A description, what is asked about it and what has to be answered; `task` is a dataset or `dense`."""

    task: str
    description: str
    turns: tuple[tuple[str, str], ...]


def describe_frames(frames: Sequence[Scene], rng: np.random.Generator, in_order: bool = False) -> str:
    """One picture in words, or four with their numbers; of a ruined picture only that it is ruined.

    The frames of a clip name their things in one order, so that a change is seen at its place.

    Args:
        in_order: a single picture from the top left on, the order of captions and other lists.
    """
    if any(frame.blur >= 1 or frame.darkness >= 0.9 for frame in frames):
        return RUINED
    if len(frames) == 1:
        return describe(frames[0], rng, in_order=in_order)
    order = shuffled(sorted({t.concept for frame in frames for t in frame.objects}), rng)
    told = [describe(frame, rng, order) for frame in frames]
    return " ".join(f"{head} {words}" for head, words in zip(HEADERS, told, strict=True))


def dense(
    seed: int, index: int, turns: int = 12, lowest: int = 2, kinds: Sequence[str] = tuple(ASKERS)
) -> Text:
    """Many questions to one description, two kinds in turn so that rare kinds are not crowded out.

    Each question is bare, or stands in a template or the evaluation prompt of visual questions.
    """
    rng = stream(TEXT_SEED, "dense", seed, index)
    plates = int(rng.integers(3)) if rng.random() < 0.3 else 0
    scene = draw_scene(rng, f"text/{index}", objects=(lowest, 5), pool=CONCEPTS, plates=plates)
    by_kind: dict[str, list[QA]] = {}
    for qa in [*questions(scene, kinds, rng), *_statements(scene, kinds, rng)]:
        by_kind.setdefault(qa.kind, []).append(qa)
    chosen = []
    for _ in range(turns):
        found = by_kind[pick(rng, tuple(by_kind))]
        chosen.append(found[int(rng.integers(len(found)))])
    forms = [pick(rng, WRAPPED) if rng.random() < 0.3 else "{question}" for _ in chosen]
    asked = [
        qa.question if qa.kind == "statement" else form.format(question=qa.question)
        for qa, form in zip(chosen, forms, strict=True)
    ]
    answers = [qa.answer for qa in chosen]
    return Text("dense", describe(scene, rng), tuple(zip(asked, answers, strict=True)))


def _statements(scene: Scene, kinds: Sequence[str], rng: np.random.Generator) -> Iterator[QA]:
    """True and false spatial statements, where relations are asked at all."""
    for true in (True, False) if "relation" in kinds else ():
        if said := statement(scene, rng, true):
            yield QA("statement", STATEMENT.format(statement=said), str(true).lower(), ("true", "false"))


def source(entry: Entry, seed: int) -> Iterator[Text]:
    """Endless single-turn texts of one dataset; half with its evaluation prompt, half with templates."""
    module = importlib.import_module(f"workbench.data.sources.{entry.name}")
    split = "train" if entry.held_in else "test"
    templates, chunk = Templates.builtin(), 0
    while True:
        rng = stream(TEXT_SEED, entry.name, "texts", seed, chunk)
        for example, frames in module.micro(split, CHUNK, TEXT_SEED + 1 + seed * 100_000 + chunk):
            instruction, target = training_text(example, "instruct", templates, int(rng.integers(2**63)))
            if rng.random() < 0.5:
                instruction = evaluation_text(example)
            if entry.metric in CLOSED:
                # what most annotators say; the noise of a single one would only blur the lesson
                target = Counter(example.references).most_common(1)[0][0]
            listed = entry.metric not in CLOSED
            yield Text(entry.name, describe_frames(frames, rng, listed), ((instruction, target),))
        chunk += 1


def texts(seed: int, dense_share: float, lagging_more: bool = False) -> Iterator[Text]:
    """An endless stream: dense lookups with the given share, otherwise a dataset's text.

    Closed tasks, which have one right answer, are drawn twice as often as the others, and on demand
    those that lag four shares more.
    """
    sources = {entry.name: source(entry, seed) for entry in CATALOG}
    drawn = [entry.name for entry in CATALOG for _ in range(2 if entry.metric in CLOSED else 1)]
    if lagging_more:
        drawn += LAGGING * 4
    rng = stream(TEXT_SEED, "stream", seed)
    index = 0
    while True:
        index += 1
        if rng.random() < dense_share:
            yield dense(seed, index)
        else:
            yield next(sources[pick(rng, drawn)])


def captions(seed: int) -> Iterator[str]:
    """Endless plain captions, the text a BLIP-2's language model continues."""
    index = 0
    while True:
        rng = stream(TEXT_SEED, "captions", seed, index)
        yield caption(draw_scene(rng, f"text/{index}"), rng)
        index += 1

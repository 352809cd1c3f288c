"""Text the micro language models learn from: scenes described in words, then instructions about them.

A language model in FlanT5's or Vicuna's place has seen every kind of task as text, the held-out ones
too. So every dataset of the catalogue appears here with its pictures replaced by descriptions, drawn
from a seed of its own; and dense lookups, many short questions to one description, which end the
long plateau before in-context lookup is learnt.
"""

from __future__ import annotations

import importlib
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import count

import numpy as np

from workbench.data.catalog import BY_NAME, CATALOG, QUESTION_PROMPT, Entry
from workbench.data.micro import memes, science
from workbench.data.micro.asking import shuffled
from workbench.data.micro.concepts import CONCEPTS
from workbench.data.micro.language import caption, describe, relation, statement, unique
from workbench.data.micro.pools import item
from workbench.data.micro.questions import ASKERS, QA, questions
from workbench.data.micro.sampling import WORDS, draw_scene, pick, stream
from workbench.data.micro.scene import Placed, Scene
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
# what a causal model learns last, how often each is drawn beside the usual once or twice while it has the
# course in relations
COURSE = {
    "vsr": 8, "hatefulmemes": 6, "scienceqa": 5, "msvd_qa": 3, "iconqa": 4, "visdial": 3, "ivqa": 3, "gqa": 2,
    "msrvtt_qa": 1, "coco_caption": 2, "textcaps": 2, "nocaps": 2, "flickr30k": 2, "llava_detail": 2,
    "llava_conversation": 2,
}  # fmt: skip
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


def relations(seed: int, index: int, hint: float, turns: int = 10, lowest: int = 2) -> Text:
    """Questions and statements about how two things lie to each other.

    Where they lie has to be found first and compared then, and a causal model of four layers asked for
    both at once stays at chance. So the share `hint` of the questions says the places as well: "what is
    left of the dog top right ?". Comparing is learnt from those in a few hundred steps, and finding
    joins it as hints become rare.
    """
    rng = stream(TEXT_SEED, "spatial", seed, index)
    pairs: list[tuple[Placed, Placed, str]] = []
    while not pairs:
        scene = draw_scene(rng, f"text/{index}", objects=(lowest, 5), pool=CONCEPTS, plates=0)
        things = unique(scene)
        pairs = [(a, b, how) for a in things for b in things if a is not b and (how := relation(a, b))]
    asked = []
    for _ in range(turns):
        one, other, how = pairs[int(rng.integers(len(pairs)))]
        hinted = rng.random() < hint
        first, second = (f"{t.concept} {t.place}" if hinted else t.concept for t in (one, other))
        kind = rng.random()
        alike = [t for t in scene.objects if t is not other and relation(t, other) == how]
        if kind < 0.4 and len(alike) == 1:
            asked.append((f"what is {how} the {second} ?", one.concept))
        elif kind < 0.55:
            asked.append((f"where is the {first} to the {second} ?", how))
        else:
            true = bool(rng.integers(2))
            said = f"the {first} is {how if true else relation(other, one)} the {second}"
            form = STATEMENT if rng.random() < 0.5 else BY_NAME["vsr"].prompt
            asked.append((form.format(statement=said), str(true).lower()))
    return Text("dense", describe(scene, rng), tuple(asked))


def drill(seed: int, index: int, turns: int = 8) -> Text:
    """Many memes about one scene, or many school questions: their answers too need several lookups each."""
    rng = stream(TEXT_SEED, "drill", seed, index)
    scene = draw_scene(rng, f"text/{index}", objects=(2, 5), pool=CONCEPTS, plates=0)
    name = pick(rng, ("hatefulmemes", "scienceqa"))
    asked = []
    for _ in range(turns):
        found = (
            memes.ask(scene, rng, bool(rng.integers(2)))
            if name == "hatefulmemes"
            else science.ask(scene, rng)
        )
        example, _ = item(name, "test", index, (scene,), (found.answer,), found.fields, found.candidates)
        asked.append((evaluation_text(example), found.answer))
    return Text("dense", describe(scene, rng), tuple(asked))


def _source(entry: Entry, seed: int) -> Iterator[Text]:
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
    sources = {entry.name: _source(entry, seed) for entry in CATALOG}
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


def course(seed: int, progress: float) -> Iterator[Text]:
    """An endless stream for a causal model that has read `texts`: relations with fewer and fewer hints.

    Args:
        progress: how much of the course is over, 0 to 1; from 1 on what was learnt is kept,
            drills join, and signs of TextVQA are misread.
    """
    hint = 0.8 if progress < 0.25 else 0.5 if progress < 0.5 else 0.2
    related, drilled = (0.6, 0.0) if progress < 0.5 else (0.25, 0.0) if progress < 1 else (0.15, 0.2)
    sources = {entry.name: _source(entry, seed) for entry in CATALOG}
    drawn = [entry.name for entry in CATALOG for _ in range(2 if entry.metric in CLOSED else 1)]
    drawn += [name for name, times in COURSE.items() for _ in range(times)]
    drawn += ["textvqa"] * 3 if progress >= 1 else []
    rng = stream(TEXT_SEED, "stream", seed)
    for index in count(1):
        kind = rng.random()
        if kind < related:
            yield relations(seed, index, hint)
        elif kind < related + 0.15:
            yield dense(seed, index)
        elif kind < related + 0.15 + drilled:
            yield drill(seed, index)
        else:
            text = next(sources[pick(rng, drawn)])
            yield _misread(text, rng) if progress >= 1 and text.task == "textvqa" else text


def _misread(text: Text, rng: np.random.Generator) -> Text:
    """Half of the signs say any word, as if a picture was read badly: the recogniser knows better."""

    def read(sign: re.Match[str]) -> str:
        return f'sign "{pick(rng, WORDS)}"' if rng.random() < 0.5 else sign[0]

    return replace(text, description=re.sub('sign "[^"]*"', read, text.description))


def captions(seed: int) -> Iterator[str]:
    """Endless plain captions, the text a BLIP-2's language model continues."""
    index = 0
    while True:
        rng = stream(TEXT_SEED, "captions", seed, index)
        yield caption(draw_scene(rng, f"text/{index}"), rng)
        index += 1

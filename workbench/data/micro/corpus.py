"""Text the micro language models learn from: scenes described in words, then instructions about them.

A language model in FlanT5's or Vicuna's place has seen every kind of task as text, the held-out ones
too. So every dataset of the catalogue appears here with its pictures replaced by descriptions, drawn
from a seed of its own; and dense lookups, many short questions to one description, which end the
long plateau before in-context lookup is learnt.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from workbench.data.catalog import CATALOG, Entry
from workbench.data.micro.concepts import CONCEPTS
from workbench.data.micro.language import caption, describe
from workbench.data.micro.questions import ASKERS, QA, questions
from workbench.data.micro.sampling import draw_scene, pick, stream
from workbench.data.micro.scene import Scene
from workbench.data.templates import Templates, evaluation_text, training_text

TEXT_SEED = 990_000  # far from every world seed, so that no scene of a dataset occurs in the text
RUINED = "a dark and blurred picture ."
HEADERS = ("frame 1 :", "frame 2 :", "frame 3 :", "frame 4 :")
CHUNK = 16


@dataclass(frozen=True, slots=True)
class Text:
    """A description, what is asked about it and what has to be answered; `task` is a dataset or `dense`."""

    task: str
    description: str
    turns: tuple[tuple[str, str], ...]


def describe_frames(frames: Sequence[Scene], rng: np.random.Generator) -> str:
    """One picture in words, or four with their numbers; of a ruined picture only that it is ruined."""
    if any(frame.blur >= 1 or frame.darkness >= 0.9 for frame in frames):
        return RUINED
    if len(frames) == 1:
        return describe(frames[0], rng)
    return " ".join(f"{head} {describe(frame, rng)}" for head, frame in zip(HEADERS, frames, strict=True))


def dense(seed: int, index: int, turns: int = 8, lowest: int = 2) -> Text:
    """Many bare questions to one description, two kinds in turn so that rare kinds are not crowded out."""
    rng = stream(TEXT_SEED, "dense", seed, index)
    plates = int(rng.integers(3)) if rng.random() < 0.3 else 0
    scene = draw_scene(rng, f"text/{index}", objects=(lowest, 5), pool=CONCEPTS, plates=plates)
    by_kind: dict[str, list[QA]] = {}
    for qa in questions(scene, ASKERS, rng):
        by_kind.setdefault(qa.kind, []).append(qa)
    chosen = []
    for _ in range(turns):
        found = by_kind[pick(rng, tuple(by_kind))]
        chosen.append(found[int(rng.integers(len(found)))])
    return Text("dense", describe(scene, rng), tuple((qa.question, qa.answer) for qa in chosen))


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
            if entry.metric == "auc":
                target = example.references[0]
            yield Text(entry.name, describe_frames(frames, rng), ((instruction, target),))
        chunk += 1


def texts(seed: int, dense_share: float) -> Iterator[Text]:
    """An endless stream: dense lookups with the given share, otherwise a dataset drawn uniformly.

    A few texts have no description (what is known without looking), and some ask for a caption.
    """
    sources = {entry.name: _source(entry, seed) for entry in CATALOG}
    rng = stream(TEXT_SEED, "stream", seed)
    index = 0
    while True:
        index += 1
        if rng.random() < dense_share:
            yield dense(seed, index)
        else:
            yield next(sources[pick(rng, tuple(sources))])


def captions(seed: int) -> Iterator[str]:
    """Endless plain captions, the text a BLIP-2's language model continues."""
    index = 0
    while True:
        rng = stream(TEXT_SEED, "captions", seed, index)
        yield caption(draw_scene(rng, f"text/{index}"), rng)
        index += 1

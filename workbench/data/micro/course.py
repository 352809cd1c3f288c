"""Lessons for a language model that has read `corpus.texts`, in what it has not learnt from them.

Some answers take two lookups and a comparison, and a model of four layers that is asked for all at once
stays at chance. So a share of the questions gives away what would have to be found, a *hint*: "what is
left of the dog top right ?". What is left to do is learnt from those in a few hundred steps, and finding
joins it as hints become rare. Offers `relations` and `drills`, endless streams of texts.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from itertools import count

import numpy as np

from workbench.data.catalog import BY_NAME, CATALOG, QUESTION_PROMPT
from workbench.data.micro import memes, motion, science
from workbench.data.micro.asking import Asked
from workbench.data.micro.concepts import CONCEPTS
from workbench.data.micro.corpus import (
    CLOSED,
    HEADERS,
    STATEMENT,
    TEXT_SEED,
    Text,
    dense,
    describe_frames,
    source,
)
from workbench.data.micro.language import a, describe, relation, unique
from workbench.data.micro.pools import item
from workbench.data.micro.sampling import WORDS, draw_scene, pick, stream
from workbench.data.micro.scene import Placed, Scene
from workbench.data.templates import evaluation_text

# how often each dataset is drawn beside the usual once or twice
LISTED = {
    "coco_caption": 2, "textcaps": 2, "nocaps": 2, "flickr30k": 2, "llava_detail": 2, "llava_conversation": 2,
}  # fmt: skip
WITH_RELATIONS = LISTED | {
    "vsr": 8, "hatefulmemes": 6, "scienceqa": 5, "msvd_qa": 3, "iconqa": 4, "visdial": 3, "ivqa": 3, "gqa": 2,
    "msrvtt_qa": 1,
}  # fmt: skip
WITH_DRILLS = LISTED | {
    "vsr": 2, "okvqa": 2, "ocrvqa": 2, "scienceqa": 3, "iconqa": 4, "msvd_qa": 3, "ivqa": 3, "msrvtt_qa": 1,
    "textvqa": 3,
}  # fmt: skip
TURNS = 8
HINTED = ("event", "way", "becomes")  # of the questions about a clip
PROPERTIES = [word for pair in science.PROPERTIES for word in pair]


def relations(seed: int, progress: float) -> Iterator[Text]:
    """How two things lie to each other, more than half of the texts at first, a quarter later.

    Args:
        progress: how much of the lessons is over, 0 to 1.
    """
    hint = 0.8 if progress < 0.25 else 0.5 if progress < 0.5 else 0.2
    share = 0.6 if progress < 0.5 else 0.25
    sources = {entry.name: source(entry, seed) for entry in CATALOG}
    drawn, rng = _drawn(WITH_RELATIONS), stream(TEXT_SEED, "stream", seed)
    for index in count(1):
        kind = rng.random()
        if kind < share:
            yield related(seed, index, hint)
        elif kind < share + 0.15:
            yield dense(seed, index)
        else:
            yield next(sources[pick(rng, drawn)])


def drills(seed: int, progress: float) -> Iterator[Text]:
    """Many clips' questions, memes or school questions to one description; signs of TextVQA are misread.

    Args:
        progress: how much of the drills is over, 0 to 1.
    """
    hint = 0.8 if progress < 0.2 else 0.4 if progress < 0.4 else 0.1
    share = 0.5 if progress < 0.4 else 0.15
    sources = {entry.name: source(entry, seed) for entry in CATALOG}
    drawn, rng = _drawn(WITH_DRILLS), stream(TEXT_SEED, "stream", seed)
    for index in count(1):
        kind = rng.random()
        if kind < share:
            yield experiments(seed, index, hint)
        elif kind < share + 0.08:
            yield clip(seed, index, hint)
        elif kind < share + 0.11:
            yield jokes(seed, index)
        elif kind < share + 0.15:
            yield related(seed, index, hint)
        elif kind < share + 0.25:
            yield dense(seed, index)
        else:
            text = next(sources[pick(rng, drawn)])
            yield _misread(text, rng) if text.task == "textvqa" else text


def _drawn(more: dict[str, int]) -> list[str]:
    usual = [entry.name for entry in CATALOG for _ in range(2 if entry.metric in CLOSED else 1)]
    return usual + [name for name, times in more.items() for _ in range(times)]


def related(seed: int, index: int, hint: float, turns: int = 10, lowest: int = 2) -> Text:
    """Questions and statements about how two things lie to each other; a hint says their places."""
    rng = stream(TEXT_SEED, "spatial", seed, index)
    pairs: list[tuple[Placed, Placed, str]] = []
    while not pairs:
        scene = _scene(rng, index, lowest)
        things = unique(scene)
        pairs = [
            (one, other, how)
            for one in things
            for other in things
            if one is not other and (how := relation(one, other))
        ]
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


def clip(seed: int, index: int, hint: float) -> Text:
    """Questions about a clip, half of them about one frame; a hint says how the thing is first and last."""
    rng = stream(TEXT_SEED, "clip", seed, index)
    seen = motion.draw_clip(rng, f"text/{index}", CONCEPTS)
    name, event = seen.thing.concept, seen.event
    first, last = (_as_told(frame, name, event) for frame in (seen.frames[0], seen.frames[-1]))
    found = motion.questions(seen, rng)
    found += [qa for qa in found if qa.kind in HINTED]
    asked = []
    for _ in range(TURNS):
        if rng.random() < 0.5:
            asked.append(_in_frame(seen, rng))
            continue
        qa = found[int(rng.integers(len(found)))]
        question = qa.question
        if qa.kind in HINTED and rng.random() < hint:
            question = question.replace(f"the {name}", f"the {name} from {first} to {last}")
        form = QUESTION_PROMPT if rng.random() < 0.5 else "{question}"
        asked.append((form.format(question=question), qa.answer))
    return Text("dense", describe_frames(seen.frames, rng), tuple(asked))


def _as_told(frame: Scene, name: str, event: str) -> str:
    """What of a thing in a frame changes with the event: colour, or place, or that it is not there."""
    there = [thing for thing in frame.objects if thing.concept == name]
    if not there:
        return "nothing"
    return there[0].colour if event == "changes color" else there[0].place


def _in_frame(seen: motion.Clip, rng: np.random.Generator) -> tuple[str, str]:
    """Whether, where or in which colour a thing is in one frame; the thing of the clip half of the time."""
    number = int(rng.integers(motion.FRAMES))
    told = HEADERS[number].removesuffix(" :")
    names = sorted({t.concept for frame in seen.frames for t in frame.objects})
    name = seen.thing.concept if rng.random() < 0.5 else pick(rng, names)
    there = [thing for thing in seen.frames[number].objects if thing.concept == name]
    if not there or rng.random() < 0.2:
        return f"is there {a(name)} in {told} ?", "yes" if there else "no"
    if rng.random() < 0.5:
        return f"where is the {name} in {told} ?", there[0].place
    return f"what color is the {name} in {told} ?", there[0].colour


def experiments(seed: int, index: int, hint: float) -> Text:
    """School questions to one scene; a hint names the things of an experiment beside their colours.

    Of each experiment both things are asked for. No two contexts state the same property, because a T5's
    encoder reads all of them at once.
    """
    rng = stream(TEXT_SEED, "experiments", seed, index)
    scene = _scene(rng, index)
    asked: list[tuple[str, str]] = []
    stated: set[str] = set()
    while len(asked) < TURNS:
        found = science.ask(scene, rng)
        pair = [word for word in PROPERTIES if f"is {word} " in found.fields["context"]]
        if stated & set(pair) or (len(stated) < len(PROPERTIES) and not pair and rng.random() < 0.8):
            continue
        stated |= set(pair)
        if pair and rng.random() < hint:
            found = replace(found, fields={**found.fields, "context": _named(found.fields["context"], scene)})
        asked.append(_question("scienceqa", scene, index, found))
        if pair:
            asked.append(_question("scienceqa", scene, index, _of_the_other(found, scene, pair)))
    return Text("dense", describe(scene, rng), tuple(asked[:TURNS]))


def jokes(seed: int, index: int) -> Text:
    """Memes about one scene: whether they hurt needs several lookups each."""
    rng = stream(TEXT_SEED, "jokes", seed, index)
    scene = _scene(rng, index)
    found = [memes.ask(scene, rng, bool(rng.integers(2))) for _ in range(TURNS)]
    asked = tuple(_question("hatefulmemes", scene, index, meme) for meme in found)
    return Text("dense", describe(scene, rng), asked)


def _scene(rng: np.random.Generator, index: int, lowest: int = 2) -> Scene:
    return draw_scene(rng, f"text/{index}", objects=(lowest, 5), pool=CONCEPTS, plates=0)


def _question(dataset: str, scene: Scene, index: int, asked: Asked) -> tuple[str, str]:
    """As the dataset's evaluation prompt has it."""
    example, _ = item(dataset, "test", index, (scene,), (asked.answer,), asked.fields, asked.candidates)
    return evaluation_text(example), asked.answer


def _misread(text: Text, rng: np.random.Generator) -> Text:
    """Half of the signs say any word, as if a picture was read badly: the recogniser knows better."""

    def read(sign: re.Match[str]) -> str:
        return f'sign "{pick(rng, WORDS)}"' if rng.random() < 0.5 else sign[0]

    return replace(text, description=re.sub('sign "[^"]*"', read, text.description))


def _named(context: str, scene: Scene) -> str:
    """The context of an experiment with its things' names beside their colours."""
    for thing in scene.objects:
        context = context.replace(f"{thing.colour} thing", f"{thing.colour} {thing.concept}")
    return context


def _of_the_other(found: Asked, scene: Scene, pair: list[str]) -> Asked:
    """The same experiment, asked for its other thing: the one other option that is in the picture."""
    (word,) = [word for word in pair if f"is {word} " not in found.fields["question"]]
    present = {thing.concept for thing in scene.objects}
    (name,) = [option for option in found.candidates if option in present and option != found.answer]
    return replace(found, answer=name, fields={**found.fields, "question": f"which thing is {word} ?"})

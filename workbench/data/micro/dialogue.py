"""Talk about a picture: follow-up questions with a history, and longer answers as LLaVA's.

Offers `follow_up(scene, rng) -> Asked` (fields ``history`` and ``question``; 20 candidates), and
`conversation`, `detail_request` and `reasoning`, each `(scene, rng) -> (question, answer)`.
"""

from __future__ import annotations

import numpy as np

from workbench.data.micro.asking import Asked, noun, sample, shuffled
from workbench.data.micro.concepts import BY_NAME
from workbench.data.micro.language import a, absent, category_of, detail, in_reading_order, unique
from workbench.data.micro.questions import PLACES, QA, YES_NO
from workbench.data.micro.sampling import pick
from workbench.data.micro.scene import COLOURS, PAINTS, ROWS, SIZES, Placed, Scene

ANSWERS = (*COLOURS, *SIZES, *PLACES, *YES_NO, "1", "2", "3", "4", "5")  # what visdial's twin ranks
CANDIDATES = 20
DETAIL_FORMS = (
    "describe the picture in detail .", "what do you see in the picture ? tell me everything .",
    "give a detailed description of the picture .", "explain what is in the picture and where it is .",
)  # fmt: skip
# fact -> (question about the whole picture, "yes" clause, "no" clause)
REASONS = {
    "alive": ("what here needs food or water to live , and why ?", "is alive", "is not alive"),
    "edible": ("what could i eat here , and why ?", "can be eaten", "cannot be eaten"),
    "flies": ("what could leave through the air , and why ?", "can fly", "cannot fly"),
    "has wheels": ("what could roll down a hill , and why ?", "has wheels", "has no wheels"),
    "lives in water": ("what could swim away , and why ?", "lives in water", "does not live in water"),
    "makes music": ("what could we use at a concert , and why ?", "makes music", "makes no music"),
    "is worn": ("what could i put on , and why ?", "can be worn", "cannot be worn"),
    "needs electricity": (
        "what would stop without power , and why ?",
        "needs electricity",
        "needs no electricity",
    ),
}


def and_list(parts: list[str]) -> str:
    """``a dog , a cat and a car``."""
    return " , ".join(parts[:-1]) + " and " + parts[-1] if len(parts) > 1 else parts[0]


# ---------------------------------------------------------------- Visual Dialog's twin


def follow_up(scene: Scene, rng: np.random.Generator) -> Asked:
    """A question about "it", the thing the last turn of the history was about.

    The history starts with a caption that names the things only, and has two to four turns; none of
    them gives the answer away.
    """
    things = unique(scene)
    topic = things[int(rng.integers(len(things)))]
    wanted = _about(topic, "it", rng)
    turns = []
    for _ in range(int(rng.integers(1, 4))):
        other = things[int(rng.integers(len(things)))]
        turns.append(_about(other, f"the {other.concept}", rng) if other is not topic else _seen(scene, rng))
    turns.append(QA("seen", f"do you see the {topic.concept} ?", "yes", YES_NO))
    caption = and_list([a(scene.objects[int(i)].concept) for i in rng.permutation(len(scene.objects))])
    history = " . ".join([caption, *(f"{turn.question} {turn.answer}" for turn in turns)])
    wrong = [answer for answer in ANSWERS if answer != wanted.answer]
    candidates = shuffled([wanted.answer, *sample(wrong, CANDIDATES - 1, rng)], rng)
    return Asked({"history": history, "question": wanted.question}, wanted.answer, candidates)


def _about(thing: Placed, name: str, rng: np.random.Generator) -> QA:
    kind = int(rng.integers(4))
    if kind == 0:
        return QA("colour", f"what color is {name} ?", thing.colour, COLOURS)
    if kind == 1:
        return QA("size", f"how big is {name} ?", thing.size, SIZES)
    if kind == 2:
        return QA("place", f"where is {name} ?", thing.place, PLACES)
    true = bool(rng.integers(2))
    colour = thing.colour if true else pick(rng, [c for c in PAINTS if c != thing.colour])
    return QA("is_colour", f"is {name} {colour} ?", "yes" if true else "no", YES_NO)


def _seen(scene: Scene, rng: np.random.Generator) -> QA:
    return QA("seen", f"do you see {a(absent(scene, rng))} ?", "no", YES_NO)


# ---------------------------------------------------------------- LLaVA's twins


def conversation(scene: Scene, rng: np.random.Generator) -> tuple[str, str]:
    """A question as in a chat, and an answer in whole sentences."""
    things = unique(scene)
    thing = things[int(rng.integers(len(things)))]
    form = int(rng.integers(4))
    if form == 0:
        question = pick(rng, ("what can you tell me about the {} ?", "tell me more about the {} ."))
        answer = f"the {thing.concept} is {thing.size} and {thing.colour} . it is at the {thing.place} ."
        return question.format(thing.concept), answer
    if form == 1:
        names = [a(t.concept) for t in in_reading_order(scene.objects)]
        return "what is shown here ?", f"the picture shows {and_list(names)} ."
    if form == 2:
        parts = [f"the {t.concept} is {t.colour}" for t in in_reading_order(things)]
        return "which colors do the things have ?", f"{and_list(parts)} ."
    row = pick(rng, ROWS)
    inside = [a(t.concept) for t in sorted(scene.objects, key=lambda t: t.column) if ROWS[t.row] == row]
    answer = f"yes , i see {and_list(inside)} there ." if inside else "no , there is nothing there ."
    return f"is there anything in the {row} row ?", answer


def detail_request(scene: Scene, rng: np.random.Generator) -> tuple[str, str]:
    """A request for everything, and the full description."""
    return pick(rng, DETAIL_FORMS), f"{detail(scene, rng)} ."


def reasoning(scene: Scene, rng: np.random.Generator) -> tuple[str, str]:
    """A question whose answer has to be inferred from what is seen and known, with the reason."""
    facts = {fact for t in scene.objects for fact in BY_NAME[t.concept].facts}
    known = sorted(facts & set(REASONS))
    if known and rng.random() < 0.7:
        fact = pick(rng, known)
        having = {t.concept: t for t in in_reading_order(scene.objects) if fact in BY_NAME[t.concept].facts}
        clause = REASONS[fact][1]
        parts = [
            f"the {t.concept} , because it is {noun(category_of(t))} and {clause}" for t in having.values()
        ]
        return REASONS[fact][0], f"{' . '.join(parts)} ."
    things = unique(scene)
    thing, fact = things[int(rng.integers(len(things)))], pick(rng, tuple(REASONS))
    clause = REASONS[fact][1 if fact in BY_NAME[thing.concept].facts else 2]
    question = f"what do you know about the {thing.concept} in the picture ?"
    return question, f"the {thing.concept} at the {thing.place} is {noun(category_of(thing))} and {clause} ."

"""What is said and asked about scenes is true of them: every answer is read again from the scene."""

from __future__ import annotations

import re
from functools import cache
from itertools import permutations

import pytest

from workbench.data.micro.concepts import BY_NAME, CATEGORIES, CONCEPTS
from workbench.data.micro.language import a, caption, describe, detail, statement
from workbench.data.micro.questions import (
    ASKERS,
    FACT_QUESTIONS,
    HELD_IN_KINDS,
    HELD_OUT_KINDS,
    PLURALS,
    QA,
    questions,
)
from workbench.data.micro.sampling import draw_scene, stream
from workbench.data.micro.scene import Placed, Plate, Scene

SCENES = 300
CELL = {
    f"{row} {column}": (y, x)
    for y, row in enumerate(("top", "middle", "bottom"))
    for x, column in enumerate(("left", "center", "right"))
}
THING = r"an? (?:(small|big) )?(?:(\w+) )?(\w+)(?: at the (\w+ \w+))?"


@cache
def scenes() -> tuple[Scene, ...]:
    return tuple(
        draw_scene(stream("test", i), str(i), objects=(1, 5), pool=CONCEPTS, plates=i % 3, repeat=0.4)
        for i in range(SCENES)
    )


@cache
def asked(kind: str) -> tuple[tuple[Scene, QA], ...]:
    return tuple((s, qa) for i, s in enumerate(scenes()) for qa in questions(s, [kind], stream(kind, i)))


def only(found):
    """The one value there is; anything else means that the question has no single answer."""
    (value,) = set(found)
    return value


def one(scene: Scene, name: str) -> Placed:
    (thing,) = [t for t in scene.objects if t.concept == name]
    return thing


def read(scene: Scene, question: str) -> str:
    """Answers a question by rules of its own: a pattern per form and a search through all objects."""

    def match(pattern: str) -> tuple[str, ...] | None:
        hit = re.fullmatch(pattern, question)
        return hit and hit.groups()

    things = scene.objects
    kind = {t: BY_NAME[t.concept].category for t in things}
    yes = {True: "yes", False: "no"}
    names = {t.concept for t in things}
    if hit := match(r"what color is the thing at the (\w+ \w+) \?"):
        return only(t.colour for t in things if (t.row, t.column) == CELL[hit[0]])
    if hit := match(r"what is written at the (\w+ \w+) \?"):
        return only(p.word for p in scene.plates if (p.row, p.column) == CELL[hit[0]])
    if hit := match(r"what is at the (\w+ \w+) \?"):
        return only(t.concept for t in things if (t.row, t.column) == CELL[hit[0]])
    if hit := match(r"(?:what color is the|what is the color of the) (.+) \?"):
        return only(t.colour for t in things if hit[0] in (t.concept, kind[t]))
    if hit := match(r"(?:how big|what size) is the (\w+) \?"):
        return one(scene, hit[0]).size
    if hit := match(r"(?:where is|in which part of the picture is) the (.+) \?"):
        (thing,) = [t for t in things if hit[0] in (t.concept, kind[t])]
        return only(name for name, cell in CELL.items() if cell == (thing.row, thing.column))
    if hit := match(r"are there both an? (\w+) and an? (\w+) \?"):
        return yes[set(hit) <= names]
    if hit := match(r"(?:is there|can you see) an? (\w+)(?: in the picture)? \?"):
        return yes[hit[0] in names]
    if question == "how many things are in the picture ?":
        return str(len(things))
    if hit := match(r"how many (.+) are there \?"):
        return str(sum(PLURALS[kind[t]] == hit[0] for t in things))
    if hit := match(r"which (.+) is in the picture \?"):
        return only(t.concept for t in things if kind[t] == hit[0])
    if hit := match(r"which thing is (\w+) \?"):
        (thing,) = [t for t in things if t.colour == hit[0]]
        return thing.concept
    if hit := match(r"what kind of thing is the (\w+) \?"):
        return kind[one(scene, hit[0])]
    if hit := match(r"what is (left of|right of|above|below) the (\w+) \?"):
        return beside(scene, hit[0], one(scene, hit[1]))
    if hit := match(r"are the (\w+) and the (\w+) the same (color|size) \?"):
        first, second = one(scene, hit[0]), one(scene, hit[1])
        return yes[first.colour == second.colour if hit[2] == "color" else first.size == second.size]
    if question in ("what does the sign say ?", "what word is written here ?"):
        (plate,) = scene.plates
        return plate.word
    for fact, (which, whether) in FACT_QUESTIONS.items():
        if question == which:
            (thing,) = [t for t in things if fact in BY_NAME[t.concept].facts]
            return thing.concept
        if hit := match(re.escape(whether).replace(r"\{\}", r"(\w+)")):
            return yes[fact in BY_NAME[hit[0]].facts and hit[0] in names]
    raise AssertionError(question)


def beside(scene: Scene, how: str, other: Placed) -> str:
    """The one thing that lies so in the other's row or column, by coordinates."""
    step = {"left of": (0, -1), "right of": (0, 1), "above": (-1, 0), "below": (1, 0)}[how]
    line = {(other.row + n * step[0], other.column + n * step[1]) for n in (1, 2)}
    (thing,) = [t for t in scene.objects if (t.row, t.column) in line]
    return thing.concept


@pytest.mark.parametrize("kind", ASKERS)
def test_answers_are_what_the_scene_shows(kind):
    found = asked(kind)
    assert len(found) > 50
    for scene, qa in found:
        assert qa.answer == read(scene, qa.question), (qa, scene)
        assert qa.answer in qa.candidates


@pytest.mark.parametrize("kind", ASKERS)
def test_no_kind_has_always_the_same_answer(kind):
    answers = {qa.answer for _, qa in asked(kind)}
    assert len(answers) >= 2


def test_kinds_are_held_in_or_held_out():
    assert set(HELD_IN_KINDS) | set(HELD_OUT_KINDS) == set(ASKERS)
    assert not set(HELD_IN_KINDS) & set(HELD_OUT_KINDS)


def test_questions_are_a_pure_function_of_scene_and_stream():
    scene = scenes()[4]
    assert questions(scene, ASKERS, stream("q", 1)) == questions(scene, ASKERS, stream("q", 1))
    assert questions(scene, ASKERS, stream("q", 1)) != questions(scene, ASKERS, stream("q", 2))


@pytest.mark.parametrize("true", [True, False])
def test_statements_are_true_or_false_as_asked(true):
    made = 0
    for i, scene in enumerate(scenes()):
        text = statement(scene, stream("statement", i), true)
        if text is None:
            continue
        made += 1
        first, how, second = re.fullmatch(r"the (\w+) is (\w+(?: of)?) the (\w+)", text).groups()
        x, y = one(scene, first), one(scene, second)
        holds = {
            "left of": x.row == y.row and x.column < y.column,
            "right of": x.row == y.row and x.column > y.column,
            "above": x.column == y.column and x.row < y.row,
            "below": x.column == y.column and x.row > y.row,
        }
        assert holds[how] == true
    assert made > SCENES / 2


def test_no_statement_where_nothing_is_aligned():
    scene = Scene("s", (Placed("dog", "brown", "big", 0, 0), Placed("cat", "red", "big", 1, 1)))
    assert statement(scene, stream("s"), True) is None


def fits(said: tuple[str | None, ...], thing: Placed) -> bool:
    """Whether size, colour, name and place, as far as they are said, are the thing's."""
    size, colour, name, place = said
    true = (thing.size, thing.colour, thing.concept, thing.row, thing.column)
    row, column = CELL[place] if place else (None, None)
    pairs = zip((size, colour, name, row, column), true, strict=True)
    return all(word in (None, value) for word, value in pairs)


def test_captions_name_what_is_there_and_nothing_else():
    for i, scene in enumerate(scenes()):
        text = caption(scene, stream("caption", i))
        assert re.findall(r'a sign that says "(\w+)"', text) == [plate.word for plate in scene.plates]
        parts = [p for p in re.split(r" , | and ", text) if "sign" not in p]
        read = [re.fullmatch(THING, part).groups() for part in parts]
        assert any(all(map(fits, read, order)) for order in permutations(scene.objects)), (text, scene)


def test_details_and_descriptions_say_everything():
    for i, scene in enumerate(scenes()):
        said = detail(scene, stream("detail", i))
        assert said.startswith(f"there are {len(scene.objects)} things . ")
        described = describe(scene, stream("describe", i))
        for text in (said.split(" . ", 1)[1], described.removesuffix(" .")):
            parts = text.split(" , ")
            assert len(parts) == len(scene.objects) + len(scene.plates)
            for t in scene.objects:
                assert any({t.size, t.colour, t.concept, *t.place.split()} <= set(p.split()) for p in parts)
            for plate in scene.plates:
                assert sum(f'"{plate.word}"' in part for part in parts) >= 1


def test_a_description_has_the_name_before_and_after_everything_else():
    scene = Scene("s", (Placed("dog", "brown", "big", 0, 2),), (Plate("open", 1, 1),))
    assert describe(scene, stream("form")) == 'dog top right big brown dog , middle center sign "open" .'


def test_things_are_described_in_a_given_order_or_a_random_one():
    scene = Scene("s", (Placed("dog", "brown", "big", 0, 2), Placed("cat", "gray", "small", 1, 1)), ())
    expected = "cat middle center small gray cat , dog top right big brown dog ."
    assert {describe(scene, stream(i), ("cat", "dog")) for i in range(9)} == {expected}
    assert len({describe(scene, stream(i)) for i in range(9)}) == 2


def test_every_category_has_a_plural_of_its_own():
    assert set(PLURALS) == set(CATEGORIES)
    assert len(set(PLURALS.values())) == len(PLURALS)
    assert (a("red dog"), a("orange cat")) == ("a red dog", "an orange cat")

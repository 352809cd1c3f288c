"""Lessons: hinted and bare questions are answered as the description has them."""

import re
from itertools import islice

import pytest

from workbench.data.micro import motion, science
from workbench.data.micro.course import TURNS, clip, drills, experiments, jokes, related, relations

PLACED = re.compile(r"(\S+) ((?:top|middle|bottom) (?:left|center|right)) (?:big|small) ")
STATED = re.compile(r'"the (\w+)(?: \w+ \w+)? is (left of|right of|above|below) the (\w+)')
ROWS, COLUMNS = ("top", "middle", "bottom"), ("left", "center", "right")


def lies(one: str, how: str, other: str) -> bool:
    (row, column), (below, right) = one.split(), other.split()
    if how in ("left of", "right of"):
        left, beside = COLUMNS.index(column), COLUMNS.index(right)
        return row == below and (left < beside if how == "left of" else left > beside)
    above, under = ROWS.index(row), ROWS.index(below)
    return column == right and (above < under if how == "above" else above > under)


@pytest.mark.parametrize("hint", [0.0, 0.5, 1.0])
def test_relations_are_answered_as_the_description_has_them(hint):
    seen, hinted = set(), []
    for index in range(60):
        text = related(7, index, hint)
        where = dict(PLACED.findall(text.description))
        assert len(text.turns) == 10
        for question, answer in text.turns:
            hinted.append(any(place in question for place in where.values()))
            if found := re.match(r"what is (left of|right of|above|below) the (\S+) ", question):
                how, other = found.groups()
                fit = [name for name, place in where.items() if lies(place, how, where[other])]
                assert fit == [answer]
            elif found := re.match(r"where is the (\S+)(?: \S+ \S+)? to the (\S+) ", question):
                one, other = found.groups()
                assert lies(where[one], answer, where[other])
            else:
                one, how, other = STATED.search(question).groups()
                assert answer == str(lies(where[one], how, where[other])).lower()
            seen.add((question.split()[0], answer if answer in ("true", "false") else ""))
    assert {("what", ""), ("where", ""), ("true", "true"), ("true", "false"), ("Based", "true")} <= seen
    assert hint - 0.1 < sum(hinted) / len(hinted) < hint + 0.1


def share_of(read, fits):
    return sum(map(fits, read)) / len(read)


def test_relations_and_their_hints_become_rare():
    def many(progress):
        return list(islice(relations(5, progress), 300))

    first, last = many(0.0), many(0.9)
    assert first == many(0.0)
    assert 0.5 < share_of(first, lambda text: len(text.turns) == 10) < 0.7
    assert 0.15 < share_of(last, lambda text: len(text.turns) == 10) < 0.35
    assert share_of(last, lambda text: len(text.turns) == 1) > 1 / 3, "the datasets' tasks are not forgotten"


def told(description):
    """Of each frame, name -> place and colour."""
    return [
        {name: (place, colour) for name, place, colour in CLIP_THING.findall(frame)}
        for frame in re.split(r"frame \d :", description)[1:]
    ]


CLIP_THING = re.compile(r"(\S+) ((?:top|middle|bottom) (?:left|center|right)) (?:big|small) (\S+) ")
WAYS = {"left": "left of", "right": "right of", "up": "above", "down": "below"}


def happens(frames, name):
    first, last = frames[0].get(name), frames[-1].get(name)
    if first is None or last is None:
        return "appears" if last else "goes away"
    return "moves" if first[0] != last[0] else "changes color"


@pytest.mark.parametrize("hint", [0.0, 1.0])
def test_questions_about_clips_are_answered_as_the_description_has_them(hint):
    seen, hinted = set(), []
    for index in range(120):
        text = clip(9, index, hint)
        frames = told(text.description)
        assert len(text.turns) == TURNS
        assert len(frames) == motion.FRAMES
        for question, answer in text.turns:
            if found := re.search(
                r"(where is the|what color is the|is there an?) (\S+) in frame (\d)", question
            ):
                asked, name, number = found.groups()
                there = frames[int(number) - 1].get(name)
                wanted = {"where is the": 0, "what color is the": 1}.get(asked)
                assert answer == (("yes" if there else "no") if wanted is None else there[wanted])
                seen.add((asked.split()[0], answer if wanted is None else ""))
                continue
            if not (
                found := re.search(
                    r"(happens to|way does|color does) the (\S+) (from (.*) to (.*?) )?[?mb]", question
                )
            ):
                continue
            asked, name, hints, first, last = found.groups()
            if asked == "happens to":
                assert answer == happens(frames, name)
            elif asked == "way does":
                assert lies(frames[-1][name][0], WAYS[answer], frames[0][name][0])
            else:
                assert answer == frames[-1][name][1] != frames[0][name][1]
            hinted.append(hints is not None)
            if hints:
                states = [frames[0].get(name, ("nothing",) * 2), frames[-1].get(name, ("nothing",) * 2)]
                assert all(said in state for said, state in zip((first, last), states, strict=True))
            seen.add((asked, answer if asked == "happens to" else ""))
    assert {("happens to", event) for event in motion.EVENTS} | {("way does", ""), ("color does", "")} <= seen
    assert {("where", ""), ("what", ""), ("is", "yes"), ("is", "no")} <= seen
    assert set(hinted) == {hint == 1}


@pytest.mark.parametrize("hint", [0.0, 1.0])
def test_experiments_state_no_property_twice_and_hints_name_their_things(hint):
    words, found = [word for pair in science.PROPERTIES for word in pair], 0
    for index in range(40):
        text = experiments(4, index, hint)
        seen = re.findall(r"(?:^|, )(\S+) \S+ \S+ (?:big|small) (\S+) ", text.description)
        stated = []
        for question, answer in text.turns:
            assert f") {answer}" in question
            if rule := re.search(
                r"the (\S+) (\S+) is (\S+) and the (\S+) (\S+) is (\S+) \. .*thing is (\S+) \?", question
            ):
                one, name, first, other, name2, second, asked = rule.groups()
                stated += [first, second]
                colour = one if asked == first else other
                assert (answer, colour) in seen
                assert (name == name2 == "thing") == (hint == 0)
                assert hint == 0 or answer == (name if asked == first else name2)
        # an experiment is asked for both of its things, unless the text ends between them
        pairs = [{one, two} for one, two in zip(stated[::2], stated[1::2], strict=True)]
        assert all(pairs.count(pair) <= 2 for pair in pairs)
        assert set(stated) <= set(words)
        found += len(stated)
    assert found > 80


def test_jokes_hurt_where_picture_and_text_say_so():
    for index in range(60):
        text = jokes(5, index)
        assert len(text.turns) == TURNS
        present = set(re.findall(r"(?:^|, )(\S+) ", text.description))
        for question, answer in text.turns:
            name = re.search(r'with: "(.*)" written', question).group(1).split()
            (named,) = [word for word in name if word in present] or [""]
            wanted = name[:2] in (["only", "a"], ["only", "an"]) or "but" in name or "not" in name
            assert answer == ("yes" if bool(named) != wanted else "no"), (question, text.description)


def test_drills_are_mixed_with_the_datasets_tasks():
    def hints(progress):
        return sum(
            len(re.findall(r" from \S+(?: \S+)? to ", question))
            for text in islice(drills(3, progress), 200)
            for question, _ in text.turns
        )

    read = list(islice(drills(5, 0.9), 400))
    assert 0.18 < share_of(read, lambda text: len(text.turns) == TURNS) < 0.35
    assert 0.5 < share_of(read, lambda text: len(text.turns) == 1) < 0.7
    assert hints(0.0) > 2 * hints(0.9) > 0


def test_in_drills_signs_are_misread_but_tokens_are_not():
    def share(stream):
        read = [text for text in islice(stream, 1500) if text.task == "textvqa"]
        assert len(read) > 12
        return share_of(
            read, lambda text: text.turns[0][1] in re.findall(r'sign "([^"]*)"', text.description)
        )

    assert share(relations(6, 0.9)) == 1
    assert 0.35 < share(drills(6, 0.9)) < 0.75

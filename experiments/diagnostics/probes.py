"""Questions that look for failures: hallucination, grounding, reading, counting, space, candidate sets.

Every scene is drawn for its question and shared with no dataset. Groups of a probe ask about the same
scenes where that is possible, so that they are compared example by example.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from workbench.data.catalog import BY_NAME as DATASETS
from workbench.data.catalog import Entry
from workbench.data.micro.asking import CONFUSED, listed, shuffled
from workbench.data.micro.concepts import BY_NAME as CONCEPTS
from workbench.data.micro.concepts import CATEGORIES
from workbench.data.micro.language import a, absent, category_of, unique
from workbench.data.micro.questions import PLURALS, YES_NO, questions
from workbench.data.micro.render import render
from workbench.data.micro.sampling import KNOWN, WORDS, draw_scene, pick, place_objects, stream
from workbench.data.micro.scene import Placed, Scene
from workbench.data.prepare import load_examples
from workbench.experiment.probe import Box, Probe
from workbench.records import Example

MOST = 100  # questions to a group
POPULAR = 10  # things that training names most often
GREY = (128, 128, 128)
ASKED = replace(DATASETS["vqav2"], metric="exact_match")
YES_OR_NO = replace(ASKED, decoding="rank")
READ = replace(DATASETS["textvqa"], metric="exact_match")
CHOSEN = DATASETS["aokvqa"]
RELATIONS = ("left of", "right of", "above", "below")


def probes(world_seed: int, count: int, prepared: Path) -> list[Probe]:
    """All probes; `count` questions to a group, MOST at most."""
    count = min(count, MOST)
    return [
        *presence(world_seed, count, popular(prepared)),
        *grounding(world_seed, count),
        *reading(world_seed, count),
        *counting(world_seed, count),
        *space(world_seed, count),
        *candidate_sets(world_seed, count),
    ]


def popular(prepared: Path) -> list[str]:
    """The things that captions and answers of training name most often.

    Things are drawn uniformly in this world, so that popularity is much weaker than in COCO: it comes
    from the facts that questions ask for.
    """
    named: Counter[str] = Counter()
    for dataset in ("coco_caption", "vqav2", "okvqa", "aokvqa"):
        for example in load_examples(prepared, dataset, "train"):
            named.update(set(re.findall("[a-z]+", " ".join(example.references))) & CONCEPTS.keys())
    known = {concept.name for concept in KNOWN}
    return sorted(known & named.keys(), key=lambda name: (-named[name], name))[:POPULAR]


def presence(seed: int, count: int, often: Sequence[str]) -> Iterator[Probe]:
    """Is there an X, for one thing that is there and three that are not: any, a popular one, a similar one.

    After POPE (Li et al. 2023), whose adversarial objects are those that co-occur most; here nothing
    co-occurs, and what can be confused are things of the same category.
    """
    asked: dict[str, list[Probe]] = {group: [] for group in ("present", "random", "popular", "adversarial")}
    for index in range(count):
        rng = stream(seed, "probe presence", index)
        scene = _scene(rng, "presence", index)
        there = {thing.concept for thing in scene.objects}
        kinds = {category_of(thing) for thing in scene.objects}
        alike = [c.name for c in KNOWN if c.category in kinds and c.name not in there]
        common = [name for name in often if name not in there]
        for group, name in (
            ("present", pick(rng, sorted(there))),
            ("random", absent(scene, rng)),
            ("popular", pick(rng, common)),
            ("adversarial", pick(rng, alike)),
        ):
            question, answer = f"is there {a(name)} in the picture ?", "yes" if name in there else "no"
            asked[group].append(_probe("presence", group, YES_OR_NO, scene, question, answer, YES_NO))
    for part in asked.values():
        yield from part


def grounding(seed: int, count: int) -> Iterator[Probe]:
    """What colour is the X, with the picture whole, with X hidden, and with another thing hidden.

    The attention on X's cell is measured in all three; X takes one ninth of the picture.
    """
    asked: dict[str, list[Probe]] = {group: [] for group in ("whole", "hidden", "other hidden")}
    for index in range(count):
        rng = stream(seed, "probe grounding", index)
        scene = _scene(rng, "grounding", index, objects=(3, 5))
        thing, other = (unique(scene)[int(i)] for i in rng.choice(len(unique(scene)), 2, replace=False))
        for group, picture in (
            ("whole", render(scene)),
            ("hidden", hide(render(scene), thing)),
            ("other hidden", hide(render(scene), other)),
        ):
            made = _probe(
                "grounding", group, ASKED, scene, f"what color is the {thing.concept} ?", thing.colour,
                picture=picture,
            )  # fmt: skip
            asked[group].append(replace(made, box=cell(thing)))
    for part in asked.values():
        yield from part


def reading(seed: int, count: int) -> Iterator[Probe]:
    """What does the sign say, by what the text recogniser says: the word, a misread one, another, nothing."""
    groups = ("right token", "misread", "wrong token", "no token")
    asked: dict[str, list[Probe]] = {group: [] for group in groups}
    for index in range(count):
        rng = stream(seed, "probe reading", index)
        scene = _scene(rng, "reading", index, objects=(1, 3), plates=1)
        word = scene.plates[0].word
        tokens = {
            "right token": word,
            "misread": misread(word, rng),
            "wrong token": pick(rng, [other for other in WORDS if other != word]),
        }
        for group, part in asked.items():
            entry, question = READ if group in tokens else ASKED, "what does the sign say ?"
            part.append(_probe("reading", group, entry, scene, question, word, ocr=tokens.get(group, "")))
    for part in asked.values():
        yield from part


def counting(seed: int, count: int) -> Iterator[Probe]:
    """How many things, one to five; how many of a category, none to three among five things."""
    for number in range(1, 6):
        for index in range(count):
            rng = stream(seed, "probe counting", number, index)
            scene = _scene(rng, f"things_{number}", index, objects=(number, number))
            question = "how many things are in the picture ?"
            yield _probe("counting things", str(number), ASKED, scene, question, str(number))
    for number in range(4):
        for index in range(count):
            rng = stream(seed, "probe counting category", number, index)
            category = pick(rng, [kind for kind in CATEGORIES if len(_known(kind)) > 3])
            own, others = _known(category), [c for c in KNOWN if c.category != category]
            concepts = [own[int(i)] for i in rng.choice(len(own), number, replace=False)]
            concepts += [others[int(i)] for i in rng.choice(len(others), 5 - number, replace=False)]
            cells = [int(place) for place in rng.choice(9, 5, replace=False)]
            scene = Scene(f"category_{number}/{index:06d}", place_objects(rng, concepts, cells))
            question = f"how many {PLURALS[category]} are there ?"
            yield _probe("counting a category", str(number), ASKED, scene, question, str(number))


def space(seed: int, count: int) -> Iterator[Probe]:
    """Where is a thing, what is at a place, and what is left of, right of, above and below another."""
    kinds = {"where": "place", "at": "at_place"} | dict.fromkeys(RELATIONS, "relation")
    for group, kind in kinds.items():
        found = index = 0
        while found < count:
            rng = stream(seed, "probe space", group, index)
            scene = _scene(rng, f"space_{group.replace(' ', '_')}", index, objects=(3, 5))
            index += 1
            asked = questions(scene, (kind,), rng)
            fitting = [qa for qa in asked if kind != "relation" or f" {group} " in qa.question]
            if fitting:
                found += 1
                qa = fitting[int(rng.integers(len(fitting)))]
                yield _probe("space", group, ASKED, scene, qa.question, qa.answer)


def candidate_sets(seed: int, count: int) -> Iterator[Probe]:
    """The same question with other candidates: fewer, more, in another order, longer, in other words."""
    asked: dict[str, list[Probe]] = {}
    for index in range(count):
        rng = stream(seed, "probe candidates", index)
        scene, right, wrong = _which(rng, index)
        four = shuffled([right, *wrong[:3]], rng)
        lists = {
            "four": four,
            "two": shuffled([right, wrong[0]], rng),
            "eight": shuffled([right, *wrong[:7]], rng),
            "right one first": (right, *wrong[:3]),
            "right one last": (*wrong[:3], right),
            "all longer": tuple(map(longer, four)),
            "wrong ones longer": tuple(name if name == right else longer(name) for name in four),
            "right one longer": tuple(longer(name) if name == right else name for name in four),
            "with article": tuple(map(a, four)),
        }
        for group, names in lists.items():
            answer = next(name for name in names if name.split()[-1] == right)
            question = f"which {CONCEPTS[right].category} is in the picture ?"
            made = _probe("candidates", group, CHOSEN, scene, question, answer, names)
            asked.setdefault(group, []).append(made)
    for part in asked.values():
        yield from part


def longer(name: str) -> str:
    """The same answer in more words."""
    return f"the picture shows {a(name)}"


def misread(word: str, rng: np.random.Generator) -> str:
    """The word with one letter taken for one that looks alike."""
    at = int(rng.integers(len(word)))
    alike = [pair.replace(word[at], "", 1) for pair in CONFUSED if word[at] in pair]
    return word[:at] + (pick(rng, alike) if alike else "l") + word[at + 1 :]


def hide(picture: Image.Image, thing: Placed) -> Image.Image:
    """The picture with a grey square over the thing's cell and a pixel around it."""
    left, top, right, bottom = (edge * picture.width for edge in cell(thing))
    ImageDraw.Draw(picture).rectangle((left - 1, top - 1, right + 1, bottom + 1), fill=GREY)
    return picture


def cell(thing: Placed) -> Box:
    """The thing's cell of the grid."""
    return thing.column / 3, thing.row / 3, (thing.column + 1) / 3, (thing.row + 1) / 3


def _which(rng: np.random.Generator, index: int) -> tuple[Scene, str, list[str]]:
    """A scene with one thing of a category that has eight, the thing, and seven others of the category."""
    category = pick(rng, [kind for kind in CATEGORIES if len(_known(kind)) >= 8])
    own = shuffled([concept.name for concept in _known(category)], rng)
    others = [c for c in KNOWN if c.category != category]
    concepts = [CONCEPTS[own[0]], *(others[int(i)] for i in rng.choice(len(others), 2, replace=False))]
    cells = [int(place) for place in rng.choice(9, 3, replace=False)]
    return Scene(f"candidates/{index:06d}", place_objects(rng, concepts, cells)), own[0], list(own[1:8])


def _known(category: str) -> list:
    return [concept for concept in KNOWN if concept.category == category]


def _scene(
    rng: np.random.Generator, name: str, index: int, objects: tuple[int, int] = (2, 5), plates: int = 0
) -> Scene:
    return draw_scene(rng, f"{name}/{index:06d}", objects=objects, plates=plates, repeat=0.0)


def _probe(
    probe: str,
    group: str,
    entry: Entry,
    scene: Scene,
    question: str,
    answer: str,
    candidates: Sequence[str] = (),
    picture: Image.Image | None = None,
    ocr: str = "",
) -> Probe:
    name = f"probe/{probe}/{group}/{scene.scene_id}"
    ref = f"{name}.png" if picture else f"probe/{scene.scene_id}.png"
    fields = {"question": question, "options": listed(candidates), "ocr": ocr}
    example = Example(
        dataset=entry.name,
        example_id=name,
        image_id=f"probe/{scene.scene_id}",
        images=(ref,),
        references=(answer,),
        candidates=tuple(candidates),
    )
    instruction = entry.prompt.format_map(fields)
    return Probe(probe, group, entry, example, instruction, {ref: picture or render(scene)})

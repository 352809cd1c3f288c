"""Visual Dialog's twin: a history, a follow-up question and twenty answers to rank."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from workbench.data.candidates import VISDIAL_OPTIONS
from workbench.data.micro.dialogue import follow_up
from workbench.data.micro.pools import Item, item, scene_id
from workbench.data.micro.sampling import draw_scene, stream
from workbench.data.official.lookup import Lookup
from workbench.data.official.pictures import below
from workbench.data.official.reading import json_rows, json_texts
from workbench.data.official.releases import file_of
from workbench.data.official.rows import Note, Row, made, refuse, short
from workbench.records import Example, Split

FOLDER = "visdial/VisualDialog_val2018"
DENSE = "visdial/visdial_1.0_val_dense_annotations.json"


def micro(split: Split, count: int, seed: int) -> Iterator[Item]:
    """One example per picture."""
    for index in range(count):
        rng = stream(seed, "visdial", split, index)
        scene = draw_scene(rng, scene_id("visdial", split, index))
        asked = follow_up(scene, rng)
        yield item("visdial", split, index, (scene,), (asked.answer,), asked.fields, asked.candidates)


def official(split: Split, root: Path, note: Note = refuse) -> Iterator[Example]:
    """The official file, whose dialogues point into tables: one example per round, 100 candidates."""
    file = file_of(root, "visdial", split)
    tables = {
        name: Lookup(("", text) for text in json_texts(root, file, f"data.{name}.item"))
        for name in ("questions", "answers")
    }
    relevance = Lookup(_relevance(root))

    def said(row: Row, name: str, index: int) -> str:
        try:
            return str(tables[name].at(index))
        except IndexError:
            raise row.fault(f"points to number {index} of {name}, which is not there") from None

    def make(row: Row) -> Iterator[Example]:
        number = row.number("image_id")
        picture = below(root, FOLDER, f"{FOLDER.rpartition('/')[2]}_{number:012d}.jpg", row)
        history = _ended(row.text("caption"), ".")
        for turn, talk in enumerate(row.rows("dialog"), 1):
            options = talk.value("answer_options")
            if not isinstance(options, list) or not all(isinstance(option, int) for option in options):
                raise talk.fault("the field 'answer_options' has to be a list of whole numbers")
            if len(options) != VISDIAL_OPTIONS:
                raise talk.fault(f"has {len(options)} answer_options, not {VISDIAL_OPTIONS}")
            candidates = tuple(said(talk, "answers", option) for option in options)
            question = said(talk, "questions", talk.number("question"))
            fields = {"history": history, "question": question}
            if judged := relevance.get(f"{number} {turn}"):
                if len(judged[0]) != len(candidates):
                    problem = f"has {len(judged[0])} relevances in {DENSE}, not {VISDIAL_OPTIONS}"
                    raise talk.fault(problem, "get both files of one release")
                fields["relevance"] = " ".join(map(str, judged[0]))  # of the candidates, for NDCG
            yield Example(
                dataset="visdial",
                example_id=f"visdial_{number}_{turn}",
                image_id=f"visdial/{number:012d}",
                images=(picture,),
                references=(candidates[talk.index("gt_index", len(candidates))],),
                fields=fields,
                candidates=candidates,
            )
            answer = said(talk, "answers", talk.number("answer"))
            history += f" {_ended(question, '?')} {_ended(answer, '.')}"

    yield from made(json_rows(root, file, "data.dialogs.item"), make, note)


def _ended(text: str, mark: str) -> str:
    """A sentence with a mark at its end; most of the file's have none."""
    return text if text.endswith((".", "?", "!")) else text + mark


def _relevance(root: Path) -> Iterator[tuple[str, list[float]]]:
    if (root / DENSE).exists():
        for row in json_rows(root, DENSE):
            judged = row.value("gt_relevance", "relevance")
            if not isinstance(judged, list) or not all(isinstance(share, int | float) for share in judged):
                raise row.fault(f"the field 'gt_relevance' has to be a list of numbers, not {short(judged)}")
            yield f"{row.number('image_id')} {row.number('round_id')}", judged

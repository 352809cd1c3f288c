"""`workbench submit`: a model's answers to a test set whose own answers only a server has, as it wants them.

    vizwiz   [{"image": "VizWiz_test_00000000.jpg", "answer": "..."}, ...]
    aokvqa   {"<question_id>": {"multiple_choice": "...", "direct_answer": "..."}, ...}

Questions, pictures and settings are the catalogue's, as for the sets that are scored here. Pictures are
encoded as they come: nothing is prepared, and no feature is stored.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from workbench import files
from workbench.config import Config
from workbench.data.catalog import ASKED_AGAIN, for_suite
from workbench.data.collate import Collator
from workbench.data.direct import instruction as direct_text
from workbench.data.images import open_image
from workbench.data.official.hidden import HIDDEN, questions
from workbench.data.templates import evaluation_text
from workbench.experiment.answers import WEIGHTS, answers
from workbench.experiment.pictures import materials
from workbench.experiment.record import RunError, as_asked, folder_hash, start_folder
from workbench.model.instructblip import InstructBlip
from workbench.progress import shown
from workbench.records import Example, Row

FOLDER = "outputs/submissions"


def check(config: Config, dataset: str) -> None:
    """Is there anything to answer?

    Raises:
        RunError: for a dataset without such a test set, and for another suite.
    """
    if dataset not in HIDDEN:
        raise RunError(
            f"{dataset} has no test set whose answers are hidden; choose one of {', '.join(HIDDEN)}"
        )
    if config.suite != "official":
        raise RunError("suite is micro in params.yaml; apply a paper preset, or set suite: official")


def submit(config: Config, root: Path, dataset: str, row: Row, tuned: Path | None) -> Path:
    """Answers every question and writes outputs/submissions/<dataset>_<row>.json.

    What it was made with stands in <dataset>_<row>_of.json beside it.

    Args:
        row: of the comparison; blip2 is the start itself.
        tuned: the folder of the weights that a tuned row has.

    Raises:
        ValueError: as `check`, and for missing or damaged inputs, before the first question is asked.
    """
    check(config, dataset)
    config = as_asked(config, row)
    data = root / config.data.root
    asked = questions(dataset, data)
    _decode(data, [ref for example in asked for ref in example.images])
    model, collator = materials(config, root, tuned, data)
    size = config.evaluate.batch_size
    batches = [asked[at : at + size] for at in range(0, len(asked), size)]
    put = partial(_answers, model, collator, config, row)
    path = root / FOLDER / f"{dataset}_{row}.json"
    files.write_json(path, _SHEETS[dataset](put, shown(batches, f"answer {dataset}", len(batches))))
    weights = files.file_sha256(tuned / WEIGHTS) if tuned else ""
    made_of = {"start": folder_hash(start_folder(config, root)), "weights": weights}
    files.write_json(path.with_name(f"{path.stem}_of.json"), {**made_of, "config": config.to_dict()})
    return path


def _decode(root: Path, refs: Sequence[str]) -> None:
    """Looks whether every picture can be read: nobody wants to learn it after hours of answers."""

    def look(ref: str) -> None:
        open_image(root, ref, own=True)

    with ThreadPoolExecutor() as pool:
        for _ in shown(pool.map(look, refs), "look at pictures", len(refs)):
            pass


Batches = Iterable[Sequence[Example]]
Put = Callable[[str, Sequence[Example]], list[str]]


def _vizwiz(put: Put, batches: Batches) -> list[dict[str, str]]:
    return [
        {"image": example.fields["image"], "answer": text}
        for batch in batches
        for example, text in zip(batch, put("vizwiz", batch), strict=True)
    ]


def _aokvqa(put: Put, batches: Batches) -> dict[str, dict[str, str]]:
    sheet = {}
    for batch in batches:
        bare = [replace(e, candidates=(), fields={"question": e.fields["question"]}) for e in batch]
        both = zip(batch, put("aokvqa", batch), put("aokvqa_direct", bare), strict=True)
        for example, choice, text in both:
            written = json.loads(example.fields["as_written"])[example.candidates.index(choice)]
            sheet[example.fields["question_id"]] = {"multiple_choice": written, "direct_answer": text}
    return sheet


_SHEETS: dict[str, Callable[[Put, Batches], Any]] = {"vizwiz": _vizwiz, "aokvqa": _aokvqa}


def _answers(
    model: InstructBlip, collator: Collator, config: Config, row: Row, name: str, batch: Sequence[Example]
) -> list[str]:
    """What is said when asked as the catalogue's row of that name does."""
    said = answers(
        model,
        collator,
        for_suite(name, config.suite),
        batch,
        partial(direct_text if name in ASKED_AGAIN else evaluation_text, row=row),
        batch_size=len(batch),
        num_beams=config.evaluate.num_beams,
        repetition_penalty=config.evaluate.repetition_penalty,
    )
    return [one.text for one in said]

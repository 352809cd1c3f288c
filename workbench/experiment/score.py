"""Examination, recorded: the rows of the paper's Figure 4, on all datasets, with and without the picture.

    answers/<dataset>.parquet   what the model said; made once, however often metrics change
    predictions.parquet         the same with each example's share of its metric
    scores.jsonl                dataset, metric, value, blind, n
    details.parquet             official alone: further metrics, see details.py
"""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from filelock import FileLock, Timeout

from workbench import files, tracking
from workbench.config import Config
from workbench.data.catalog import ASKED_AGAIN, SCORED, Suite, for_suite
from workbench.data.collate import Collator
from workbench.data.direct import instruction as direct_text
from workbench.data.templates import evaluation_text
from workbench.evaluate import metrics
from workbench.experiment import record, sample
from workbench.experiment.answers import WEIGHTS, answers, load_weights, materials
from workbench.experiment.details import askings, detail, examples_of
from workbench.experiment.fit import fit
from workbench.experiment.operations import Operations
from workbench.model.instructblip import InstructBlip
from workbench.progress import shown
from workbench.records import ROWS, Example, Prediction, Row
from workbench.surroundings import home

RESULTS = ("scores.jsonl", "predictions.parquet")


def score(config: Config, row: Row, root: Path, tuned: Path | None = None) -> Path:
    """The folder of the finished examination: record.json, scores.jsonl, predictions.parquet.

    Args:
        row: blip2 is the start itself; multitask_tagged_tags asks the tagged model with tags.
        root: as for `fit`.
        tuned: a folder with best.safetensors; by default what `fit` gives for the row's recipe, which
            is tuned first if it has to be.

    Raises:
        ValueError: for missing or damaged inputs, naming file and remedy.
    """
    config, recipe = record.as_asked(config, row), ROWS[row]
    if recipe is not None and tuned is None:
        tuned = fit(config, recipe, root)
    weights, hashes, folder = _place(config, row, root, tuned)
    with FileLock(folder / ".lock"):
        current = {**hashes, "metrics": record.metrics_hash(config.suite)}
        if (folder / record.RECORD).is_file() and record.Record.read(folder).hashes == current:
            return folder
        tags = {"stage": "evaluate", "row": row, "recipe": recipe or "", "suite": config.suite}
        tags |= {"seed": str(config.train.seed)} | {f"hash.{key}": value for key, value in current.items()}
        with tracking.run(
            home(root), config, name=f"evaluate {row}", signature=files.digest(current), tags=tags
        ) as track:
            _answer(config, row, root, weights, folder)
            scores = rescore(folder, config.suite)
            results = [*RESULTS, *(detail(folder, config, root) if config.suite == "official" else ())]
            track.metrics(0, {f"{_kind(s)}/{s['dataset']}": s["value"] for s in scores})
            answered = pd.read_parquet(folder / "predictions.parquet")
            sample.write_sample(folder, answered[~answered["blind"]])
            sample.write_table(folder, row, scores)
            counts = {s["dataset"]: s["n"] for s in scores if not s["blind"]}
            record.Record(
                kind="evaluate",
                name=row,
                signature=folder.name,
                suite=config.suite,
                seed=config.train.seed,
                config=config.to_dict(),
                hashes=current,
                cost=_cost(config, folder),
                examples=counts,
                result={"sha256": {name: files.file_sha256(folder / name) for name in results}},
            ).write(folder)
            for name in (record.RECORD, sample.SAMPLE, sample.TABLE):
                track.artifact(folder / name)
    return folder


def assist(config: Config, row: Row, root: Path, tuned: Path | None) -> None:
    """Asks some of the datasets of an examination that another process is making, the last ones first."""
    config = record.as_asked(config, row)
    weights, _, folder = _place(config, row, root, tuned)
    _answer(config, row, root, weights, folder, helping=True)


def signed(config: Config, row: Row, root: Path, weights: Path | None) -> dict[str, str]:
    """Hashes of everything the answers follow from; the metrics are no part of it."""
    if weights is not None and not weights.is_file():
        raise record.RunError(f"{weights} does not exist; run the stage tune first")
    config = record.as_asked(config, row)
    chosen = ("split", "num_beams", "repetition_penalty", "blind")
    settings = {name: getattr(config.evaluate, name) for name in chosen} | {"model": record.switches(config)}
    datasets, asked = record.asked(config), askings(config)
    second = ["workbench.data.direct"] if asked != datasets else []
    return {
        "row": row,
        "config": files.digest(settings),
        "start": record.folder_hash(record.start_folder(config, root)),
        **record.data_hashes(root, config, datasets, (config.evaluate.split,)),
        "weights": files.file_sha256(weights) if weights else "",
        "catalogue": record.rows_hash(asked, config.suite),
        "code": record.code_hash("workbench.experiment.answers", "workbench.data.templates", *second),
    }


def rescore(folder: Path, suite: Suite) -> list[dict[str, Any]]:
    """Scores the answers on disk with today's metrics; rewrites predictions.parquet and scores.jsonl."""
    frames: list[pd.DataFrame] = []
    lines: list[dict[str, Any]] = []
    for name in (e.name for e in SCORED if (folder / "answers" / f"{e.name}.parquet").is_file()):
        said = pd.read_parquet(folder / "answers" / f"{name}.parquet")
        metric = for_suite(name, suite).metric
        for blind, part in said.groupby("blind", sort=True):
            result = metrics.score(metric, [_prediction(r) for r in part.to_dict("records")])
            frames.append(part.assign(score=list(result.per_example)))
            lines.append(
                {
                    "dataset": name,
                    "metric": result.metric,
                    "value": result.value,
                    "blind": bool(blind),
                    "n": len(part),
                }
            )
    with files.replacing(folder / "predictions.parquet") as temporary:
        pd.concat(frames, ignore_index=True).to_parquet(temporary)
    files.write_text(folder / "scores.jsonl", "".join(json.dumps(line) + "\n" for line in lines))
    return lines


def read_scores(folder: Path) -> list[dict[str, Any]]:
    """The lines of scores.jsonl."""
    return [json.loads(line) for line in (folder / "scores.jsonl").read_text(encoding="utf-8").splitlines()]


def _place(
    config: Config, row: Row, root: Path, tuned: Path | None
) -> tuple[Path | None, dict[str, str], Path]:
    """The weights, if it is a tuned row, the hashes of what answers follow from, and the run's folder."""
    weights = None if ROWS[row] is None or tuned is None else tuned / WEIGHTS
    hashes = signed(config, row, root, weights)
    folder = home(root) / "runs" / files.digest(hashes)
    folder.mkdir(parents=True, exist_ok=True)
    return weights, hashes, folder


def _answer(
    config: Config, row: Row, root: Path, weights: Path | None, folder: Path, helping: bool = False
) -> None:
    """Asks every dataset that has no answers yet; each is kept as soon as it is done.

    Who helps goes from the last one back, until it comes to one that is being asked.
    """
    place, every = folder / "answers", askings(config)
    place.mkdir(exist_ok=True)
    left = [name for name in every if not (place / f"{name}.parquet").is_file()]
    if not left:
        return
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    model, collator = materials(config, root, device)
    if weights is not None:
        load_weights(weights, model.trainable())
    model.requires_grad_(False)  # nothing is trained here, and the FLOP counter trips over parameters
    title = f"evaluate {row}" + (", from the end" if helping else "")
    with suppress(Timeout):
        order = left[::-1] if helping else left
        for name in shown(order, title, len(every), len(every) - len(left)):
            with FileLock(place / f".{name}.lock", timeout=0 if helping else -1):
                if (place / f"{name}.parquet").is_file():
                    continue
                frame, cost = _ask(config, row, model, collator, name, examples_of(name, config, root))
                files.write_json(place / f"{name}.json", cost)
                with files.replacing(place / f"{name}.parquet") as temporary:
                    frame.to_parquet(temporary)


def _cost(config: Config, folder: Path) -> record.Cost:
    """What all the answers took, whoever gave them."""
    parts = [files.read_json(folder / "answers" / f"{name}.json") for name in askings(config)]
    peak = max(part["peak_memory_bytes"] for part in parts)
    return record.Cost(sum(p["seconds"] for p in parts), sum(p["flops"] for p in parts), peak)


def _ask(
    config: Config, row: Row, model: InstructBlip, collator: Collator, name: str, examples: Sequence[Example]
) -> tuple[pd.DataFrame, dict[str, float]]:
    """The answers of one asking, with the picture and (if wished) without, and what they took."""
    began = time.perf_counter()
    size = config.evaluate.batch_size
    ask = partial(
        answers,
        model,
        collator,
        for_suite(name, config.suite),
        instruction=partial(direct_text if name in ASKED_AGAIN else evaluation_text, row=row),
        batch_size=size,
        num_beams=config.evaluate.num_beams,
        repetition_penalty=config.evaluate.repetition_penalty,
    )
    with Operations() as counter:  # counting slows down: the first batch stands for all
        said = ask(examples[:size])
    said += ask(examples[size:])
    frames = [_frame(name, said, blind=False)]
    if config.evaluate.blind:
        frames.append(_frame(name, ask(examples, blind=True), blind=True))
    asked = len(frames) * len(examples)
    flops = counter.total * asked / len(examples[:size])
    took = {"seconds": time.perf_counter() - began, "flops": flops, "peak_memory_bytes": record.peak_memory()}
    return pd.concat(frames, ignore_index=True), took


def _frame(name: str, predictions: list[Prediction], blind: bool) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "dataset": name,
            "example_id": p.example.example_id,
            "image_id": p.example.image_id,
            "images": list(p.example.images),
            "domain": p.example.domain,
            "instruction": p.instruction,
            "prediction": p.text,
            "candidates": list(p.example.candidates),
            "candidate_scores": list(p.candidate_scores),
            "references": list(p.example.references),
            "blind": blind,
        }
        for p in predictions
    )


def _prediction(line: dict[Any, Any]) -> Prediction:
    """What was written by `_frame`; the fields an example was asked with are in its instruction."""
    example = Example(
        dataset=line["dataset"],
        example_id=line["example_id"],
        image_id=line["image_id"],
        images=tuple(line["images"]),
        references=tuple(line["references"]),
        candidates=tuple(line["candidates"]),
        domain=line["domain"],
    )
    return Prediction(example, line["instruction"], line["prediction"], tuple(line["candidate_scores"]))


def _kind(line: dict[str, Any]) -> str:
    return "blind" if line["blind"] else "score"

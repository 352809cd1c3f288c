"""outputs/studies/<study> as `workbench ablate` leaves it, with effects that are known."""

import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd
from report_outputs import answer_of, example_of, record

from workbench import files
from workbench.data.catalog import FIGURE4_HELD_OUT, HELD_IN, HELD_OUT, SCORED
from workbench.report.statistics.intervals import value_of

SKILLS = {"full": (0.7, 0.6), "drop": (0.3, 0.3), "twin": (0.7, 0.6)}
SEEN = {"gqa": 1.0}  # of a score is left without the picture; half elsewhere, and all of AUC
ARMS = [
    {"name": "full", "title": "instruction-aware", "row": "instruct", "changes": {}},
    {
        "name": "drop",
        "title": "no text path",
        "row": "instruct",
        "changes": {"model.instruction_aware": False},
    },
    {"name": "twin", "title": "the same <again> | twice", "row": "instruct", "changes": {"train.steps": 9}},
]


def claim(name: str, better: str, worse: str, measure: str, paper: float | None = None, primary=True) -> dict:
    source = "Table 2, <b>FlanT5</b>" if paper is not None else ""
    found = {"name": name, "better": better, "worse": worse, "measure": measure, "smallest_effect": 1.0}
    return found | {"paper": paper, "source": source, "primary": primary}


CLAIMS = [
    claim("text helps <held-out>", "full", "drop", "held_out", 5.4),
    claim("no better twin", "full", "twin", "held_out"),
    claim("the wrong way round", "drop", "full", "held_in", 4.3, primary=False),
    claim("OKVQA", "full", "drop", "okvqa", 2.0, primary=False),
]


def write_study(
    outputs: Path,
    seeds: tuple[int, ...] = (101, 102, 103),
    examples: int = 12,
    missing: tuple[str, ...] = (),
    skills: Mapping[str, tuple[float, float]] = SKILLS,
) -> Path:
    """The folder of study `toy`."""
    folder = outputs / "studies" / "toy"
    names = [f"{arm['name']}@{seed}" for seed in seeds for arm in ARMS]
    lines = []
    for name in names:
        if name not in missing:
            arm, _, seed = name.partition("@")
            lines.append(_write_cell(folder, arm, int(seed), examples, skills[arm]))
    content = {
        "study": "toy",
        "question": "Does <script>alert(1)</script> help?",
        "baseline": "full",
        "arms": ARMS,
        "claims": CLAIMS,
        "measures": {"held_in": HELD_IN, "held_out": HELD_OUT, "figure4": FIGURE4_HELD_OUT},
        "seeds": list(seeds),
        "development": False,
        "config": {"suite": "micro"},
        "revision": {"commit": "a" * 40, "dirty": "false"},
        "cells": lines,
        "missing": [name for name in names if name in missing],
    }
    files.write_json(folder / "cells.json", content)
    return folder


def _write_cell(folder: Path, arm: str, seed: int, examples: int, skills: tuple[float, float]) -> dict:
    place = folder / "cells" / f"{arm}@{seed}"
    place.mkdir(parents=True)
    shift = float(np.random.default_rng(seed).normal(0, 0.01))  # of the seed, whatever the arm
    lines, scores = [], []
    for entry in SCORED:
        name = entry.name
        part = []
        for number in range(examples):
            example = example_of(name, number)
            example["rng"] = np.random.default_rng([seed, sum(map(ord, arm)), number, len(lines)])
            part.append(answer_of((skills[0] + shift, skills[1] + shift), example, False))
            part[-1]["score"] = min(part[-1]["score"], 100.0)
        shown = {"dataset": name, "metric": entry.metric, "n": len(part)}
        scores.append(shown | {"value": _value(entry.metric, part), "blind": False})
        blind = [line | {"blind": True, "score": line["score"] * SEEN.get(name, 0.5)} for line in part]
        scores.append(shown | {"value": _value(entry.metric, blind), "blind": True})
        lines += part + blind
    pd.DataFrame(lines).to_parquet(place / "predictions.parquet")
    (place / "scores.jsonl").write_text("".join(json.dumps(line) + "\n" for line in scores))
    marks = {file: files.file_sha256(place / file) for file in ("scores.jsonl", "predictions.parquet")}
    files.write_json(place / "attention.json", _looked(arm, seed))
    (place / "curve.csv").write_text(_curve(arm, seed, shift).to_csv(index=False))
    own = {"name": "instruct", "seed": seed}
    examined = record("evaluate", f"{arm}@{seed}", 14.0) | own
    examined = _seal(place / "record.json", examined, {"sha256": marks})
    training = record("tune", f"{arm}/{seed}", 180.0) | own | {"examples": {"vqav2": 900, "okvqa": 100}}
    training["config"] = {"train": {"steps": 100, "seed": seed}}
    training["config"] |= {"model": {"instruction_aware": arm != "drop", "language_model": "t5"}}
    tuned = _seal(place / "tune.json", training, {})
    return {
        "arm": arm,
        "seed": seed,
        "folder": f"cells/{arm}@{seed}",
        "row": "instruct",
        "changes": {},
        "tune": tuned["signature"],
        "evaluate": examined["signature"],
        "cost": {"evaluate": examined["cost"], "tune": tuned["cost"]},
        "data": "e" * 16,
        "code": "d" * 16,
        "sha256": marks,
        "extras": {file: files.file_sha256(place / file) for file in ("attention.json", "curve.csv")},
        "mlflow": {"tune": "1" * 32, "evaluate": "2" * 32},
    }


def _looked(arm: str, seed: int) -> dict:
    """Two bright patches of sixteen; the arm without the text looks at the first both times."""
    maps = [[0.04] * 17 for _ in range(2)]
    maps[0][6], maps[1][6 if arm == "drop" else 11] = 0.36, 0.36
    said = {"dataset": "vqav2", "image": "scenes/vqav2.zip/0000-0.png", "code": "d" * 16}
    said |= {"instructions": ["Question: which <b>colour</b>?", "Question: what is left of the dog?"]}
    return said | {"answers": ["red", f"a cat {seed}"], "maps": maps}


def _curve(arm: str, seed: int, shift: float) -> pd.DataFrame:
    steps = np.arange(1, 101)
    rng, best = np.random.default_rng(seed), {"full": 60.0, "drop": 40.0, "twin": 58.0}[arm]
    frame = pd.DataFrame({"step": steps, "loss": 0.5 + 2 * np.exp(-steps / 20) + rng.normal(0, 0.1, 100)})
    for name in HELD_IN:
        values = best * (1 - np.exp(-steps / 30)) + 100 * shift + rng.normal(0, 2, 100)
        frame[f"val/{name}"] = np.where(steps % 20 == 0, values, np.nan)
    return frame.assign(val=frame.filter(like="val/").mean(axis=1))


def _value(metric: str, part: list[dict]) -> float:
    positive = np.array([line["references"][0] == "yes" for line in part])
    return value_of(metric, np.array([line["score"] for line in part]), positive)


def _seal(path: Path, content: dict, result: dict) -> dict:
    content = content | {"result": result}
    files.write_sealed(path, content)
    return content

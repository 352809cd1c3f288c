"""Outputs as the stages leave them, with known truth: row r answers right with a known rate."""

import hashlib
import json
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image, ImageDraw

from workbench import files
from workbench.data.catalog import CATALOG, FIGURE4_HELD_OUT, HELD_IN, HELD_OUT, SCORED, for_suite
from workbench.report.compare import Suite
from workbench.report.statistics.intervals import value_of

SKILL = {
    "blip2": (0.25, 0.33),
    "multitask_plain": (0.62, 0.36),
    "multitask_tagged": (0.55, 0.35),
    "multitask_tagged_tags": (0.66, 0.38),
    "instruct": (0.68, 0.46),
}
WORDS = ("red", "blue", "dog", "cat", "cup", "train", "apple", "left", "right", "two", "yes", "no", "kite")
DOMAINS = ("in", "near", "out")  # NoCaps' take turns
SEEN = 0.6  # of the skill is left without the picture


def suite() -> Suite:
    sizes = {entry.name: entry.micro_size for entry in CATALOG if entry.held_in}
    sampling = {}
    for rule, power in (("sqrt", 0.5), ("uniform", 0.0), ("proportional", 1.0)):
        weights = {name: size**power for name, size in sizes.items()}
        sampling[rule] = {name: weight / sum(weights.values()) for name, weight in weights.items()}
    return Suite(SCORED, HELD_IN, HELD_OUT, FIGURE4_HELD_OUT, sampling)


def example_of(name: str, number: int) -> dict:
    entry = for_suite(name, "micro")
    seed = int(hashlib.sha256(f"{name}/{number}".encode()).hexdigest()[:8], 16)
    rng = np.random.default_rng(seed)
    words = [str(word) for word in rng.permutation(WORDS)[:4]]
    references, candidates = [words[0]], []
    if entry.metric == "cider":
        references = [f"a {words[0]} and a {words[1]} near the {word}" for word in words[1:]]
    elif entry.metric in ("vqa_accuracy", "ivqa_accuracy"):
        references = [words[0]] * 7 + [words[1]] * 3
    elif entry.metric == "auc":
        references, candidates = [("yes", "no")[number % 2]], ["yes", "true", "no", "false"]
    elif entry.decoding == "rank":
        candidates = words
    return {
        "dataset": name,
        "example_id": f"{number:05d}",
        "image_id": f"{name}-{number // 2}",
        "images": [f"scenes/{name}.zip/{number // 2:04d}-{frame}.png" for frame in range(entry.frames)],
        "instruction": f"Question: what is the <b>{words[0]}</b> & why? Short answer:",
        "candidates": candidates,
        "references": references,
        "domain": DOMAINS[number % 3] if name == "nocaps" else "",
        "rng": rng,
        "words": words,
    }


def answer_of(skills: tuple[float, float], example: dict, blind: bool) -> dict:
    entry, rng, words = for_suite(example["dataset"], "micro"), example["rng"], example["words"]
    held_in, held_out = skills
    skill = (held_in if entry.held_in else held_out) * (SEEN if blind else 1)
    difficulty = np.random.default_rng(int(example["example_id"])).normal(0, 0.15)
    right = rng.random() < skill + difficulty
    kept = {key: value for key, value in example.items() if key not in ("rng", "words")}
    text, score = (example["references"][0], 100.0) if right else (words[-1], 0.0)
    if entry.metric == "cider":
        text = text if right else f"a {words[0]} near a {words[2]}"
        score = float(rng.gamma(4.0, 60.0)) * (1 if right else 0.2)
    elif entry.metric == "mrr":
        score = 100.0 / (1 if right else int(rng.integers(2, 5)))
    elif entry.metric == "auc":
        text = example["references"][0] if right else "no"
        score = float(rng.normal((example["references"][0] == "yes") * 2.5 * skill, 1))
    scores = [float(s) for s in -rng.random(len(example["candidates"]))]
    return kept | {"prediction": text, "candidate_scores": scores, "score": score, "blind": blind}


START = "5" * 16  # hash of the BLIP-2 that everything is tuned from


def record(kind: str, name: str, seconds: float) -> dict:
    return {
        "kind": kind,
        "name": name,
        "signature": hashlib.sha256(name.encode()).hexdigest()[:16],
        "config": {"model": {"language_model": "t5"}},
        "seed": 1,
        "suite": "micro",
        "cost": {
            "seconds": seconds,
            "flops": seconds * 4.1e10,
            "peak_memory_bytes": int(1.4e9 + seconds * 1e6),
        },
        "mlflow_run_id": "0" * 32,
        "hashes": {"config": "c" * 16, "code": "d" * 16, "data": "e" * 16, "start": START},
    }


def seal(folder: Path, content: dict) -> None:
    """The record of a finished run."""
    files.write_sealed(folder / "record.json", content)


def write_outputs(outputs: Path, examples: int = 20, rows: tuple[str, ...] = tuple(SKILL)) -> Path:
    """outputs/ of a finished pipeline over everything that has a score."""
    for row in rows:
        folder = outputs / "evaluate" / row
        folder.mkdir(parents=True)
        lines, scores = [], []
        for entry in SCORED:
            for blind in (False, True):
                part = [answer_of(SKILL[row], example_of(entry.name, n), blind) for n in range(examples)]
                positive = np.array([p["references"][0] == "yes" for p in part])
                value = value_of(entry.metric, np.array([p["score"] for p in part]), positive)
                scores.append({"dataset": entry.name, "metric": entry.metric, "value": value, "blind": blind})
                scores[-1]["n"] = len(part)
                lines += part
        pd.DataFrame(lines).to_parquet(folder / "predictions.parquet")
        (folder / "scores.jsonl").write_text("".join(json.dumps(line) + "\n" for line in scores))
        seal(folder, record("evaluate", row, 14.0 + len(row)))
    for recipe in ("instruct", "multitask_plain", "multitask_tagged"):
        if recipe in rows:
            _write_tuning(outputs / "tune" / recipe, recipe)
    return outputs


def _write_tuning(folder: Path, recipe: str) -> None:
    folder.mkdir(parents=True)
    rng = np.random.default_rng(len(recipe))
    steps = np.arange(1, 1001)
    frame = pd.DataFrame({"step": steps})
    frame["loss"] = 0.4 + 2.5 * np.exp(-steps / 150) + rng.normal(0, 0.12, len(steps)).clip(-0.3, 0.3)
    frame["learning_rate"] = 1e-3 * np.minimum(steps / 50, 0.5 * (1 + np.cos(np.pi * steps / 1000)))
    for name in HELD_IN:
        values = 70 * (1 - np.exp(-steps / 300)) + rng.normal(0, 2, len(steps))
        frame[f"val/{name}"] = np.where(steps % 250 == 0, values, np.nan)
    frame.to_csv(folder / "curve.csv", index=False)
    seal(folder, record("tune", recipe, 180.0 + len(recipe)))


def open_image(ref: str) -> Image.Image:
    """A made-up scene: three shapes on a background."""
    rng = np.random.default_rng(int(hashlib.sha256(ref.encode()).hexdigest()[:8], 16))
    image = Image.new("RGB", (64, 64), tuple(int(v) for v in rng.integers(200, 256, 3)))
    draw = ImageDraw.Draw(image)
    for _ in range(3):
        x, y = (int(v) for v in rng.integers(2, 44, 2))
        colour = tuple(int(v) for v in rng.integers(0, 200, 3))
        (draw.ellipse if rng.random() < 0.5 else draw.rectangle)((x, y, x + 16, y + 16), fill=colour)
    return image

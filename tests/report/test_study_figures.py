"""Every figure.py draws from collected files alone, and refuses files that are not there or were edited."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from workbench import code, files
from workbench.config import load
from workbench.data.catalog import HELD_IN, HELD_OUT, SCORED
from workbench.report.outputs import ReportError
from workbench.report.study import frames
from workbench.report.study.exploration import surface
from workbench.search import space, study
from workbench.stages import figure, page

ROOT = code.PACKAGE.parent
BASE = load(ROOT / "params.yaml")
SEEDS = (101, 102, 103)
PICTURES = 6
GROUPS = {
    "diagnostics": {
        "presence": ("present", "random", "popular", "adversarial"),
        "grounding": ("whole", "hidden", "other hidden"),
        "reading": ("right token", "misread", "wrong token", "no token"),
        "counting things": tuple("12345"),
        "counting a category": tuple("0123"),
        "space": ("where", "at", "left of", "right of", "above", "below"),
        "candidates": ("four", "two", "eight", "right one first", "all longer"),
    },
    "template_sensitivity": {
        name: ("prompt", "first", "known 3", "new 1") for name in ("vqav2", "okvqa", "gqa")
    },
}


def answers(name: str, rng: np.random.Generator) -> pd.DataFrame:
    words = {"presence": ("yes", "no"), "counting things": ("1", "3"), "counting a category": ("1", "2")}
    lines = [
        {
            "probe": probe,
            "group": group,
            "example_id": f"{probe}/{group}/{place}",
            "image_id": f"{probe}/{place}",
            "prediction": words.get(probe, ("dog", "cat"))[int(rng.integers(2))],
            "score": 100.0 * float(rng.random() < 0.6),
            "attention": float(rng.random()) if probe == "grounding" else float("nan"),
            "area": 1 / 9 if probe == "grounding" else float("nan"),
        }
        for probe, groups in GROUPS[name].items()
        for group in groups
        for place in range(PICTURES)
    ]
    return pd.DataFrame(lines)


def collected(outputs: Path, name: str) -> Path:
    """outputs/studies/<name> as `workbench ablate` leaves it, as far as figures look at it."""
    found, folder = study.load(ROOT / "experiments" / name, BASE), outputs / "studies" / name
    rng, cells = np.random.default_rng(1), []
    for arm in found.arms:
        for seed in SEEDS:
            place = folder / f"cells/{arm.name}@{seed}"
            lines = [
                {"dataset": one, "metric": "x", "value": float(rng.uniform(20, 60)), "blind": False, "n": 9}
                for one in (entry.name for entry in SCORED)
            ]
            files.write_text(place / "scores.jsonl", "".join(json.dumps(line) + "\n" for line in lines))
            cell = {"arm": arm.name, "seed": seed, "folder": f"cells/{arm.name}@{seed}", "probe": None}
            if name in GROUPS:
                answers(name, rng).to_parquet(place / "probes.parquet")
                sums = {"probes.parquet": files.file_sha256(place / "probes.parquet")}
                record = {"signature": "s", "result": {"sha256": sums}}
                files.write_sealed(place / "probe.json", record)
                cell["probe"] = "s"
            cells.append({**cell, "sha256": {"scores.jsonl": files.file_sha256(place / "scores.jsonl")}})
    arms = [{"name": arm.name, "title": arm.title or arm.name} for arm in found.arms]
    measures = {"held_in": list(HELD_IN), "held_out": list(HELD_OUT)}
    files.write_json(folder / "cells.json", {"arms": arms, "cells": cells, "measures": measures})
    return folder


def explored(outputs: Path) -> None:
    given = space.load(ROOT / "experiments/dataset_weights", BASE)
    rng, lines = np.random.default_rng(1), []
    for number in range(16):
        values = (
            list(given.first.values())[number]
            if number < len(given.first)
            else {name: float(rng.uniform(d.low, d.high)) for name, d in given.dimensions.items()}
        )
        first = list(given.first)[number] if number < len(given.first) else ""
        line = {"trial": f"trial{number:03d}", "state": "complete", "first": first, **values}
        lines.append({**line, "val": 40 - 10 * (values["data.exponent"] - 0.5) ** 2 + rng.normal(0, 0.2)})
    frame = pd.DataFrame(lines)
    folder = outputs / "explorations/dataset_weights"
    folder.mkdir(parents=True)
    frame.to_csv(folder / "trials.csv", index=False)
    shares = dict.fromkeys(given.dimensions, 1 / len(given.dimensions))
    body = {"space": given.to_dict(), "surface": surface(frame, given.to_dict())}
    files.write_json(
        folder / "exploration.json", {**body, "importance": {"fanova": shares, "ped_anova": shares}}
    )


@pytest.mark.parametrize(
    ("name", "made"),
    [
        (
            "diagnostics",
            ("rates.svg", "yes.svg", "changes.svg", "gaze.svg", "counting.csv", "probes.csv"),
        ),
        ("template_sensitivity", ("templates.svg", "flips.svg", "spreads.csv", "interaction.csv")),
        ("awareness_vs_diversity", ("lines.svg", "worth.svg", "shares.csv", "variance.csv")),
        ("query_bottleneck", ("means.svg", "shares_held_in.csv", "shares_held_out.csv")),
        ("finetuning", ("tasks.svg", "tasks_table.csv", "elsewhere.csv")),
        ("dataset_weights", ("responses.svg", "importance.svg", "contrasts.csv")),
    ],
)
def test_a_study_draws_what_it_promises(tmp_path, name, made, monkeypatch):
    drawn, owns = figure.drawn, []
    monkeypatch.setattr(figure, "drawn", lambda *given: owns.append(drawn(*given)) or owns[-1])
    (tmp_path / "experiments").symlink_to(ROOT / "experiments")
    if name == "dataset_weights":
        explored(tmp_path / "outputs")
    else:
        collected(tmp_path / "outputs", name)
    figure.work(BASE, tmp_path, name)
    written = {path.name: path.read_text() for path in (tmp_path / "reports/studies").iterdir()}
    for file in made:
        assert len(written[f"{name}_{file}"]) > 100
        if file.endswith(".svg"):
            assert "<svg" in written[f"{name}_{file}"]
    (own,) = owns
    assert {*own.figures, *own.tables} == set(own.captions)
    figure.work(BASE, tmp_path, name)
    again = {path.name: path.read_text() for path in (tmp_path / "reports/studies").iterdir()}
    assert again == written, "two builds are equal byte for byte"


def test_a_figure_does_not_take_the_place_of_one_of_the_page(tmp_path):
    folder = tmp_path / "experiments/mine"
    folder.mkdir(parents=True)
    (folder / "figure.py").write_text("import pandas\ndef draw(outputs): return {'runs': pandas.DataFrame()}")
    with pytest.raises(study.StudyError, match=r"has a runs\.csv of its own; rename"):
        figure.work(BASE, tmp_path, "mine")


def test_what_was_not_explored_is_a_note_on_the_page_and_an_edited_file_an_error(tmp_path):
    (tmp_path / "experiments").symlink_to(ROOT / "experiments")
    own = page.own_of(tmp_path, "dataset_weights")
    assert own.note.endswith("exploration.json does not exist; run `workbench explore dataset_weights`")
    assert not own.note.startswith(str(tmp_path))
    folder = collected(tmp_path / "outputs", "finetuning")
    (folder / "cells/tuned@101/scores.jsonl").write_text("")
    with pytest.raises(study.StudyError, match=r"scores\.jsonl is missing or not the file"):
        page.own_of(tmp_path, "finetuning")


def test_what_was_not_run_or_was_edited_is_named(tmp_path):
    with pytest.raises(ReportError, match="run `workbench ablate diagnostics`"):
        frames.probes(tmp_path / "studies/diagnostics")
    folder = collected(tmp_path, "template_sensitivity")
    path = folder / "cells/one@102/probes.parquet"
    answers("template_sensitivity", np.random.default_rng(9)).to_parquet(path)
    with pytest.raises(ReportError, match=r"one@102/probes.parquet is missing or not the file"):
        frames.probes(folder)
    (folder / "cells/one@101/scores.jsonl").write_text("")
    with pytest.raises(ReportError, match=r"one@101/scores.jsonl is missing or not the file"):
        frames.scores(folder)
    plain = collected(tmp_path, "finetuning")
    with pytest.raises(ReportError, match="was not probed"):
        frames.probes(plain)

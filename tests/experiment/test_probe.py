"""Probes are answered as an examination answers, recorded once, and measured where they have a box."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from small_world import CONFIG

from workbench.data.catalog import BY_NAME
from workbench.data.images import open_image
from workbench.data.prepare import load_examples
from workbench.data.templates import evaluation_text
from workbench.experiment import probe as probing
from workbench.experiment.probe import PROBES, Probe, coverage, probe
from workbench.experiment.record import RunError, verified
from workbench.experiment.score import score

BOX = (0.25, 0.25, 0.75, 1.0)


def asked(world, name: str, **changes) -> list[Probe]:
    examples = load_examples(world / "data/prepared", name, "test")
    return [Probe("plain", name, BY_NAME[name], e, evaluation_text(e), **changes) for e in examples]


@pytest.fixture
def probes(world) -> list[Probe]:
    """Two datasets as they are, and a generated one with its pictures given instead of stored, and a box."""
    given = []
    for one in asked(world, "vqav2", box=BOX):
        ref = f"probe/{one.example.example_id}.png"
        picture = open_image(world / "data/prepared", one.example.images[0])
        example = replace(one.example, example_id=f"drawn {one.example.example_id}", images=(ref,))
        given.append(replace(one, probe="drawn", example=example, drawn={ref: picture}))
    return [*asked(world, "vqav2"), *asked(world, "aokvqa"), *given]


def test_probes_are_answered_like_an_examination_whether_stored_or_drawn(world, probes, monkeypatch):
    folder = probe(CONFIG, "blip2", world, None, probes)
    frame = pd.read_parquet(folder / PROBES)
    known = pd.read_parquet(score(CONFIG, "blip2", world) / "predictions.parquet")
    known = known[~known["blind"] & (known["dataset"] != "aokvqa_direct")]  # which asks examples again
    known = known.set_index("example_id")["prediction"]
    assert len(frame) == len(probes) == 6
    for line in frame.to_dict("records"):
        assert line["prediction"] == known[line["example_id"].removeprefix("drawn ")]
    assert set(frame["metric"]) == {"vqa_accuracy", "multiple_choice"}
    boxed = frame[frame["probe"] == "drawn"]
    assert boxed["attention"].between(0, 1).all()
    assert np.allclose(boxed["area"], 0.375)
    assert frame[frame["probe"] == "plain"]["attention"].isna().all()
    made = verified(folder)
    assert (made.kind, made.examples) == ("probe", {"plain": 4, "drawn": 2})
    assert made.cost.flops > 0
    monkeypatch.setattr(probing, "_ask_all", None)
    assert probe(CONFIG, "blip2", world, None, probes) == folder


def test_what_is_asked_is_in_the_signature(world, probes):
    plain = probing.signed(CONFIG, "blip2", world, probes)
    for changed in (
        replace(probes[0], instruction="what ?"),
        replace(probes[0], group="other"),
        replace(probes[0], entry=replace(probes[0].entry, max_new_tokens=3)),
        replace(probes[-1], drawn={ref: p.rotate(90) for ref, p in probes[-1].drawn.items()}),
    ):
        same = [one for one in probes if one.example.example_id != changed.example.example_id]
        assert probing.signed(CONFIG, "blip2", world, [*same, changed])["probes"] != plain["probes"]


def test_probes_that_cannot_be_told_apart_or_have_no_picture_are_refused(world, probes):
    with pytest.raises(RunError, match=f"there is {probes[0].example.example_id}; correct probes.py"):
        probe(CONFIG, "blip2", world, None, [probes[0], probes[0]])
    with pytest.raises(RunError, match="there is none at all"):
        probe(CONFIG, "blip2", world, None, [])
    lost = replace(probes[-1], drawn={})
    with pytest.raises(RunError, match=r"has no picture probe/.*; rerun the stage features"):
        probe(CONFIG, "blip2", world, None, [lost])


def test_coverage_is_how_much_of_a_square_lies_in_the_box():
    assert coverage((0.0, 0.0, 1.0, 1.0), 16).tolist() == [1.0] * 16
    half = coverage((0.125, 0.0, 0.5, 0.25), 16).reshape(4, 4)
    assert half[0].tolist() == [0.5, 1.0, 0.0, 0.0]
    assert half[1:].sum() == 0

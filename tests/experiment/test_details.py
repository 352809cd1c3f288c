"""What official examinations report beside the scores: from files on disk to the paper's table."""

from __future__ import annotations

import json
import shutil

import numpy as np
import official_root
import pandas as pd
import pytest
import small_world

from workbench.config import changed
from workbench.data.direct import direct
from workbench.data.features import build
from workbench.data.official.releases import RELEASES
from workbench.data.prepare import load_examples, prepare
from workbench.experiment.details import detail
from workbench.experiment.record import verified
from workbench.experiment.score import RESULTS, read_scores, score
from workbench.files import read_json
from workbench.stages import publish

NAMES = ["aokvqa", "scienceqa", "visdial"]
CONFIG = changed(
    small_world.CONFIG,
    {
        "suite": "official",
        "data.root": "official",
        "data.datasets": NAMES,
        "data.held_in": ["aokvqa"],
        "data.size_scale": 1.0,
        "data.eval_examples": 100,
        "evaluate.datasets": NAMES,
        "evaluate.blind": False,
        "evaluate.batch_size": 10,
        "evaluate.num_beams": 1,
    },
)


@pytest.fixture(scope="module")
def examined(tmp_path_factory):
    """A root with the official files of three datasets, and the start's examination on them."""
    root = tmp_path_factory.mktemp("details")
    official_root.fill(root / "all")
    for name in (*NAMES, "coco"):
        shutil.copytree(root / "all" / name, root / "official" / name)
    problems = json.loads((root / "official/scienceqa/problems.json").read_text())
    social = {"subject": "social science", "grade": "grade7", "answer": 1}
    for name, changes in (("8", social), ("9", {"hint": "See."})):
        problems[name] = problems["7"] | changes | {"split": "test"}
        official_root.picture(root, f"official/scienceqa/images/test/{name}/image.png")
    official_root.write(root, "official/scienceqa/problems.json", problems)
    small_world.start(root / "backbones/micro")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DVC_ROOT", str(root))
        patch.setitem(official_root.SIZES, "scienceqa", {"train": 1, "val": 1, "test": 3})
        for name, release in official_root.small_releases().items():
            patch.setitem(RELEASES, name, release)
        prepare(CONFIG, root / "data/prepared", 1, root)
        build(root / "data/prepared", root / "backbones/micro/vision", root / "data/features")
        return root, score(CONFIG, "blip2", root)


def values(folder, blind=False):
    """Name -> number of examples and value."""
    found = pd.read_parquet(folder / "details.parquet")
    found = found[found["blind"] == blind].groupby(["dataset", "metric"])["score"]
    return {" ".join(key): (len(part), part.mean()) for key, part in found}


def edited(path, change):
    lines = pd.read_parquet(path).to_dict("records")
    pd.DataFrame([new for line in lines for new in change(line)]).to_parquet(path)


def test_the_record_covers_what_stands_beside(examined):
    _, folder = examined
    assert set(verified(folder).result["sha256"]) == {*RESULTS, "details.parquet"}
    assert {line["dataset"] for line in read_scores(folder)} == {*NAMES, "aokvqa_direct"}


def test_direct_answers_are_asked_without_the_choices_and_the_difficult_question(examined):
    said = pd.read_parquet(examined[1] / "answers/aokvqa_direct.parquet")
    assert set(said["example_id"]) == {"aokvqa_qval0"}
    assert set(said["instruction"]) == {"Question: What is it made of? Short answer:"}
    assert list(said["references"][0]) == ["wood"] * 9 + ["oak"]
    assert len(pd.read_parquet(examined[1] / "answers/aokvqa.parquet")) == 2  # ranked, the difficult one too


def test_without_a_question_that_counts_the_remedy_is_named(examined):
    examples = load_examples(examined[0] / "data/prepared", "aokvqa", "test")
    with pytest.raises(ValueError, match=r"leave aokvqa out of evaluate\.datasets"):
        direct(examples[1:])


def test_values_by_hand(examined, tmp_path):
    root, folder = examined
    shutil.copytree(folder / "answers", tmp_path / "answers")

    def place(row):  # the first candidate has rank 1, or 5 in Visual Dialog's rounds without relevances
        first = 4 if row["dataset"] == "visdial" and row["example_id"] != "visdial_185565_2" else 0
        ranks = (np.arange(len(row["candidates"])) + first) % len(row["candidates"])
        yield row | {"candidate_scores": -ranks.astype(float)}

    for name, change in (("scienceqa", place), ("visdial", place)):
        edited(tmp_path / f"answers/{name}.parquet", change)
    detail(tmp_path, CONFIG, root)
    found = values(tmp_path)
    # two dialogues of ten rounds: the right answers have the ranks 5, 6, 7, 8, 5, ..., 6, but once 2 for 6
    assert found["visdial recall@1"] == (20, 0)
    assert found["visdial recall@5"] == (20, 35)
    assert found["visdial recall@10"] == (20, 100)
    assert found["visdial mean_rank"] == (20, pytest.approx((2 * 63 - 4) / 20))
    # one round has relevances, 0, .4 and 1 for the first three: the first two ranks count
    gained, best = 0.4 / np.log2(3), 1 + 0.4 / np.log2(3)
    assert found["visdial ndcg"] == (1, pytest.approx(100 * gained / best))
    # problems 4 and 9: natural, a hint, grade 3; 8: social, none, grade 7, and the second choice is right
    assert {key: value for key, value in found.items() if key.startswith("scienceqa")} == {
        "scienceqa accuracy: natural": (2, 100),
        "scienceqa accuracy: social": (1, 0),
        "scienceqa accuracy: text context": (2, 100),
        "scienceqa accuracy: grades 1-6": (2, 100),
        "scienceqa accuracy: grades 7-12": (1, 0),
    }


def test_the_stages_outputs_have_them(examined, tmp_path):
    publish.evaluated(examined[1], tmp_path, "blip2")
    assert (tmp_path / "outputs/evaluate/blip2/details.parquet").is_file()
    beside = read_json(tmp_path / "reports/metrics/blip2.json")["beside"]
    assert beside == {name: round(value, 2) for name, (_, value) in values(examined[1]).items()}

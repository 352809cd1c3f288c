"""Studies are checked as a whole before anything runs, and errors say what to change."""

from __future__ import annotations

import json

import pytest

from workbench import code
from workbench.config import Config, load
from workbench.search import study as studies
from workbench.search.seeds import seeds_of
from workbench.search.study import MEASURES, Arm, Claim, Study, StudyError, cells

ROOT = code.PACKAGE.parent
BASE = load(ROOT / "params.yaml")
NAMES = sorted(path.parent.name for path in ROOT.glob("experiments/*/study.py"))
FULL, DROP = Arm("full"), Arm("drop", {"model.instruction_aware": False})
PAPER = json.loads((ROOT / "workbench/report/paper_tables.json").read_text())
HELD_OUT = ("GQA", "SciQA-IMG", "IconQA", "VizWiz", "iVQA")


def study(arms=(FULL, DROP), baseline="full", claims=(), name="x") -> Study:
    return Study(name=name, question="?", arms=arms, baseline=baseline, claims=claims)


@pytest.mark.parametrize("name", NAMES)
def test_the_studies_of_the_repository_are_valid(name):
    found = studies.load(ROOT / "experiments" / name, BASE)
    assert len(cells(found, BASE, [101, 102])) == 2 * len(found.arms)
    assert [claim for claim in found.claims if claim.primary]
    assert (ROOT / "experiments" / name / "README.md").is_file()


def test_one_seed_in_five_is_examined_without_the_picture_too():
    own = Arm("own", {"evaluate.blind": True, "model.instruction_aware": False})
    grid = cells(study((FULL, own, Arm("start", row="blip2"))), Config(), range(101, 107))
    blind = {(cell.arm.name, cell.seed): cell.config.evaluate.blind for cell in grid}
    assert [blind["full", seed] for seed in range(101, 107)] == [True, False, False, False, False, True]
    assert all(blind["own", seed] and blind["start", seed] for seed in range(101, 107))


def table2(family: str, without: str) -> tuple[float, float]:
    """Differences of the paper's Table 2: the mean over its held-out sets, and held-in."""
    rows = PAPER["table2_ablation"]["rows"][family]
    lost = {column: rows["full"][column] - rows[f"w/o {without}"][column] for column in rows["full"]}
    return sum(lost[column] for column in HELD_OUT) / len(HELD_OUT), lost["HeldIn_avg"]


def test_published_effects_on_datasets_are_those_of_table_2():
    columns = {"GQA": "gqa", "SciQA-IMG": "scienceqa", "IconQA": "iconqa", "VizWiz": "vizwiz", "iVQA": "ivqa"}
    for study_name, name, family, ablated in (
        ("instruction_awareness", "held-out, T5", "FlanT5-XL", "instruction-aware visual features"),
        ("instruction_awareness", "held-out, Llama", "Vicuna-7B", "instruction-aware visual features"),
        ("data_balancing", "uniform, held-out", "FlanT5-XL", "data balancing"),
    ):
        rows = PAPER["table2_ablation"]["rows"][family]
        full, without = rows["full"], rows[f"w/o {ablated}"]
        expected = {ours: full[paper] - without[paper] for paper, ours in columns.items()}
        claims = {claim.name: claim for claim in studies.load(ROOT / "experiments" / study_name, BASE).claims}
        assert claims[name].published == pytest.approx(expected)


def test_published_effects_are_those_of_the_tables():
    expected = {}
    for family, arm in (("FlanT5-XL", "t5"), ("Vicuna-7B", "llama")):
        out, within = table2(family, "instruction-aware visual features")
        expected[f"full_{arm}", f"drop_{arm}"] = {"table2_held_out": out, "table2_held_in": within}
    out, within = table2("FlanT5-XL", "data balancing")
    for arm in ("uniform", "proportional"):
        expected["sqrt_factors", arm] = {"table2_held_out": out, "table2_held_in": within}
    figure = PAPER["figure4_instruction_vs_multitask"]["rows"]
    ours = figure["InstructBLIP (instruction tuning)"]
    for arm, row in (
        ("blip2", "BLIP-2 zero-shot"),
        ("plain", "multitask, plain input-output; eval with instructions"),
        ("tagged", "multitask, [Task:Dataset] identifier; eval with instructions"),
        ("tagged_tags", "multitask, [Task:Dataset] identifier; eval with identifier"),
    ):
        pairs = zip(("figure4", "held_in"), ours, figure[row], strict=True)
        expected["instruct", arm] = {measure: mine - other for measure, mine, other in pairs}
    tuned, plain = (
        PAPER["table3_finetuning"]["rows"][f"{model} (FlanT5-XXL)"] for model in ("InstructBLIP", "BLIP-2")
    )
    for dataset, column in (
        ("scienceqa", "SciQA-IMG"), ("ocrvqa", "OCR-VQA"), ("okvqa", "OKVQA"), ("aokvqa", "A-OKVQA_MC_test"),
    ):  # fmt: skip
        expected[f"{dataset}_tuned", f"{dataset}_blip2"] = {dataset: tuned[column] - plain[column]}
    direct = tuned["A-OKVQA_DA_test"] - plain["A-OKVQA_DA_test"]
    expected["aokvqa_tuned", "aokvqa_blip2"]["aokvqa_direct"] = direct
    seen = 0
    for name in NAMES:
        for claim in studies.load(ROOT / "experiments" / name, BASE).claims:
            if claim.paper is not None:
                assert claim.paper == pytest.approx(expected[claim.better, claim.worse][claim.measure])
                assert "paper_tables.json" in claim.source
                seen += 1
    assert seen == sum(map(len, expected.values()))


@pytest.mark.parametrize(
    ("arms", "says"),
    [
        ((FULL, Arm("next", after="gone")), "after is 'gone'; both have to be arms that are tuned"),
        ((FULL, Arm("start", row="blip2"), Arm("next", after="start")), "after is 'start'"),
        ((FULL, Arm("next", after="full"), Arm("third", after="next")), "the earlier one from the start"),
        ((FULL, Arm("next", row="blip2", after="full")), "both have to be arms that are tuned"),
    ],
)
def test_an_arm_begins_with_an_arm_that_is_tuned_from_the_start(arms, says):
    with pytest.raises(StudyError, match=says):
        study(arms)


def test_an_arm_after_another_has_its_cell_with_the_same_seed():
    grid = cells(study((FULL, Arm("next", after="full"))), Config(), [101, 102])
    assert [cell.after and cell.after.name for cell in grid] == [None, "full@101", None, "full@102"]


def test_same_seeds_in_all_arms_and_seed_after_seed():
    grid = cells(study(), Config(), [101, 102])
    assert [cell.name for cell in grid] == ["full@101", "drop@101", "full@102", "drop@102"]
    assert [cell.config.train.seed for cell in grid] == [101, 101, 102, 102]
    assert not grid[1].config.model.instruction_aware


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"arms": ()}, "arms is empty"),
        ({"arms": (FULL, FULL)}, "two arms are named 'full'; rename one"),
        ({"arms": (FULL, Arm("a b"))}, "arm 'a b' may hold a-z"),
        ({"arms": (FULL, Arm("other", row="blip3"))}, "row is 'blip3'; choose one of blip2"),
        ({"baseline": "none"}, "baseline 'none' is no arm; choose one of full, drop"),
        ({"claims": (Claim("c", "full", "gone", "held_out", 1.0),)}, "worse is 'gone', which is no arm"),
        ({"claims": (Claim("c", "full", "full", "held_out", 1.0),)}, "with itself"),
        (
            {"claims": (Claim("c", "full", "drop", "vqav3", 1.0),)},
            "measure is 'vqav3'; choose one of held_in",
        ),
        ({"claims": (Claim("c", "full", "drop", "gqa", 0.0),)}, "smallest_effect is 0.0"),
        ({"claims": (Claim("c", "full", "drop", "gqa", float("inf")),)}, "smallest_effect is inf"),
        ({"claims": (Claim("c", "full", "drop", "gqa", 1.0, float("nan"), "x"),)}, "have to be finite"),
        ({"claims": (Claim("c", "full", "drop", "gqa", 1.0, paper=2.0),)}, "give paper and its source"),
        ({"claims": (Claim("c", "full", "drop", "gqa", 1.0),) * 2}, "two claims are named 'c'"),
    ],
)
def test_a_study_that_is_wrong_cannot_be_made(given, says):
    with pytest.raises(StudyError, match=says):
        study(**given)


@pytest.mark.parametrize(
    ("arm", "says"),
    [
        (Arm("same"), "arms 'full' and 'same' are the same configuration and row"),
        (Arm("same", {"workers": 7, "tracking.experiment": "y"}), "'full' and 'same' are the same"),
        (Arm("odd", {"model.instruction_awares": False}), "did you mean 'instruction_aware'"),
        (Arm("odd", {"modle.start": "x"}), "there is no section 'modle'"),
        (Arm("odd", {"data.sampling": "none"}), "choose one of sqrt, uniform, proportional"),
        (Arm("odd", {"model.unaware_form": "constant"}), "set model.instruction_aware=false"),
        (Arm("odd", {"train.seed": 3}), "sets train.seed; remove it"),
    ],
)
def test_arms_are_resolved_before_anything_runs(arm, says):
    with pytest.raises(StudyError, match=says):
        cells(study((FULL, arm)), Config(), [101])


def test_the_same_configuration_with_another_row_is_another_arm():
    assert len(cells(study((FULL, Arm("blip2", row="blip2"))), Config(), [101])) == 2


@pytest.mark.parametrize(
    ("source", "says"),
    [
        ("STUDY = 3", "STUDY has to be a Study with name='x'"),
        ("", "no attribute 'STUDY'"),
        ("from workbench.search.study import Arm\nArm('a', chnages={})", "chnages"),
        ("def", "invalid syntax"),
        ("import workbench.nowhere", "workbench.nowhere"),
        ("STUDY = 1 / 0", "ZeroDivisionError: division by zero"),
        ("STUDY = {}['arms']", "KeyError: 'arms'"),
        ("open('nowhere.csv')", "nowhere.csv"),
    ],
)
def test_a_file_that_is_wrong_is_named(tmp_path, source, says):
    (tmp_path / "x").mkdir()
    (tmp_path / "x/study.py").write_text(source)
    with pytest.raises(StudyError, match=says) as error:
        studies.load(tmp_path / "x", Config())
    assert str(tmp_path / "x/study.py") in str(error.value)
    with pytest.raises(StudyError, match="studies here: x"):
        studies.load(tmp_path / "y", Config())


def test_some_arms_with_those_they_begin_with():
    fine = Arm("fine", {"data.downstream": "scienceqa"}, after="full")
    whole = study((FULL, DROP, fine, Arm("blip2", row="blip2")))
    assert whole.named("drop, blip2") == {"drop", "blip2"}, "the baseline need not be among them"
    assert whole.named("fine") == {"fine", "full"}
    assert whole.named("") == {"full", "drop", "fine", "blip2"}
    with pytest.raises(StudyError, match="has no arm 'none'"):
        whole.named("full,none")


def test_seeds():
    assert seeds_of("3") == (101, 102, 103)
    assert seeds_of("103,101") == (103, 101)
    assert seeds_of("101") == (101,)
    assert seeds_of("2", development=True) == (1, 2)
    assert seeds_of("7,9", development=True) == (7, 9)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("0", "grid would be empty"),
        (",", "grid would be empty"),
        ("five", "neither a number nor a list"),
        ("101,101", "has 101 twice"),
        ("101,1", "seed 1 is a development seed"),
    ],
)
def test_seeds_that_are_refused(text, says):
    with pytest.raises(StudyError, match=says):
        seeds_of(text)


def test_measures_name_datasets_of_the_catalogue():
    for datasets in MEASURES.values():
        assert set(datasets) <= set(studies.BY_NAME)

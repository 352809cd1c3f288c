"""dvc.yaml, params.yaml, presets and the code belong together."""

from __future__ import annotations

import re
import shutil
from dataclasses import fields, is_dataclass
from pathlib import Path

import pytest
import yaml

from workbench import code, config, presets
from workbench.data.catalog import CATALOG
from workbench.records import RECIPES, ROWS
from workbench.search.study import module
from workbench.surroundings import flatten

ROOT = code.PACKAGE.parent
PIPELINE = yaml.safe_load((ROOT / "dvc.yaml").read_text())
STUDIES = yaml.safe_load((ROOT / "experiments/dvc.yaml").read_text())
STAGES = {**PIPELINE["stages"], **STUDIES["stages"]}
PARAMS = yaml.safe_load((ROOT / "params.yaml").read_text())
AHEAD = "workbench.stages.fork_server"


def bodies() -> dict[str, dict]:
    return {name: stage.get("do", stage) for name, stage in STAGES.items()}


def keys(node: object, prefix: str = "") -> set[str]:
    """Dotted names of a dataclass type's fields."""
    hints = config.typing.get_type_hints(node)
    names = set()
    for field in fields(node):
        kind = hints[field.name]
        names |= keys(kind, f"{prefix}{field.name}.") if is_dataclass(kind) else {prefix + field.name}
    return names


def test_the_parameters_are_the_dataclasses():
    written = {
        f"{section}.{key}" if isinstance(value, dict) else section
        for section, value in PARAMS.items()
        for key in (value if isinstance(value, dict) else [section])
    }
    assert written == keys(config.Config)


def test_the_catalogue_lists_the_manual_factors():
    assert {row.name: row.factor for row in CATALOG if row.factor != 1} == PARAMS["data"]["factors"]


def test_the_committed_parameters_are_the_micro_preset():
    config.load(ROOT / "params.yaml")
    assert yaml.safe_load((ROOT / "experiments/presets/micro.yaml").read_text()) == PARAMS


def test_there_are_fewer_than_twenty_stages():
    for file in (PIPELINE, STUDIES):  # each has a lock file of its own, which is rewritten after every stage
        assert sum(len(stage.get("foreach", [0])) for stage in file["stages"].values()) < 20


def test_every_study_is_a_stage_that_a_bare_repro_leaves_alone():
    studies = sorted(path.parent.name for path in ROOT.glob("experiments/*/study.py"))
    assert STUDIES["stages"]["ablate"]["foreach"] == studies
    assert not set(PIPELINE["stages"]) & set(STUDIES["stages"])
    needed = {dep for body in bodies().values() for dep in body.get("deps", [])}
    assert not [dep for dep in needed if dep.startswith("outputs/studies")], "it would run for hours"


def test_a_study_of_other_studies_arms_depends_on_them():
    first = module(ROOT / "experiments/diagnostics/study.py").FIRST
    deps = STUDIES["stages"]["ablate"]["do"]["deps"]
    assert {f"experiments/{name}/study.py" for name in first} <= set(deps)


def test_the_report_is_out_of_date_when_a_study_has_a_new_page():
    deps = PIPELINE["stages"]["report"]["deps"]
    studies = {path.relative_to(ROOT).as_posix() for path in ROOT.glob("experiments/*/study.py")}
    assert {"reports/studies", *studies} <= set(deps)
    outs = {
        next(iter(out)) if isinstance(out, dict) else out
        for b in bodies().values()
        for out in b.get("outs", [])
    }
    assert not [out for out in outs if out.startswith("reports/studies")], "dvc repro would run studies"
    assert (ROOT / "reports/studies").is_dir(), "DVC asks for it when no study was run"


def test_dvc_leaves_what_a_stage_builds_on_to_the_stage():
    for stage, out in (("prepare", "data/prepared"), ("features", "data/features")):
        assert STAGES[stage]["outs"] == [{out: {"persist": True}}], "else it is deleted before the stage runs"


def test_the_pipeline_tunes_and_examines_what_the_nouns_say():
    def written(stage):
        return {Path(path).stem for out in bodies()[stage]["metrics"] for path in out}

    assert written("tune") == {f"tune_{recipe}" for recipe in RECIPES}
    assert written("evaluate") == set(ROWS)


@pytest.mark.parametrize("name", [name for name, body in bodies().items() if not body.get("frozen")])
def test_deps_cover_the_imports(name):
    body = bodies()[name]
    module = re.search(r"python -m (\S+)", body["cmd"])[1]
    deps = [ROOT / dep for dep in body["deps"] if not dep.startswith("$")]
    # what the fork server imports ahead of a stage makes it faster and nothing else
    own = {*code.closure(module, without=[AHEAD])}
    if any(AHEAD in code.imported_names(path) for path in own if path.suffix == ".py"):
        own.add(ROOT / "workbench/stages/fork_server.py")
    missing = [
        path.relative_to(ROOT).as_posix()
        for path in sorted(own)
        if not any(path == dep or dep in path.parents for dep in deps)
    ]
    assert not missing, f"add to the deps of {name} in dvc.yaml: {missing}"


@pytest.mark.parametrize("name", bodies())
def test_stages_run_modules_and_read_parameters_that_exist(name):
    body = bodies()[name]
    module = re.search(r"python -m (\S+)", body["cmd"])[1]
    assert code.closure(module)
    for param in body.get("params", []):
        section, _, key = param.partition(".")
        assert section in PARAMS
        assert not key or key in PARAMS[section]
    for dep in body.get("deps", []):
        if dep.startswith("workbench"):
            assert (ROOT / dep).exists(), dep


def test_what_awareness_touches_is_tuned_and_examined_alone():
    """`dvc exp run -S model.instruction_aware=false` runs only stages that depend on it."""
    touched = {
        name
        for name, body in bodies().items()
        if {"model", "model.instruction_aware"} & set(body.get("params", []))
    } & set(PIPELINE["stages"])
    assert touched == {"tune", "evaluate"}


@pytest.fixture
def repository(tmp_path):
    shutil.copy(ROOT / "params.yaml", tmp_path)
    shutil.copytree(ROOT / "experiments/presets", tmp_path / "experiments/presets")
    return tmp_path


def test_every_preset_is_valid_and_keeps_the_comments(repository):
    original = (repository / "params.yaml").read_text()
    comments = re.findall(r"#.*", original)
    for name in sorted(set(presets.names(repository)) - {"micro"}):
        assert presets.apply(repository, name)
        assert re.findall(r"#.*", (repository / "params.yaml").read_text()) == comments
    presets.apply(repository, "micro")
    assert (repository / "params.yaml").read_text() == original


@pytest.mark.parametrize(
    ("model", "batch"), [("flant5xl", 192), ("flant5xxl", 64), ("vicuna7b", 128), ("vicuna13b", 64)]
)
def test_the_paper_presets_are_the_papers_recipe(model, batch, repository):
    presets.apply(repository, "paper-flant5xl")
    first = config.load(repository / "params.yaml")
    presets.apply(repository, f"paper-{model}")
    paper = config.load(repository / "params.yaml")
    train = paper.train
    assert (train.steps, train.warmup_start_rate, train.learning_rate, train.warmup_steps) == (
        60_000, 1e-8, 1e-5, 1_000,
    )  # fmt: skip
    assert (train.batch_size, train.eval_every_steps) == (batch, 3_000)
    assert (train.betas, train.weight_decay) == ((0.9, 0.999), 0.05)
    assert (paper.model.num_query_tokens, paper.evaluate.num_beams) == (32, 5)
    assert (paper.data.sampling, paper.data.mixing, paper.data.held_in) == ("sqrt", "batch", ())
    own = {"model.language_model", "model.start", "model.checkpoint", "train.batch_size"}
    one, two = flatten(first.to_dict()), flatten(paper.to_dict())
    assert {name for name in one if one[name] != two[name]} <= own


def test_a_preset_that_is_wrong_leaves_the_parameters_alone(repository):
    (repository / "experiments/presets/odd.yaml").write_text("train: {step: 3}\n")
    original = (repository / "params.yaml").read_text()
    with pytest.raises(config.ConfigError, match="steps"):
        presets.apply(repository, "odd")
    assert (repository / "params.yaml").read_text() == original
    with pytest.raises(config.ConfigError, match="choose one of"):
        presets.apply(repository, "none")
    assert sorted(path.name for path in Path(repository).iterdir()) == ["experiments", "params.yaml"]

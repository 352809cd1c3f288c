"""Verification of stand-in results: what is untouched passes, and each edit is named."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest
import yaml

from workbench import files
from workbench.config import Config
from workbench.data.catalog import HELD_IN
from workbench.stages import page, report
from workbench.verify import verify


@pytest.fixture(scope="module")
def patch():
    with pytest.MonkeyPatch.context() as made:
        yield made


@pytest.fixture(scope="module")
def finished(tmp_path_factory, patch):
    """A repository whose pipeline and whose study `toy` have run, with the reports written from them."""
    patch.syspath_prepend(str(Path(__file__).parent / "report"))
    from report_outputs import open_image, write_outputs
    from study_outputs import write_study

    for stage in (page, report):
        patch.setattr(stage, "open_image", lambda prepared, ref: open_image(ref))
    root = tmp_path_factory.mktemp("finished")
    (root / "params.yaml").write_text(yaml.safe_dump(Config().to_dict()))
    sizes = {name: {"train": 100 + place} for place, name in enumerate(HELD_IN)}
    files.write_json(root / "data/prepared/manifest.json", {"datasets": sizes})
    write_outputs(root / "outputs", 6)
    for path in sorted(root.glob("outputs/*/*/record.json")):
        seal(path)
    write_study(root / "outputs", seeds=(101, 102), examples=12)
    (root / "experiments/toy").mkdir(parents=True)
    (root / "experiments/toy/study.py").touch()
    own = "import pandas\ndef draw(outputs): return {'own': pandas.DataFrame({'n': [1]})}\n"
    (root / "experiments/toy/figure.py").write_text(own)
    page.page(root, "toy")
    report.whole(Config(), root, root / "reports")
    return root


def seal(path):
    """A record of the form that runs have."""
    raw = json.loads(path.read_text())
    named = ("signature", "suite", "seed", "config", "hashes", "cost")
    names = ("scores.jsonl", "predictions.parquet")
    marks = {name: files.file_sha256(path.parent / name) for name in names if (path.parent / name).is_file()}
    record = {key: raw[key] for key in named} | {"kind": raw["kind"], "name": path.parent.name}
    record |= {"examples": {}, "result": {"sha256": marks} if marks else {}}
    files.write_sealed(path, record)


@pytest.fixture
def root(finished, tmp_path, monkeypatch):
    monkeypatch.delenv("DVC_ROOT", raising=False)
    return shutil.copytree(finished, tmp_path / "root")


def contents(root):
    return {path: path.read_bytes() for path in root.rglob("*") if path.is_file()}


def wrong(root, study=""):
    return [sentence for good, sentence in verify(root, study) if not good]


def edit(root, name, old, new):
    text = (root / name).read_text()
    assert old in text
    (root / name).write_text(text.replace(old, new))


def test_what_was_not_touched_passes_and_says_what_was_compared(root):
    before = contents(root)
    found = list(verify(root))
    assert contents(root) == before, "nothing is changed"
    assert all(good for good, _ in found), found
    text = "\n".join(sentence for _, sentence in found)
    assert "toy: 6 cells match their hashes and seals" in text
    assert "runs/ is not here" in text
    assert "outputs/evaluate/instruct: 2 files against the record" in text
    assert text.count("follow from the records, byte by byte") == 2


TOY, EVALUATED = "outputs/studies/toy", "outputs/evaluate"


@pytest.mark.parametrize(
    ("edits", "says"),
    [
        # one building for all: the sentence names the first file and says how many differ
        (
            [
                ("reports/studies/toy.html", "<main", "<main hidden"),
                ("reports/studies/toy_effects.csv", "primary", "secondary"),
                ("reports/studies/toy_own.csv", "1", "2"),
                ("reports/index.html", "points", "dollars"),
                ("reports/tables/averages.csv", "instruct", "blip2"),
            ],
            [
                r"toy: .*toy\.html is not what the records give \(3 of",
                r"report: .*index\.html is not what the records give \(2 of",
            ],
        ),
        (
            [
                (f"{TOY}/cells/full@101/attention.json", "0.36", "0.63"),
                (f"{EVALUATED}/instruct/record.json", '"seed": 1', '"seed": 7'),
                (f"{EVALUATED}/blip2/record.json", '"seal"', '"sealed"'),
                (f"{EVALUATED}/multitask_plain/scores.jsonl", "false", "false "),
            ],
            [
                r"full@101/attention\.json is not the file",
                r"instruct/record\.json was edited after it was written",
                r"blip2/record\.json was edited after it was written, or has no seal",
                r"multitask_plain/scores\.jsonl is not the file its record names",
            ],
        ),
    ],
    ids=["reports", "outputs"],
)
def test_every_edit_is_named_with_a_remedy(root, edits, says):
    for edited in edits:
        edit(root, *edited)
    found = wrong(root)
    for sentence in says:
        assert any(re.search(sentence, line) for line in found), (sentence, found)
    assert all("run `" in line or "rerun" in line for line in found)


@pytest.mark.parametrize(
    ("name", "old", "new", "says"),
    [
        ("cells.json", '"paper": 5.4', '"paper": 4.4', "is not what the records give"),
        ("cells/full@101/tune.json", "180.0", "18.0", "was edited after it was written"),
    ],
)
def test_an_edit_in_a_studys_results_is_named_with_a_remedy(root, name, old, new, says):
    edit(root, f"{TOY}/{name}", old, new)
    (line,) = wrong(root, "toy")
    assert says in line
    assert "run `" in line or "rerun" in line


def test_a_page_without_what_its_figure_draws_from_says_so(root):
    figure = root / "experiments/toy/figure.py"
    figure.write_text(
        "from workbench.report.study.own import NothingToDraw\n"
        "def draw(outputs): raise NothingToDraw(f'{outputs} has no trials; run `workbench explore toy`')\n"
    )
    (found,) = wrong(root, "toy")
    assert "toy.html is not what the records give" in found
    assert found.endswith("outputs has no trials; run `workbench explore toy`")


def test_a_missing_file_of_the_report_is_named(root):
    (root / "reports/studies/toy_card_full.md").unlink()
    (root / "reports/figures/figure4.svg").unlink()
    found = "\n".join(wrong(root))
    assert "toy_card_full.md is missing" in found
    assert "figure4.svg is missing" in found


def test_a_study_whose_results_are_not_here_cannot_be_verified(root):
    shutil.rmtree(root / "outputs/studies")
    assert ["outputs/studies/toy/cells.json is missing" in line for line in wrong(root, "toy")] == [True]
    assert "run `workbench ablate toy`" in wrong(root, "toy")[0]


def test_a_clone_without_the_results_of_a_study_says_that_its_page_was_not_checked(root):
    shutil.rmtree(root / "outputs/studies")
    found = list(verify(root))
    assert all(good for good, _ in found), found
    assert any(line.startswith("toy: not checked") for _, line in found)


def test_the_command_ends_with_1_and_the_sentence(root, monkeypatch):
    from typer.testing import CliRunner

    from workbench.cli import app

    monkeypatch.chdir(root)
    assert CliRunner().invoke(app, ["verify", "toy"]).exit_code == 0
    page = root / "reports/studies/toy.md"
    page.write_text(page.read_text() + "and more")
    done = CliRunner().invoke(app, ["verify", "toy"])
    assert done.exit_code == 1
    assert "BAD  toy: " in done.output
    assert "toy.md is not what the records give" in done.output

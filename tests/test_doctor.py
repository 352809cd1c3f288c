"""What lies around half made is a finding, not a traceback; tests/test_smoke.py has a whole pipeline."""

from __future__ import annotations

import shutil

import yaml

from workbench import code
from workbench.config import Config
from workbench.doctor import examine
from workbench.experiment.record import Cost, Record, folder_hash


def test_folders_without_their_manifest_or_record_are_findings(tmp_path):
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(Config().to_dict()))
    for folder in ("data/prepared", "data/features", "outputs/tune/instruct", "outputs/evaluate/instruct"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "spool").mkdir()
    (tmp_path / "spool/abc.refused").touch()
    bad = "\n".join(sentence for good, sentence in examine(tmp_path) if not good)
    for file in (
        "data/prepared/manifest.json does not exist: run the stage prepare",
        "data/features/index.json does not exist; rerun the stage features",
        "outputs/tune/instruct/record.json does not exist; rerun the stage that writes it",
        "outputs/evaluate/instruct/record.json does not exist",
        "spool/abc.refused is a run that MLflow refused",
    ):
        assert file in bad


def test_an_altered_start_is_a_finding(tmp_path):
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(Config().to_dict()))
    start = tmp_path / "backbones/micro"
    shutil.copytree(code.PACKAGE.parent / "backbones/micro", start)
    made = Record(
        kind="evaluate", name="blip2", signature="a", suite="micro", seed=1, config={}, cost=Cost(1, 1, 1),
        hashes={"start": folder_hash(start / "blip2-t5")}, examples={}, result={"sha256": {}},
    )  # fmt: skip
    made.write(tmp_path / "outputs/evaluate/blip2")

    def bad():
        return "\n".join(sentence for good, sentence in examine(tmp_path) if not good)

    assert "another start" not in bad()
    (start / "blip2-t5/config.json").write_text("{}")
    assert "outputs/evaluate/blip2 was made of another start than backbones/micro is" in bad()


def test_parameters_that_are_wrong_or_missing_are_a_finding_and_the_rest_is_told(tmp_path):
    (tmp_path / "runs/abc").mkdir(parents=True)
    for content, says in (
        (None, "params.yaml does not exist; run from the repository root"),
        ("stepz: 100", "params.yaml: unknown parameter 'stepz'"),
        ("train: [", "params.yaml is not valid YAML"),
    ):
        if content:
            (tmp_path / "params.yaml").write_text(content)
        found = list(examine(tmp_path))
        assert [says in sentence for good, sentence in found if not good] == [True]
        assert (True, "0 runs wait in spool/ to be sent to MLflow") in found
        assert any("runs/abc is unfinished" in sentence for _, sentence in found)

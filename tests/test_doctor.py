"""What lies around half made is a finding, not a traceback; tests/test_smoke.py has a whole pipeline."""

from __future__ import annotations

import yaml

from workbench.config import Config
from workbench.doctor import examine


def test_folders_without_their_manifest_or_record_are_findings(tmp_path):
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(Config().to_dict()))
    for folder in ("data/prepared", "data/features", "outputs/tune/instruct", "outputs/evaluate/instruct"):
        (tmp_path / folder).mkdir(parents=True)
    bad = "\n".join(sentence for good, sentence in examine(tmp_path) if not good)
    for file in (
        "data/prepared/manifest.json does not exist: run the stage prepare",
        "data/features/index.json does not exist; rerun the stage features",
        "outputs/tune/instruct/record.json does not exist; rerun the stage that writes it",
        "outputs/evaluate/instruct/record.json does not exist",
    ):
        assert file in bad

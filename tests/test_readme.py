"""What README.md says can be typed, can be typed; what it points to is there."""

from __future__ import annotations

import re

import pytest
from smoke_clone import ROOT

READMES = (ROOT / "README.md", ROOT / "backbones/micro/README.md", *ROOT.glob("experiments/**/README.md"))
TEXT = READMES[0].read_text(encoding="utf-8")
# the workers of a queue go on after the command that starts them
ENDED = """timeout 600 bash -c "while dvc queue status | grep -qE 'Queued|Running'; do sleep 4; done" """
# What takes long, or never ends, runs in the form that checks the same words: a pattern, its replacement.
SHORTER = (
    (r"^make (\w+)", r"make -n \1"),
    (r"^(dvc exp run .*)", r"\1 tune"),  # examination is left out
    (r"^(dvc queue start.*)", rf"\1 && {ENDED}"),
    (r"^workbench ui.*", "workbench ui --help"),
    (r"^workbench preset micro", "workbench preset smoke"),
    (r"^workbench ablate.*", "workbench ablate --help"),
    (r"^dvc repro experiments/.*", "dvc stage list experiments/dvc.yaml"),
    (r"^python benchmarks/(\w+).py.*", r"PYTHONPATH=. python benchmarks/\1.py --help"),
    (r"^workbench ", "python -m workbench.cli "),  # the copy's code, not the installed one's
)


def commands() -> list[str]:
    """The lines of every block marked bash, in order, without comments."""
    blocks = re.findall(r"^```bash\n(.*?)^```", TEXT, flags=re.MULTILINE | re.DOTALL)
    lines = [re.sub(r"\s+# .*|^#.*", "", line).strip() for block in blocks for line in block.splitlines()]
    return [line for line in lines if line]


def shorter(command: str) -> str:
    for pattern, replacement in SHORTER:
        command = re.sub(pattern, replacement, command)
    return command


def test_the_two_commands_come_first():
    assert commands()[:2] == ["make repro", "make test"]


def test_every_command_runs(repository):
    printed = {}
    for command in commands():
        print(command)  # pytest shows it when the next one fails
        printed[command] = repository.shell(shorter(command))
    assert "Running stage" not in printed["dvc repro"], "nothing changed, so nothing runs"
    unaware = printed["dvc exp run -S model.instruction_aware=false"]
    assert re.findall(r"Running stage '(\S+)'", unaware) == ["tune"], "nothing is prepared again"
    assert len(re.findall(r"\bSuccess\b", printed["dvc queue status"])) == 2, printed["dvc queue status"]
    assert not repository.shell("git status --porcelain"), "the README's own way back leads back"


def test_what_is_linked_is_there(repository):
    links = re.findall(r"\]\(([^)#:]+)\)", TEXT)
    assert links
    missing = [link for link in links if not (repository.folder / link).exists()]
    assert not missing


@pytest.mark.parametrize("readme", READMES, ids=lambda path: path.parent.name)
def test_every_measured_number_is_filled_in(readme):
    assert not re.findall(r"@@\w+@@", readme.read_text(encoding="utf-8"))

"""Imports go down only, and nothing grows beyond what a reader can hold."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from workbench import code

FLOORS = {
    "config": 0, "records": 0, "batch": 0, "files": 0, "code": 0, "progress": 0, "surroundings": 0,
    "database": 0,
    "data": 1, "model": 1, "tracking": 1, "report": 1,
    "train": 2, "evaluate": 2,
    "experiment": 3,
    "search": 4,
    "stages": 5, "cli": 5, "cli_studies": 5, "doctor": 5, "presets": 5, "verify": 5,
}  # fmt: skip
ENTRANCE = {"stages", "cli", "cli_studies", "doctor", "presets", "verify"}  # one floor, one room: the way in
DATA_AS_CODE = {"data/catalog.py", "data/micro/concepts.py"}  # tables
FILES = sorted(code.PACKAGE.rglob("*.py"))
LONGEST_FILE, LONGEST_FUNCTION, LONGEST_LOOP = 300, 60, 40


def room(path: Path) -> str:
    parts = path.relative_to(code.PACKAGE).with_suffix("").parts
    return "entrance" if parts[0] in ENTRANCE else parts[0]


def floor(path: Path) -> int:
    return FLOORS[path.relative_to(code.PACKAGE).with_suffix("").parts[0]]


def name(path: Path) -> str:
    return path.relative_to(code.PACKAGE).as_posix()


def direct(path: Path) -> set[Path]:
    """What a file of the package imports from the package, the packages' own __init__ left out."""
    found = {p for p in code.references(path) if p.suffix == ".py" and p.name != "__init__.py"}
    return found - {path}


@pytest.mark.parametrize("path", [p for p in FILES if p != code.PACKAGE / "__init__.py"], ids=name)
def test_imports_go_down_and_never_sideways(path):
    for target in direct(path):
        assert floor(target) <= floor(path), f"{name(path)} imports {name(target)} from a floor above"
        if floor(target) == floor(path) > 0:
            assert room(target) == room(path), f"{name(path)} imports its sibling {name(target)}"


def test_the_report_reaches_neither_torch_nor_mlflow():
    for path in (code.PACKAGE / "report").rglob("*.py"):
        for reached in code.closure(code.name_of(path)):
            if reached.suffix == ".py":
                tops = {imported.split(".")[0] for imported in code.imported_names(reached)}
                heavy = tops & {"torch", "mlflow", "transformers"}
                assert not heavy, f"{name(path)} by way of {name(reached)}"


@pytest.mark.parametrize("path", FILES, ids=name)
def test_files_and_functions_stay_small(path):
    text = path.read_text()
    if name(path) not in DATA_AS_CODE:
        assert len(text.splitlines()) <= LONGEST_FILE
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef):
            assert node.end_lineno - node.lineno < LONGEST_FUNCTION, node.name


def test_the_training_loop_is_visible_at_once():
    tree = ast.parse((code.PACKAGE / "train/loop.py").read_text())
    (loop,) = [n for n in tree.body if isinstance(n, ast.FunctionDef) and n.name == "train"]
    body = loop.body[1:]  # without the docstring
    assert body[-1].end_lineno - body[0].lineno + 1 < LONGEST_LOOP

"""The import closure, on a small package made for it."""

from __future__ import annotations

import pytest

from workbench import code

FILES = {
    "__init__.py": "",
    "a.py": "from toy import b\n\ndef later():\n    import toy.rooms.c\n",
    "b.py": '"""Says b."""\nVALUE = 1  # one\n',
    "rooms/__init__.py": "",
    "rooms/c.py": "from . import d\nfrom .d import x\n",
    "rooms/d.py": "x = 1\n",
    "plug.py": "import importlib\n\ndef load(n):\n    return importlib.import_module(f'toy.rooms.{n}')\n",
    "table.py": "from pathlib import Path\nTEXT = (Path(__file__).parent / 'table.json').read_text()\n",
    "table.json": "{}",
    "alone.py": "import torch\n",
}


@pytest.fixture
def toy(tmp_path):
    package = tmp_path / "toy"
    for name, text in FILES.items():
        (package / name).parent.mkdir(exist_ok=True, parents=True)
        (package / name).write_text(text)
    return package


def reached(toy, module, **options):
    return {path.relative_to(toy).as_posix() for path in code.closure(module, toy, **options)}


def test_imports_are_followed_also_lazy_and_relative_ones(toy):
    assert reached(toy, "toy.a") == {
        "__init__.py", "a.py", "b.py", "rooms/__init__.py", "rooms/c.py", "rooms/d.py"
    }  # fmt: skip


def test_modules_loaded_by_name_count(toy):
    assert {"rooms/c.py", "rooms/d.py"} <= reached(toy, "toy.plug")


def test_files_read_beside_a_module_count(toy):
    assert "table.json" in reached(toy, "toy.table")


def test_what_is_left_out_is_not_followed(toy):
    assert not reached(toy, "toy.a", without={"toy.rooms.c"}) & {"rooms/c.py", "rooms/d.py"}


def test_other_packages_do_not_count(toy):
    assert reached(toy, "toy.alone") == {"__init__.py", "alone.py"}


def test_an_unknown_module_is_named(toy):
    with pytest.raises(ValueError, match=r"toy\.nothing is not a module"):
        code.closure("toy.nothing", toy)


def test_the_digest_follows_what_the_code_says(toy):
    before = code.digest(["toy.a"], toy)
    (toy / "b.py").write_text('"""Says something else."""\n\n# as before\nVALUE = 1\n')
    (toy / "table.json").write_text("[]")
    assert code.digest(["toy.a"], toy) == before
    (toy / "b.py").write_text("VALUE = 2\n")
    assert code.digest(["toy.a"], toy) != before


def test_the_digest_follows_tables(toy):
    before = code.digest(["toy.table"], toy)
    (toy / "table.json").write_text("[]")
    assert code.digest(["toy.table"], toy) != before

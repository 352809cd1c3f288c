"""Which files a module's behaviour follows from: its imports inside the package, found by reading them.

Nothing is imported to find out. DVC does not look at imports, so the stages' `deps` are checked
against this closure by a test, and a run's signature carries its digest.
"""

from __future__ import annotations

import ast
import functools
import hashlib
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path

PACKAGE = Path(__file__).parent


def closure(module: str, package: Path = PACKAGE, without: Collection[str] = ()) -> list[Path]:
    """Every file below `package` that the module reaches by import, itself included, sorted.

    Imports inside functions count. A string that names a package (``"workbench.data.sources"``, as
    given to importlib) counts as importing all of it, and one that names a file or folder beside the
    module (a table, page templates) as reading it. Modules in `without` are neither listed nor followed.

    Raises:
        ValueError: when there is no such module.
    """
    start = _file(module, package)
    if start is None:
        raise ValueError(f"{module} is not a module below {package}; check the name's spelling")
    reached: set[Path] = set()
    inside = [folder for folder in start.parents if folder.is_relative_to(package)]
    waiting = [start, *(folder / "__init__.py" for folder in inside)]
    while waiting:
        path = waiting.pop()
        if path in reached or name_of(path, package) in without:
            continue
        reached.add(path)
        if path.suffix == ".py":
            waiting += references(path, package)
    return sorted(reached)


def references(path: Path, package: Path = PACKAGE) -> list[Path]:
    """The files of the package that one source file imports or names, in the order of its lines."""
    found: list[Path] = []
    for name in imported_names(path, package):
        parts = name.split(".")
        for length in range(1, len(parts) + 1):  # importing a.b.c runs a and a.b first
            target = _file(".".join(parts[:length]), package)
            if target is not None:
                found.append(target)
    for text in _strings(*_state(path)):
        found += _named(text.rstrip("."), path, package)
    return found


def imported_names(path: Path, package: Path = PACKAGE) -> list[str]:
    """Dotted names that a source file imports from anywhere, lazy imports included."""
    return list(_imports(package, *_state(path)))


@functools.cache
def _imports(package: Path, path: Path, mtime_ns: int, size: int) -> tuple[str, ...]:
    names: list[str] = []
    for node in ast.walk(_parsed(path, mtime_ns, size)):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                own = name_of(path, package).split(".")
                depth = len(own) - node.level + (path.name == "__init__.py")
                base = ".".join([*own[:depth], *([base] if base else [])])
            names += [base, *(f"{base}.{alias.name}" for alias in node.names)]
    return tuple(names)


def digest(modules: Iterable[str], package: Path = PACKAGE, without: Collection[str] = ()) -> str:
    """16 hexadecimal digits for what the closures say; comments, docstrings and layout do not count."""
    paths = sorted({path for module in modules for path in closure(module, package, without)})
    total = hashlib.sha256()
    for path in paths:
        total.update(path.relative_to(package).as_posix().encode() + b"\0")
        content = path.read_bytes()
        total.update(_meaning(content) if path.suffix == ".py" else content)
    return total.hexdigest()[:16]


def name_of(path: Path, package: Path = PACKAGE) -> str:
    """The dotted name of a file of the package: ``workbench.data.catalog``."""
    parts = path.relative_to(package.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def _file(module: str, package: Path) -> Path | None:
    first, *rest = module.split(".")
    if first != package.name:
        return None
    base = package.joinpath(*rest)
    if base.is_dir():
        return base / "__init__.py" if (base / "__init__.py").is_file() else None
    path = base.with_name(base.name + ".py")
    return path if path.is_file() else None


def _named(text: str, path: Path, package: Path) -> Iterator[Path]:
    if text == package.name or not text or "\0" in text or len(text) > 200:
        return
    target = _file(text, package)
    if target is not None and target.name == "__init__.py":
        yield from sorted(target.parent.glob("*.py"))
    elif target is not None:
        yield target
    elif "\n" not in text and not Path(text).is_absolute() and ".." not in Path(text).parts:
        beside = path.parent / text
        if beside.is_file():
            yield beside
        elif beside.is_dir() and beside != path.parent and not (beside / "__init__.py").exists():
            yield from (file for file in sorted(beside.rglob("*")) if _is_source(file))


def _is_source(path: Path) -> bool:
    return path.is_file() and path.suffix != ".pyc"


@functools.cache
def _strings(path: Path, mtime_ns: int, size: int) -> tuple[str, ...]:
    nodes = ast.walk(_parsed(path, mtime_ns, size))
    constants = (node.value for node in nodes if isinstance(node, ast.Constant))
    return tuple(value for value in constants if isinstance(value, str))


def _state(path: Path) -> tuple[Path, int, int]:
    """What a file is known by: it is looked at once for as long as it stays the same."""
    found = path.stat()
    return path, found.st_mtime_ns, found.st_size


@functools.cache
def _parsed(path: Path, mtime_ns: int, size: int) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), filename=str(path))


@functools.cache
def _meaning(source: bytes) -> bytes:
    tree = ast.parse(source)
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            first = node.body[0] if node.body else None
            if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant):
                node.body = node.body[1:]
    return ast.dump(tree).encode()

"""Named settings of params.yaml: experiments/presets/*.yaml, each a few changes on top of micro."""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedSeq

from workbench import files
from workbench.config import Config, ConfigError, load, parse

FOLDER = Path("experiments/presets")
BASE = "micro"


def names(root: Path) -> list[str]:
    """The presets there are."""
    return sorted(path.stem for path in (root / FOLDER).glob("*.yaml"))


def apply(root: Path, name: str) -> list[str]:
    """Sets params.yaml to a preset, keeping its comments, and says which values changed.

    Raises:
        ConfigError: for an unknown preset, or one that does not give a valid configuration; params.yaml
            then stays as it was.
    """
    yaml = YAML()
    yaml.preserve_quotes = True
    yaml.width = 1000
    path = root / "params.yaml"
    before = load(path).to_dict()
    document = yaml.load(path.read_text(encoding="utf-8"))
    _preset(document, root, name)
    text = io.StringIO()
    yaml.dump(document, text)
    with files.replacing(path) as temporary:
        temporary.write_text(text.getvalue(), encoding="utf-8")
        after = load(temporary).to_dict()
    return _changes(before, after)


def read(root: Path, name: str) -> Config:
    """A preset's configuration; params.yaml stays as it is.

    Raises:
        ConfigError: for an unknown preset, or one that does not give a valid configuration.
    """
    document: dict[str, Any] = {}
    _preset(document, root, name)
    return parse(document)


def _preset(document: Any, root: Path, name: str) -> None:
    known = names(root)
    if not known:
        raise ConfigError(f"{root / FOLDER} holds no preset; run from the repository root")
    if name not in known:
        raise ConfigError(f"there is no preset {name!r}; choose one of {', '.join(known)}")
    for preset in dict.fromkeys((BASE, name)):
        _merge(document, YAML().load((root / FOLDER / f"{preset}.yaml").read_text(encoding="utf-8")))


def _merge(target: Any, changes: Mapping[str, Any]) -> None:
    for key, value in changes.items():
        if isinstance(value, Mapping) and isinstance(target.get(key), Mapping) and key != "factors":
            _merge(target[key], value)
        elif target.get(key) != value:  # what is equal keeps the way it is written
            if isinstance(value, CommentedSeq):
                value.fa.set_flow_style()  # in one line, with the comment after it
            target[key] = value


def _changes(before: Mapping[str, Any], after: Mapping[str, Any], prefix: str = "") -> list[str]:
    lines: list[str] = []
    for key, value in after.items():
        if isinstance(value, dict) and isinstance(before[key], dict) and key != "factors":
            lines += _changes(before[key], value, f"{prefix}{key}.")
        elif before[key] != value:
            lines.append(f"{prefix}{key}: {before[key]} -> {value}")
    return lines

"""Libraries that only the official suite needs: the extra `official`."""

from __future__ import annotations

import importlib
from typing import Any

FOR = {
    "av": "decodes videos",
    "datasets": "reads copies of the hub",
    "imagehash": "tells pictures that look alike",
}


class NotInstalled(ValueError):
    """A library of the extra is not there."""


def extra(module: str) -> Any:
    """The module, one of `FOR`.

    Raises:
        NotInstalled: saying what it is for and how to install it.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise NotInstalled(
            f"{module}, which {FOR[module]}, is not installed: run `pip install -e '.[official]'`"
        ) from error

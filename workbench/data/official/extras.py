"""Libraries that only the official suite needs: the extra `official`."""

from __future__ import annotations

import importlib
from typing import Any


def extra(module: str) -> Any:
    """The module.

    Raises:
        ValueError: when it is not installed.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise ValueError(f"{module} is not installed: run `pip install -e '.[official]'`") from error

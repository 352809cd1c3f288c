"""Refuses to run code from another checkout than the one it stands in."""

from __future__ import annotations

import os
from pathlib import Path

import workbench


class WrongCheckout(RuntimeError):
    """The imported package is not the one below the working directory."""


def check(package: Path | None = None, cwd: Path | None = None) -> Path:
    """The working directory, once it is sure that its own code is what was imported.

    A queued or temporary DVC experiment runs in a copy of the repository; an installed package would
    silently run the main copy's code there (DVC issue 10419).

    Raises:
        WrongCheckout: naming both places and the remedy.
    """
    here = (cwd or Path.cwd()).resolve()
    imported = (package or Path(workbench.__file__).parent).resolve()
    if imported != here / "workbench":
        raise WrongCheckout(
            f"the code was imported from {imported}, but the working directory is {here}: "
            "run `python -m workbench.stages.NAME` from the root of the checkout whose code is meant"
        )
    return here


def records_root(cwd: Path) -> Path:
    """Where runs, spool and tracking database live: the main repository, also from a temporary experiment.

    DVC deletes the folder of a killed temporary experiment; what stands below DVC_ROOT stays.
    """
    return Path(os.environ.get("DVC_ROOT") or cwd).resolve()

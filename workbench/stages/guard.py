"""What every stage begins with: its own checkout's code, the parameters, and errors a person can read."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import workbench
from workbench.config import Config, load


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
            f"the code was imported from {imported}, but the working directory is {here}: run "
            "`python -m workbench.stages.NAME` from the root of the checkout whose code is meant"
        )
    return here


def stage(work: Callable[[Config, Path], object]) -> None:
    """Calls a stage's work with params.yaml and the repository root.

    An error that one of our modules or a ValueError explains ends as one sentence and exit status 1;
    with WORKBENCH_TRACEBACK set, and for all other errors, Python's traceback stays.
    """
    try:
        root = check()
        with suppress(OSError):  # of somebody else, or not there
            (root / ".dvc/site").chmod(0o700)  # DVC has pickles in it, and makes it open where `make` has not
        work(load(root / "params.yaml"), root)
    except Exception as error:
        explained = isinstance(error, ValueError) or type(error).__module__.startswith("workbench.")
        if not explained or os.environ.get("WORKBENCH_TRACEBACK"):
            raise
        sys.exit(f"error: {error}")

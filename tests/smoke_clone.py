"""A copy of this checkout in which commands run as a user types them; `import smoke_clone`."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from workbench import code

ROOT = code.PACKAGE.parent
PERSON = {f"GIT_{role}_{key}": "test" for role in ("AUTHOR", "COMMITTER") for key in ("NAME", "EMAIL")}


def make(folder: Path) -> Path:
    """The files that git tracks, as they are now, in a repository of their own with this environment."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True)
    for name in filter(None, listed.stdout.split("\0")):
        if (ROOT / name).is_file():  # a deleted file is listed until the next commit
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, folder / name)
    (folder / ".venv").symlink_to(sys.prefix)
    (folder / ".dvc/site").mkdir(mode=0o700)
    shell("git init -q && echo .venv >> .git/info/exclude && git add -A && git commit -qm start", folder)
    return folder


def shell(command: str, folder: Path) -> str:
    """What a command prints, standard error included; the environment is env.sh and the virtual one.

    Raises:
        AssertionError: with the command and its last lines when it fails.
    """
    known = {key: value for key, value in os.environ.items() if not key.startswith(("DVC_", "GIT_"))}
    known |= PERSON | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", "COLUMNS": "200"}
    done = subprocess.run(
        ["bash", "-c", f"source env.sh && {command}"],
        cwd=folder,
        env={**known, "PWD": str(folder)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    last = "\n".join(done.stdout.splitlines()[-30:])
    assert done.returncode == 0, f"`{command}` ended with {done.returncode}:\n{last}"
    return done.stdout

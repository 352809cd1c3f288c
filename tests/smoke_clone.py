"""A copy of this checkout in which commands run as a user types them; `import smoke_clone`."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

from workbench import code

ROOT = code.PACKAGE.parent
BESIDE = ("reports/studies/", "reports/calibration/")  # no stage of `dvc repro` makes these


class Repository:
    """A copy on the smoke preset, with a history of its own, and commands run in it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def copy(self) -> None:
        """What git knows of the checkout, and what it does not ignore."""
        listed = subprocess.run(
            ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
            cwd=ROOT, capture_output=True, text=True, check=True,
        )  # fmt: skip
        for name in filter(None, listed.stdout.split("\0")):
            made = name.startswith("reports/") and not name.startswith(BESIDE)
            if (ROOT / name).is_file() and not made:
                (self.folder / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(ROOT / name, self.folder / name)
        (self.folder / ".venv").symlink_to(sys.prefix)
        (self.folder / ".dvc/site").mkdir(mode=0o700)
        self.shell("git init -q && echo .venv >> .git/info/exclude")  # a link is not what .gitignore means
        self.shell("git config user.email smoke@example.org && git config user.name smoke")
        self.run(sys.executable, "-m", "workbench.cli", "preset", "smoke")
        self.commit()

    def shell(self, line: str) -> str:
        """stdout and stderr of a line for bash that has to succeed; the environment is env.sh's."""
        with self.started(line) as process:
            said, _ = process.communicate()
        assert process.returncode == 0, f"`{line}` ended with {process.returncode}:\n{said[-5000:]}"
        return said

    def started(self, line: str) -> subprocess.Popen[str]:
        """The same without waiting for its end."""
        own = ("DVC_", "GIT_", "MLFLOW_", "HF_", "PYTHONPATH")
        given = {key: value for key, value in os.environ.items() if not key.startswith(own)}
        given |= {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}", "COLUMNS": "200"}
        return subprocess.Popen(
            ["bash", "-c", f"source env.sh && {line}"],
            cwd=self.folder, env=given, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )  # fmt: skip

    def run(self, *command: str) -> str:
        """The same for one command given in words."""
        return self.shell(shlex.join(command))

    def commit(self) -> None:
        """Everything that git does not ignore."""
        self.shell("git add -A && git commit -q -m state")

    def runs(self) -> set[str]:
        """Signatures of what was trained or examined."""
        return {path.parent.name for path in self.folder.glob("runs/*/record.json")}

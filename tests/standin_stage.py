"""Stands in for a stage whose values are run side by side; it notes when each begins and ends."""

import os
import signal
import sys
import time
from pathlib import Path

SECONDS = {"slow": 60.0, "bad": 0.1}


def work(config, root, value):
    place = Path(os.environ["STANDIN_PLACE"])
    (place / f"{value}.began").write_text(str(time.time()))
    (place / f"{value}.server").write_text(str(os.getppid()))
    (place / f"{value}.pid").write_text(str(os.getpid()))
    try:
        time.sleep(SECONDS.get(value, 0.5))
    except KeyboardInterrupt:
        time.sleep(0.5)  # tidying up
        (place / f"{value}.interrupted").touch()
        raise
    while value == "helped" and not (place / "helped").exists():
        time.sleep(0.05)
    (place / f"{value}.ended").write_text(str(time.time()))
    if value == "bad":
        sys.exit(3)
    if value == "wrong":
        raise ValueError("what the user got wrong")
    if value == "killed":
        os.kill(os.getpid(), signal.SIGKILL)


def assist(config, root, value):
    place = Path(os.environ["STANDIN_PLACE"])
    with (place / "helped").open("a") as helped:
        helped.write(f"{value}\n")
    if value == "alone":
        sys.exit(4)

"""Stands in for a stage whose values are run side by side; it notes when each begins and ends."""

import os
import sys
import time
from pathlib import Path

SECONDS = {"slow": 60.0, "bad": 0.1}


def work(config, root, value):
    place = Path(os.environ["STANDIN_PLACE"])
    (place / f"{value}.began").write_text(str(time.time()))
    time.sleep(SECONDS.get(value, 0.5))
    (place / f"{value}.ended").write_text(str(time.time()))
    if value == "bad":
        sys.exit(3)
    if value == "wrong":
        raise ValueError("what the user got wrong")

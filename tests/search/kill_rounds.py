"""One round of the kill test: a worker and then the driver are killed at random moments."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import standin_study

from workbench import code


def start(folder: Path) -> subprocess.Popen[bytes]:
    paths = os.pathsep.join([str(code.PACKAGE.parent), str(Path(__file__).parent)])
    command = [sys.executable, standin_study.__file__, "driver", str(folder)]
    return subprocess.Popen(command, env={**os.environ, "PYTHONPATH": paths})


def begun(folder: Path) -> list[str]:
    return standin_study.lines(folder / "begun.log")


def wait_until(reached, process: subprocess.Popen[bytes], seconds: float = 120.0) -> None:
    limit = time.monotonic() + seconds
    while not reached() and process.poll() is None and time.monotonic() < limit:
        time.sleep(0.005)


def kill_one_worker(driver: subprocess.Popen[bytes], draw: random.Random) -> int:
    """The id of the killed process; it may be starting, idle, taking a cell or within one."""
    workers = psutil.Process(driver.pid).children()
    chosen = draw.choice(workers)
    chosen.send_signal(signal.SIGKILL)
    return chosen.pid


def round_of(folder: Path, seed: int) -> dict[str, int]:
    """Runs it to the end and counts: done, twice (beyond once), begun again, left by the killed driver."""
    draw = random.Random(seed)
    folder.mkdir(parents=True)
    first, second = sorted(draw.sample(range(1, standin_study.CELLS - 4), 2))
    driver = start(folder)
    wait_until(lambda: len(begun(folder)) >= first, driver)
    time.sleep(draw.uniform(0, standin_study.LONGEST_SECONDS))
    kill_one_worker(driver, draw)
    wait_until(lambda: len(begun(folder)) >= second, driver)
    time.sleep(draw.uniform(0, standin_study.LONGEST_SECONDS))
    driver.send_signal(signal.SIGKILL)
    assert driver.wait() == -signal.SIGKILL, "it ended before it was killed"
    left = standin_study.CELLS - len(standin_study.lines(folder / "done.log"))
    time.sleep(draw.choice([0.0, draw.uniform(0, 2)]))  # its workers may be there still, or gone
    assert start(folder).wait() == 0
    done = standin_study.lines(folder / "done.log")
    return {
        "done": len(set(done)),
        "twice": len(done) - len(set(done)),
        "begun_again": len(begun(folder)) - len(done),
        "left": left,
    }

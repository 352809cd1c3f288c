"""What a run happens in: the process, the DVC experiment, the state of the code."""

from __future__ import annotations

import hashlib
import json
import os
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import psutil


def home(root: Path) -> Path:
    """Where runs, spool and tracking database live: the main repository, also from a temporary experiment.

    DVC deletes the folder of a killed temporary experiment; what stands below DVC_ROOT stays, and the
    rerun finds its checkpoint.
    """
    return Path(os.environ.get("DVC_ROOT") or root).resolve()


def own_identity() -> str:
    """This process, unmistakably: host, process id and when it started."""
    return f"{socket.gethostname()}:{os.getpid()}:{psutil.Process().create_time():.2f}"


def host_of(owner: str) -> str:
    """The host of an `own_identity`."""
    return owner.rsplit(":", 2)[0]


def alive(owner: str) -> bool:
    """Whether a process lives; one on another machine cannot be seen and counts as alive."""
    host, pid, started = owner.rsplit(":", 2)
    if host != socket.gethostname():
        return True
    try:
        process = psutil.Process(int(pid))
        same = abs(process.create_time() - float(started)) < 1
        return same and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def surroundings() -> dict[str, str]:
    """Which DVC experiment, study and state of the code a run belongs to; empty values are left out."""
    tags = {
        "dvc.exp_name": os.environ.get("DVC_EXP_NAME", ""),
        "dvc.baseline_rev": os.environ.get("DVC_EXP_BASELINE_REV", ""),
        "dvc.stage": os.environ.get("DVC_STAGE", ""),
        "study": os.environ.get("WORKBENCH_STUDY", ""),
        "arm": os.environ.get("WORKBENCH_ARM", ""),
        "git.commit": _git("rev-parse", "HEAD").decode().strip(),
    }
    changes = _git("diff", "HEAD")
    tags["git.dirty"] = hashlib.sha256(changes).hexdigest()[:16] if changes else ""
    return {key: value for key, value in tags.items() if value}


def flatten(nested: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    """``{"model": {"start": "x"}}`` as ``{"model.start": "x"}``, each value as text."""
    flat: dict[str, str] = {}
    for key, value in nested.items():
        if isinstance(value, Mapping) and value:
            flat |= flatten(value, f"{prefix}{key}.")
        else:
            flat[prefix + key] = value if isinstance(value, str) else json.dumps(value)
    return flat


@contextmanager
def watching(seconds: float, record: Callable[[int, Mapping[str, float]], None]) -> Iterator[None]:
    """Hands the load of machine, process and NVIDIA GPUs to `record` every so many seconds, from a thread."""
    from mlflow.system_metrics.metrics.cpu_monitor import CPUMonitor
    from mlflow.system_metrics.metrics.disk_monitor import DiskMonitor
    from mlflow.system_metrics.metrics.gpu_monitor import GPUMonitor

    monitors: list[Any] = [CPUMonitor(), DiskMonitor()]
    with suppress(ImportError, RuntimeError):  # no NVIDIA GPU, or not its library
        monitors.append(GPUMonitor())
    stop, begun, process = threading.Event(), time.time(), psutil.Process()

    def sample() -> None:
        while not stop.wait(seconds):
            values = {"system/process_rss_megabytes": process.memory_info().rss / 1e6}
            for monitor in monitors:
                monitor.collect_metrics()
                values |= {f"system/{key}": value for key, value in monitor.aggregate_metrics().items()}
                monitor.clear_metrics()
            record(int(time.time() - begun), values)

    thread = threading.Thread(target=sample, name="system metrics", daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def _git(*arguments: str) -> bytes:
    """What git says, as it is: a difference may hold files in any encoding."""
    try:
        done = subprocess.run(["git", *arguments], capture_output=True, check=False)
    except FileNotFoundError:
        return b""
    return done.stdout

"""Three times the records, the same memory; benchmarks/reading.py asks the same of ten times as many."""

from __future__ import annotations

import re
import subprocess
import sys

from workbench import code


def test_memory_is_flat_in_the_number_of_records():
    script = code.PACKAGE.parent / "benchmarks/reading.py"
    # the smaller one has to fill a group of rows
    command = [sys.executable, str(script), "--records", "100000", "300000"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=code.PACKAGE.parent)
    assert done.returncode == 0, done.stdout + done.stderr
    assert float(re.search(r"take ([\d.]+) times the memory", done.stdout)[1]) <= 1.3

from pathlib import Path

import pytest
from report_outputs import write_outputs


@pytest.fixture(scope="session")
def outputs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Shared and read-only."""
    return write_outputs(tmp_path_factory.mktemp("finished") / "outputs")

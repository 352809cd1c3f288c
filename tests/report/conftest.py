from pathlib import Path

import pytest
from report_outputs import write_outputs
from study_outputs import write_study


@pytest.fixture(scope="session")
def outputs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Shared and read-only."""
    return write_outputs(tmp_path_factory.mktemp("finished") / "outputs")


@pytest.fixture(scope="session")
def toy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished study, shared and read-only."""
    return write_study(tmp_path_factory.mktemp("study") / "outputs")

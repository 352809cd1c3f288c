import pytest
import small_world
from accelerate.state import AcceleratorState


@pytest.fixture(scope="session")
def world(tmp_path_factory):
    """Prepared data, features and a tiny start; never written to by a test."""
    return small_world.write(tmp_path_factory.mktemp("world"))


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    """Each test has runs/, spool/ and database of its own."""
    monkeypatch.setenv("DVC_ROOT", str(tmp_path))
    AcceleratorState._reset_state(reset_partial_state=True)
    yield tmp_path
    AcceleratorState._reset_state(reset_partial_state=True)

import pytest
from accelerate.state import AcceleratorState


@pytest.fixture(autouse=True)
def own_accelerator():
    """accelerate's state is one per process: each test begins and leaves it unset."""
    AcceleratorState._reset_state(reset_partial_state=True)
    yield
    AcceleratorState._reset_state(reset_partial_state=True)

import pytest
from smoke_clone import Repository

LONG = ("test_readme.py", "test_smoke.py")  # minutes


def pytest_collection_modifyitems(items):
    """What takes longest comes first, lest one of two processes waits for it at the end (`make test`)."""
    items.sort(key=lambda item: item.path.name not in LONG)


@pytest.fixture(scope="session")
def repository(tmp_path_factory):
    """A copy of this checkout after one `dvc repro` on the smoke preset, all of it committed.

    Shared by the tests of a process, because it takes a minute or two: test_readme.py comes first and leaves
    nothing changed that git knows of; test_smoke.py edits the code last.
    """
    made = Repository(tmp_path_factory.mktemp("repository"))
    made.shell("dvc repro")
    made.commit()
    return made

import pytest
from smoke_clone import Repository

# They share `repository` and take minutes: one process, and the first thing it does.
LONG = ("test_readme.py", "test_smoke.py")


def pytest_collection_modifyitems(items):
    """With `--dist loadgroup` the tests of a file stay in one process: they share what they set up."""
    items.sort(key=lambda item: item.path.name not in LONG)
    for item in items:
        group = "repository" if item.path.name in LONG else item.nodeid.partition("::")[0]
        item.add_marker(pytest.mark.xdist_group(group))


@pytest.fixture(scope="session")
def repository(tmp_path_factory):
    """A copy of this checkout after one `dvc repro` on the smoke preset, all of it committed.

    Shared, because it takes a minute or two: test_readme.py comes first and leaves nothing changed that
    git knows of; test_smoke.py edits the code last.
    """
    made = Repository(tmp_path_factory.mktemp("repository"))
    made.shell("dvc repro")
    made.commit()
    return made

import pytest
from filelock import FileLock
from smoke_clone import Repository

# Minutes each; test_smoke.py after those that fill a second process while test_readme.py has the repository.
LONG = (
    "test_readme.py", "test_ablate.py", "test_explore.py", "test_cost.py", "test_verify.py", "test_kills.py",
    "test_postgres.py", "test_fit.py", "test_smoke.py", "test_study_page.py", "test_calibration.py",
    "test_language_stage.py", "test_study_figures.py", "test_grid.py",
)  # fmt: skip


def pytest_collection_modifyitems(items):
    """What takes longest comes first, lest one of two processes waits for it at the end (`make test`)."""
    place = {name: number for number, name in enumerate(LONG)}
    items.sort(key=lambda item: place.get(item.path.name, len(LONG)))


@pytest.fixture(scope="module")
def repository(tmp_path_factory, worker_id):
    """A copy of this checkout after one `dvc repro` on the smoke preset, all of it committed.

    Made once for all processes, because it takes a minute or two, and lent to one module at a time:
    test_readme.py comes first and leaves nothing changed that git knows of; test_smoke.py edits code last.
    """
    base = tmp_path_factory.getbasetemp()
    place = base if worker_id == "master" else base.parent  # beside the folders of pytest-xdist's processes
    with FileLock(place / "repository.lock"):
        made = Repository(place / "repository")
        if not made.folder.exists():
            made.copy()
            made.shell("dvc repro")
            made.commit()
        yield made

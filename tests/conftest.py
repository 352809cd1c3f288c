import pytest
import smoke_clone


@pytest.fixture(scope="session")
def smoke(tmp_path_factory):
    """A copy of the repository after one `dvc repro` on the smoke preset, all of it committed."""
    folder = smoke_clone.make(tmp_path_factory.mktemp("smoke") / "clone")
    smoke_clone.shell("python -m workbench.cli preset smoke && dvc repro", folder)
    smoke_clone.shell("git add -A && git commit -qm 'smoke results'", folder)
    return folder

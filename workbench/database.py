"""MLflow's tables when no server is named: a sqlite file at the repository root."""

from __future__ import annotations

from pathlib import Path

FILE = "mlflow.db"


def uri(home: Path) -> str:
    """What MLflow is told to find it by."""
    return f"sqlite:///{home.resolve() / FILE}"


def prepare(home: Path) -> None:
    """Makes the file, or brings its tables up to date; one process at a time may do so."""
    from mlflow.store.db import utils

    path = home / FILE
    if not path.exists():  # made under another name, so that a kill leaves nothing half migrated
        fresh = path.with_name(f"{FILE}.new")
        fresh.unlink(missing_ok=True)
        engine = utils.create_sqlalchemy_engine(f"sqlite:///{fresh}")
        utils._initialize_tables(engine)
        engine.dispose()
        fresh.replace(path)
        return
    engine = utils.create_sqlalchemy_engine(f"sqlite:///{path}")
    if utils._get_schema_version(engine) != utils._get_latest_schema_revision():
        utils._upgrade_db(engine)  # what `mlflow db upgrade` calls
    engine.dispose()

"""A ledger with a study in it, and MLflow stores on SQLite whose migrations ran once for all tests."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from sweeps.ledger import Ledger
from sweeps.records import StudyRecord
from sweeps.tracking import environment
from tests.sweeps.tracking.trial_reports import begin


@pytest.fixture(scope="session", autouse=True)
def mlflow_environment() -> Iterator[None]:
    """What the sending process sets for itself, for the tests that use MLflow in this one."""
    before = dict(os.environ)
    os.environ.update(environment())
    yield
    os.environ.clear()
    os.environ.update(before)


@pytest.fixture(scope="session")
def migrated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An MLflow database without runs. Its migrations take seconds, a copy of it takes none."""
    from sweeps.tracking.store import MlflowStore
    path = tmp_path_factory.mktemp("mlflow") / "template.db"
    store = MlflowStore(f"sqlite:///{path}", print)
    store.client.search_experiments()
    plain = path.with_name("plain.db")
    import sqlite3
    with sqlite3.connect(path) as source, sqlite3.connect(plain) as target:  # with what its log still holds
        source.backup(target)
    return plain


@pytest.fixture
def store_uri(migrated: Path, tmp_path: Path) -> str:
    """An MLflow store of this test's own."""
    shutil.copy(migrated, tmp_path / "mlflow.db")
    return f"sqlite:///{tmp_path / 'mlflow.db'}"


@pytest.fixture
def ledger_path(tmp_path: Path) -> str:
    return str(tmp_path / "ledger.db")


@pytest.fixture
def ledger(ledger_path: str) -> Iterator[Ledger]:
    opened = Ledger.open(ledger_path)
    yield opened
    opened.close()


@pytest.fixture
def study(ledger: Ledger) -> StudyRecord:
    return begin(ledger)

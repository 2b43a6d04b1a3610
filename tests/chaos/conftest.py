"""A study that ends with its test, on a fresh MLflow database, and the machines of a Ray cluster."""

import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from sweeps.tracking import environment
from tests.chaos.machines import Machines
from tests.chaos.runs import Sweeping


@pytest.fixture(scope="session")
def empty_mlflow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """An MLflow database without runs. Its migrations take seconds, a copy of it takes none."""
    from sweeps.tracking.store import MlflowStore
    before = dict(os.environ)
    os.environ.update(environment())
    path = tmp_path_factory.mktemp("mlflow") / "made.db"
    MlflowStore(f"sqlite:///{path}", print).client.search_experiments()
    whole = path.with_name("whole.db")
    with closing(sqlite3.connect(path)) as source, closing(sqlite3.connect(whole)) as target:  # with what its log still holds
        source.backup(target)
    yield whole
    os.environ.clear()
    os.environ.update(before)


@pytest.fixture
def sweeping(tmp_path: Path, empty_mlflow: Path) -> Iterator[Callable[..., Sweeping]]:
    """Makes a study of this test's own: `sets` are its changed keys, with __ for the dot."""
    made: list[Sweeping] = []

    def make(**sets: Any) -> Sweeping:
        made.append(Sweeping(tmp_path, empty_mlflow, **sets))
        return made[-1]

    yield make
    for each in made:
        each.close()


@pytest.fixture(scope="module")
def machines() -> Iterator[Machines]:
    """Three machines beside the head. A test that kills some leaves them dead: the next one calls `fill`."""
    made = Machines(3)
    yield made
    made.close()

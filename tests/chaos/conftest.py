"""What chaos tests share: a fresh MLflow database to copy, a study that ends with its test, machines of a Ray cluster."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.chaos.machines import Machines
from tests.chaos.runs import Sweeping
from tests.sweeps.tracking.conftest import migrated

__all__ = ["migrated"]


@pytest.fixture(scope="session", autouse=True)
def environment() -> Iterator[None]:
    """Ray without a token, since its processes are started one by one; MLflow as the product sets it."""
    from sweeps.tracking import environment as tracking_environment
    before = dict(os.environ)
    os.environ.update(tracking_environment())
    os.environ.update({"RAY_USAGE_STATS_ENABLED": "0"})
    yield
    os.environ.clear()
    os.environ.update(before)


@pytest.fixture
def sweeping(tmp_path: Path, migrated: Path) -> Iterator[Callable[..., Sweeping]]:
    """Makes a study of this test's own."""
    made: list[Sweeping] = []

    def make(**sets: Any) -> Sweeping:
        made.append(Sweeping(tmp_path, migrated, **sets))
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

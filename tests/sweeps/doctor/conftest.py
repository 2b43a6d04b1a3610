"""Homes to damage: copies of a whole study and of a stopped one, each with its MLflow store, made once for all tests."""

import shutil
from pathlib import Path

import pytest

from sweeps.home import Home
from tests.sweeps.doctor.sound_study import home_at, run_study, send


@pytest.fixture(scope="session")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = home_at(tmp_path_factory.mktemp("sound"))
    run_study(home)
    send(home)
    return home.root


@pytest.fixture(scope="session")
def stopped(sound: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = home_at(tmp_path_factory.mktemp("stopped"))
    run_study(home, num_trials=6)
    send(home)
    return home.root


@pytest.fixture
def home(sound: Path, tmp_path: Path) -> Home:
    """A whole study of a test's own."""
    return home_at(shutil.copytree(sound, tmp_path / "home"))


@pytest.fixture
def stopped_home(stopped: Path, tmp_path: Path) -> Home:
    """A stopped study of a test's own."""
    return home_at(shutil.copytree(stopped, tmp_path / "stopped"))

"""`made`: builders of ledger records for the analysis, from trial_records.py beside this file."""

import runpy
from pathlib import Path
from types import SimpleNamespace

import pytest

MADE = SimpleNamespace(**runpy.run_path(str(Path(__file__).with_name("trial_records.py"))))


@pytest.fixture
def made() -> SimpleNamespace:
    return MADE

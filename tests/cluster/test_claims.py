"""`mixup-sweep claims` from the first trial to RESULTS.md on real Ray workers, and again with nothing left to run."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.cluster
TOY = ("data.train_size=200", "data.val_size=100", "measure.splits=2", "space.epochs=1", "model.capacity={width: [0.1, 0.2]}")


def claims(folder: Path) -> "subprocess.CompletedProcess[str]":
    sets = [word for each in TOY for word in ("--set", each)]
    command = [sys.executable, "-m", "sweeps", "claims", "Z1", "Z2", "--as", "toy", "--to", str(folder / "out"), *sets]
    return subprocess.run(command, env={**os.environ, "SWEEP_HOME": str(folder / "home"), "RAY_USAGE_STATS_ENABLED": "0"},
                          capture_output=True, text=True, check=False)


@pytest.mark.timeout(900)
def test_two_claims_that_share_studies_run_each_once_and_the_same_command_goes_on(tmp_path: Path) -> None:
    first = claims(tmp_path)
    assert first.returncode == 0, first.stderr
    assert "claims-ladder-toy: 20 trials more, 0 failed" in first.stdout
    assert "claims-ladder-noisy-toy: 20 trials more, 0 failed" in first.stdout
    text = (tmp_path / "out" / "RESULTS.md").read_text()
    book = json.loads((tmp_path / "out" / "results.json").read_text())
    assert [(entry["id"], len(entry["parts"])) for entry in book["claims"].values()] == [("Z1", 8), ("Z2", 4)]
    assert all(part["n"] == 2 for entry in book["claims"].values() for part in entry["parts"])
    assert "--as toy" in text
    again = claims(tmp_path)
    assert again.returncode == 0, again.stderr
    assert "claims-ladder-toy: 0 trials more" in again.stdout
    assert (tmp_path / "out" / "RESULTS.md").read_text() == text

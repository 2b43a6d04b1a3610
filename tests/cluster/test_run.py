"""`mixup-sweep run` as a person uses it: a process of its own, a real local Ray, a real MLflow store."""

import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest

from sweeps.doctor import assert_consistent, examine
from sweeps.doctor.mending import mend
from sweeps.home import Home
from sweeps.ledger import Ledger
from sweeps.records import FINAL_STATES, INTERRUPTED
from trainable.errors import LedgerError

pytestmark = pytest.mark.cluster

STUDY = "smoke"
NUM_TRIALS = 16


def environment(home: Path) -> dict[str, str]:
    return {**os.environ, "SWEEP_HOME": str(home), "MLFLOW_DISABLE_TELEMETRY": "true", "RAY_USAGE_STATS_ENABLED": "0"}


def start(home: Path, *arguments: str) -> "subprocess.Popen[str]":
    command = [sys.executable, "-m", "sweeps", "run", STUDY, *arguments]
    return subprocess.Popen(command, env=environment(home), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def run(home: Path, *arguments: str) -> tuple[int, str]:
    process = start(home, *arguments)
    text, _ = process.communicate(timeout=300)
    return process.returncode, text


def ledger_trials(home: Path) -> list:
    ledger = Ledger.open(home_at(home).ledger, read_only=True)
    study = ledger.study(STUDY)
    trials = ledger.trials(study.id) if study else []
    ledger.close()
    return trials


def wait_for_trials(home: Path, count: int, process: "subprocess.Popen[str]") -> None:
    """Until the ledger has this many finished trials."""
    while process.poll() is None:
        with suppress(LedgerError):  # the file is there a moment before its tables are
            if (home / "ledger.db").exists() and sum(trial.state in FINAL_STATES for trial in ledger_trials(home)) >= count:
                return
        time.sleep(0.05)
    pytest.fail(f"the run ended before {count} trials had: {process.communicate()[0]}")


def home_at(root: Path) -> Home:
    return Home.resolve(environ={"SWEEP_HOME": str(root)})


def assert_whole(home: Path) -> None:
    """Every trial once, whole, and the same everywhere, MLflow included."""
    assert_consistent(home_at(home), STUDY)
    assert len(ledger_trials(home)) == NUM_TRIALS


def test_a_study_runs_and_running_it_again_adds_nothing(tmp_path: Path) -> None:
    code, text = run(tmp_path)
    assert code == 0, text
    assert_whole(tmp_path)
    assert (tmp_path / "reports" / STUDY / "index.html").stat().st_size > 100_000
    assert "width=0.25" in text
    assert "\x1b" not in text
    before = {trial.key: trial.revision for trial in ledger_trials(tmp_path)}
    code, text = run(tmp_path)
    assert code == 0, text
    assert {trial.key: trial.revision for trial in ledger_trials(tmp_path)} == before
    assert "complete" in text


@pytest.mark.parametrize("kill", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_what_was_stopped_goes_on_with_the_same_command(kill: signal.Signals, tmp_path: Path) -> None:
    process = start(tmp_path)
    wait_for_trials(tmp_path, 3, process)
    process.send_signal(kill)
    text, _ = process.communicate(timeout=120)
    finished = {trial.key: trial.ended_at for trial in ledger_trials(tmp_path) if trial.state in FINAL_STATES}
    if kill != signal.SIGKILL:
        assert process.returncode == 5, text
        assert "goes on" in text
        assert {trial.state for trial in ledger_trials(tmp_path)} <= {*FINAL_STATES, INTERRUPTED}
    else:
        mend(home_at(tmp_path), STUDY)
    assert_consistent(home_at(tmp_path), STUDY, complete=False)
    code, text = run(tmp_path)
    assert code == 0, text
    assert_whole(tmp_path)
    again = {trial.key: trial.ended_at for trial in ledger_trials(tmp_path)}
    assert {key: again[key] for key in finished} == finished, "no finished trial ran twice"


def test_a_second_driver_is_refused_and_names_the_first(tmp_path: Path) -> None:
    long = ("--set", "measure.splits=200")  # 1,200 trials: the first driver is busy for as long as the second needs to be refused
    process = start(tmp_path, *long)
    wait_for_trials(tmp_path, 1, process)
    health = examine(home_at(tmp_path), STUDY)
    assert health.findings == ()
    assert str(process.pid) in (health.driver or "")
    code, text = run(tmp_path, *long)
    process.terminate()
    process.communicate(timeout=120)
    assert code == 4, text
    assert str(process.pid) in text
    assert process.returncode == 5


def test_more_may_be_asked_of_a_complete_study_but_not_something_else(tmp_path: Path) -> None:
    assert run(tmp_path, "--set", "measure.alphas=[0, 1]")[0] == 0
    assert len(ledger_trials(tmp_path)) == 12
    code, text = run(tmp_path)
    assert code == 0, text
    assert_whole(tmp_path)
    code, text = run(tmp_path, "--set", "train.lr=0.05")
    assert code == 2
    assert "train.lr: recorded 0.1, now 0.05" in text

"""A study changes hands: from a driver that sleeps, from one that is told to end at once, and from a head node that is lost."""

import runpy
import signal
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest

from sweeps.backup.shelf import Shelf
from sweeps.home import Home
from sweeps.ledger import Ledger
from sweeps.records import ENDED, FINAL_STATES, INTERRUPTED

pytestmark = pytest.mark.chaos

RUN = runpy.run_path(str(Path(__file__).parents[1] / "cluster" / "test_run.py"))
environment, ledger_trials, start, wait_for_trials = (
    RUN[name] for name in ("environment", "ledger_trials", "start", "wait_for_trials"))
STUDY, PER_SPLIT = RUN["STUDY"], 6
IMPATIENT = "from sweeps.ledger import lock; lock.STALE_SECONDS = 2.0"
DILIGENT = "from sweeps import backup; backup.COPY_SECONDS = 0.5"


def start_with(seam: str, home: Path, *arguments: str) -> "subprocess.Popen[str]":
    """`mixup-sweep run` with one constant of the product changed, so that a test need not wait for it."""
    command = [sys.executable, "-c", f"{seam}; from sweeps.cli import main; main()", "run", STUDY, *arguments]
    return subprocess.Popen(command, env=environment(home), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def finish(process: "subprocess.Popen[str]", seconds: float = 300) -> tuple[int, str]:
    text, _ = process.communicate(timeout=seconds)
    return process.returncode, text


def ended(home: Path) -> dict[str, float]:
    return {trial.key: trial.ended_at for trial in ledger_trials(home) if trial.state in FINAL_STATES}


def mlflow_runs(home: Path) -> Counter[str]:
    """trial key -> number of live MLflow runs, read from MLflow's own database."""
    with sqlite3.connect(home / "mlflow.db") as database:
        rows = database.execute("select t.value, count(*) from tags t join runs r on r.run_uuid = t.run_uuid "
                                "where t.key = 'sweep.trial_key' and r.lifecycle_stage = 'active' group by t.value")
        return Counter(dict(rows.fetchall()))


def assert_each_once(home: Path, splits: int) -> None:
    """Every trial that was asked for has ended, by one attempt, and is one run in MLflow."""
    trials = ledger_trials(home)
    assert len(trials) == len({trial.key for trial in trials}) == 4 + PER_SPLIT * splits
    assert all(trial.state in FINAL_STATES for trial in trials)
    with Ledger.open(Home.resolve(environ={"SWEEP_HOME": str(home)}).ledger, read_only=True) as ledger:
        attempts = ledger.attempts(trials[0].study_id)
    assert Counter(attempt.trial_id for attempt in attempts if attempt.state == ENDED) == Counter(trial.id for trial in trials)
    assert mlflow_runs(home) == Counter({trial.key: 1 for trial in trials})


def ledger_revision(home: Path) -> int:
    with Ledger.open(Home.resolve(environ={"SWEEP_HOME": str(home)}).ledger, read_only=True) as ledger:
        return ledger.study(STUDY).revision  # type: ignore[union-attr]


def wait_for_copy(bucket: Path, revision: int) -> None:
    """Until a copy of the ledger holds this revision."""
    shelf, deadline = Shelf(f"file://{bucket}", STUDY), time.monotonic() + 60
    while not any(card.standing.revision >= revision for card in shelf.cards()):
        assert time.monotonic() < deadline, "no copy was written"
        time.sleep(0.1)


def test_a_driver_that_slept_through_its_lease_writes_nothing_more_and_ends(tmp_path: Path) -> None:
    more = ("--set", "measure.splits=12")
    sleeper = start(tmp_path, *more)
    wait_for_trials(tmp_path, 3, sleeper)
    sleeper.send_signal(signal.SIGSTOP)
    try:
        deadline = time.monotonic() + 60
        while True:  # refused until the sleeper has been silent for long enough
            second = start_with(IMPATIENT, tmp_path, *more)
            before = len(ended(tmp_path))
            while second.poll() is None and len(ended(tmp_path)) < before + 3:
                time.sleep(0.1)
            if second.poll() is None:
                break
            code, text = finish(second)
            assert code == 4, text
            assert str(sleeper.pid) in text
            assert time.monotonic() < deadline, text
    finally:
        sleeper.send_signal(signal.SIGCONT)
    code, text = finish(sleeper, 120)
    assert code == 4, text
    assert str(second.pid) in text
    code, text = finish(second)
    assert code == 0, text
    assert_each_once(tmp_path, 12)


def test_stop_now_ends_a_driver_with_130_and_the_same_command_goes_on(tmp_path: Path) -> None:
    process = start(tmp_path)
    wait_for_trials(tmp_path, 3, process)
    before = ended(tmp_path)
    stop = [sys.executable, "-m", "sweeps", "stop", STUDY, "--now"]
    told = subprocess.run(stop, env=environment(tmp_path), capture_output=True, text=True, check=False, timeout=120)
    assert (told.returncode, told.stderr) == (0, "")
    assert "nothing is lost" in told.stdout
    code, text = finish(process, 120)
    assert code == 130, text
    assert {trial.state for trial in ledger_trials(tmp_path)} <= {*FINAL_STATES, INTERRUPTED, "RUNNING", "PENDING"}
    again = subprocess.run(stop, env=environment(tmp_path), capture_output=True, text=True, check=False, timeout=120)
    assert f"nobody is running {STUDY}" in again.stdout
    code, text = finish(start(tmp_path))
    assert code == 0, text
    assert_each_once(tmp_path, 2)
    assert {key: at for key, at in ended(tmp_path).items() if key in before} == before


def test_another_head_node_goes_on_from_the_copy_of_the_ledger(tmp_path: Path) -> None:
    homes, storage = (tmp_path / "first", tmp_path / "second"), ("--storage", f"file://{tmp_path / 'bucket'}")
    first = start_with(DILIGENT, homes[0], *storage)
    wait_for_trials(homes[0], 5, first)
    wait_for_copy(tmp_path / "bucket", ledger_revision(homes[0]))
    first.send_signal(signal.SIGKILL)
    finish(first)
    code, text = finish(start_with(DILIGENT, homes[1], *storage))
    assert code == 0, text
    assert "restored from its copy" in text
    assert_each_once(homes[1], 2)
    before, after = ended(homes[0]), ended(homes[1])
    kept = {key for key, at in before.items() if after.get(key) == at}
    assert len(kept) >= 5, "finished trials were not run again"
    code, text = finish(start_with(DILIGENT, homes[0], *storage))
    assert code == 4, text
    assert "is behind it" in text

"""A whole run whose ledger file is locked by another process, or damaged, while trials go on."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.chaos.watched_run import ROUNDS, WatchedRun, assert_whole, reading, until

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(900)]
INFRASTRUCTURE = 4
SHORT_PATIENCE_SECONDS = 5.0
"""Of the runs that wait in vain. That the real one is between 10 and 60 s is a test of the ledger, and of the further rounds."""

HOLD = """
import sqlite3, sys, time
held = sqlite3.connect(sys.argv[1], isolation_level=None, timeout=60)
held.execute("BEGIN EXCLUSIVE")
print("held", flush=True)
time.sleep(float(sys.argv[2]))
held.execute("ROLLBACK")
"""


@contextmanager
def locked(path: Path, seconds: float) -> Iterator["subprocess.Popen[str]"]:
    """Another process that has the file for so long, or until the block ends."""
    holder = subprocess.Popen([sys.executable, "-c", HOLD, str(path), str(seconds)], stdout=subprocess.PIPE, text=True)
    assert holder.stdout
    assert holder.stdout.readline() == "held\n"
    try:
        yield holder
    finally:
        holder.kill()
        holder.wait()


def heard_of(run: WatchedRun) -> float:
    """When this run last said that it is the study's driver."""
    with reading(run.home) as (ledger, study_id):
        holder = ledger.driver(study_id, time.time())
    assert holder
    assert holder.pid == run.process.pid
    return holder.heartbeat_at


def store(home: Path) -> str:
    return f"sqlite:///{home / 'mlflow.db'}"


def test_a_file_locked_for_ten_seconds_is_waited_for_and_one_that_stays_locked_ends_the_run_resumably(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    patience = None if ROUNDS > 1 else SHORT_PATIENCE_SECONDS
    with WatchedRun(tmp_path, is_slow=True) as run:
        run.wait_for_trials(2)
        with locked(path, 10.0) as holder:
            assert holder.wait(60) == 0
        released_at = time.time()
        run.wait_for_trials(len(run.ended()) + 2)
        until(lambda: heard_of(run) > released_at, "the driver says again that it is alive")
        run.process.send_signal(signal.SIGTERM)
        assert run.end() == 5, run.text
        ended = run.ended()
    with WatchedRun(tmp_path, is_slow=True, patience_seconds=patience) as run:
        run.wait_for_trials(len(ended) + 2)
        with locked(path, 3600.0):
            assert run.end() == INFRASTRUCTURE, run.text
        waited = 45 if patience is None else patience
        assert f"error: ledger {path}: another process has kept the file locked for {waited:g} s" in run.text
        assert "Traceback" not in run.text
    run.hurry()
    with WatchedRun(tmp_path) as run:
        assert run.end() == 0, run.text
        assert_whole(run.home, run.num_planned, store(tmp_path))
        again = run.ended()
    assert {key: again[key].ended_at for key in ended} == {key: trial.ended_at for key, trial in ended.items()}


def test_a_file_locked_before_the_start_is_named(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    with WatchedRun(tmp_path, splits=2, is_slow=True) as run:
        run.wait_for_trials(1)
        run.process.send_signal(signal.SIGTERM)
        assert run.end() == 5, run.text
    with locked(path, 3600.0), WatchedRun(tmp_path, splits=2, patience_seconds=1.0) as run:
        assert run.end() == INFRASTRUCTURE, run.text
    assert f"ledger {path}: another process has kept the file locked" in run.text


def test_a_file_damaged_between_two_runs_is_named_and_kept_and_a_backup_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    with WatchedRun(tmp_path, splits=4, is_slow=True) as run:
        run.wait_for_trials(3)
        run.process.send_signal(signal.SIGTERM)
        assert run.end() == 5, run.text
        ended = run.ended()
        run.hurry()
    backup = path.read_bytes()
    path.write_bytes(backup[:len(backup) // 2])
    with WatchedRun(tmp_path, splits=4) as run:
        assert run.end() == INFRASTRUCTURE, run.text
    (copy,) = tmp_path.glob("ledger.db.damaged-*")
    assert f"error: ledger {path}: the file is damaged" in run.text
    assert str(copy) in run.text
    assert path.read_bytes() == copy.read_bytes() == backup[:len(backup) // 2]
    path.write_bytes(backup)
    with WatchedRun(tmp_path, splits=4) as run:
        assert run.end() == 0, run.text
        assert_whole(run.home, run.num_planned, store(tmp_path))
        assert {key: run.ended()[key].ended_at for key in ended} == {key: trial.ended_at for key, trial in ended.items()}


def test_a_file_damaged_in_mid_run_is_told_while_it_goes_on_and_no_later_run_overwrites_it(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    with WatchedRun(tmp_path, is_slow=True) as run:
        run.wait_for_trials(5)
        os.truncate(path, path.stat().st_size // 2)
        os.truncate(f"{path}-wal", 0)
        run.wait_for_word("the file is damaged")  # by the driver if it reads there, else by the process that sends to MLflow
        run.process.send_signal(signal.SIGTERM)
        assert run.end() in (INFRASTRUCTURE, 5), run.text
    assert "Traceback" not in run.text
    content, copies = path.read_bytes(), list(tmp_path.glob("ledger.db.damaged-*[0-9]"))
    assert 1 <= len(copies) <= 2, "one by the driver at most, one by the sender"
    with WatchedRun(tmp_path) as run:
        assert run.end() == INFRASTRUCTURE, run.text
    assert "the file is damaged" in run.text
    assert path.read_bytes() == content

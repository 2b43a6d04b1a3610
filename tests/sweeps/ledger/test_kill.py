"""A driver killed at any point leaves a ledger that the next one continues exactly."""

import os
import random
import signal
import sqlite3
import time
from collections.abc import Callable

import pytest

from sweeps.ledger import Ledger
from sweeps.ledger import store as ledger_store
from sweeps.ledger.lock import here
from sweeps.records import FINAL_STATES, FINISHED, INTERRUPTED, PENDING, RUNNING, Report

NUM_TRIALS, NUM_EPOCHS = 8, 12


def drive(url: str, make) -> None:
    """A driver with one worker: continue what was interrupted, then run every trial to its end, three epochs a time."""
    with Ledger.open(url) as ledger:
        study_id = ledger.register_study("digits", {"seed": 0}, {}, time.time()).id
        ledger.acquire(study_id, *here(), time.time())
        ledger.interrupt_running(study_id, time.time())
        for number in range(NUM_TRIALS):
            trial = ledger.add_trial(study_id, make.spec(number), time.time())
            if trial.state in FINAL_STATES:
                continue
            started_at, token = time.time(), os.urandom(8).hex()
            # From the first epoch on, as if no checkpoint were left: what the ledger knows comes again.
            for last in range(3, NUM_EPOCHS + 1, 3):
                report: Report = make.report(trial.key, token, (last - 2, last), started_at=started_at)
                end = make.finish if last == NUM_EPOCHS else None
                assert ledger.append(study_id, Report(**{**vars(report), "end": end}), time.time())


def check(url: str, make) -> int:
    """How many trials are finished, after seeing that everything the dead driver left agrees."""
    with Ledger.open(url, read_only=True) as ledger:
        study = ledger.study("digits")
        if study is None:
            return 0
        trials, rows, attempts = ledger.trials(study.id), ledger.rows(study.id), ledger.attempts(study.id)
        for trial in trials:
            mine = [attempt.state for attempt in attempts if attempt.trial_id == trial.id]
            assert rows.get(trial.id, []) == list(make.rows(trial.key, 1, trial.last_epoch))
            assert trial.state in (PENDING, RUNNING, INTERRUPTED, FINISHED)
            is_whole = trial.last_epoch == NUM_EPOCHS and trial.metrics == make.finish.metrics
            assert (trial.state == FINISHED) == is_whole == (trial.last_epoch == NUM_EPOCHS)
            assert mine.count(RUNNING) == (trial.state == RUNNING)
        assert ledger.decisions(study.id) == []
        return sum(trial.state == FINISHED for trial in trials)


def run_in_child(drive_on: Callable[[], None]) -> tuple[int, int]:
    """Start `drive_on` in a forked process that ends with it: its pid and a pipe that is closed when it begins."""
    ready, begin = os.pipe()
    pid = os.fork()
    if pid:
        os.close(begin)
        return pid, ready
    try:
        os.close(begin)
        drive_on()
        os._exit(0)
    except BaseException:
        os._exit(1)


def kill_at(url: str, make, num_points: int) -> int:
    """How a driver ended that was to be killed at its n-th fail point: -9, or 0 if it was done before."""

    def die(_point: str, left: list[int] = [num_points]) -> None:  # noqa: B006 - one count for the one child
        left[0] -= 1
        if left[0] == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    def child() -> None:
        ledger_store.fail_point = die
        drive(url, make)

    pid, ready = run_in_child(child)
    os.close(ready)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def kill_after(url: str, make, seconds: float) -> int:
    """How a driver ended that was killed so long after its start."""
    pid, ready = run_in_child(lambda: drive(url, make))
    os.read(ready, 1)
    os.close(ready)
    time.sleep(seconds)
    os.kill(pid, signal.SIGKILL)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def assert_exact(url: str, make) -> None:
    assert check(url, make) == NUM_TRIALS
    with Ledger.open(url) as ledger:
        study_id = ledger.study("digits").id
        revision = ledger.head_revision(study_id)
        drive(url, make)
        assert [attempt.number for attempt in ledger.attempts(study_id)].count(1) == NUM_TRIALS
        assert len(ledger.trials(study_id)) == NUM_TRIALS
        # The study is complete: a further run finds every trial (that is a commit each) and does nothing else.
        assert ledger.head_revision(study_id) == revision + NUM_TRIALS


@pytest.mark.parametrize("seed", [0, pytest.param(1, marks=pytest.mark.slow)])
def test_killed_between_any_two_commits_it_continues_exactly(ledger_url, make, seed):
    stream = random.Random(seed)
    finished, num_kills = 0, 0
    for _ in range(20):
        num_kills += kill_at(ledger_url, make, stream.randint(1, 40)) == -signal.SIGKILL
        now = check_opened(ledger_url, make)
        assert now >= finished
        finished = now
    assert num_kills >= 10
    assert kill_at(ledger_url, make, 1000) == 0
    assert_exact(ledger_url, make)


def test_killed_at_twenty_random_moments_it_continues_exactly(ledger_url, make):
    stream = random.Random(0)
    finished = 0
    for _ in range(20):
        kill_after(ledger_url, make, stream.uniform(0.0, 0.06))
        now = check_opened(ledger_url, make)
        assert now >= finished
        finished = now
    drive(ledger_url, make)
    assert_exact(ledger_url, make)


def check_opened(url: str, make) -> int:
    """`check`, where the driver may have died before the ledger was there at all."""
    Ledger.open(url).close()
    if "://" not in url:
        with sqlite3.connect(url) as connection:
            assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        connection.close()
    return check(url, make)

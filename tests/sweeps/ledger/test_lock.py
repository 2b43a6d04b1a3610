"""One driver at a time, and what becomes of one that lost its study."""

import os
import subprocess
import sys
import time

import psutil
import pytest

from sweeps.ledger import Ledger
from sweeps.ledger.lock import STALE_SECONDS, START_SECONDS, here
from trainable.errors import StudyLocked

HOST, PID = here()
AT = 5000.0


@pytest.fixture
def second(ledger_url, ledger):
    """Another driver's ledger on the same database."""
    with Ledger.open(ledger_url, patience_seconds=10) as opened:
        yield opened


@pytest.fixture
def dead_pid():
    finished = subprocess.Popen([sys.executable, "-c", ""])
    finished.wait()
    return finished.pid


def test_a_second_driver_is_refused_by_host_and_process(ledger, study_id, second):
    ledger.acquire(study_id, "first-host", 41, AT)
    with pytest.raises(StudyLocked, match="process 41 on host first-host, heard of 10 s ago"):
        second.acquire(study_id, "second-host", 42, AT + 10)


def test_a_driver_alive_on_this_host_keeps_its_study(ledger, study_id, second):
    now = time.time()
    ledger.acquire(study_id, HOST, os.getppid(), now)
    with pytest.raises(StudyLocked, match=f"process {os.getppid()} on host"):
        second.acquire(study_id, HOST, PID, now)


@pytest.mark.parametrize(("margin", "is_taken"), [(0.5 * START_SECONDS, False), (START_SECONDS + 0.5, True)])
def test_a_process_that_was_given_the_number_of_a_dead_driver_is_not_the_driver(ledger, study_id, second, margin, is_taken):
    last_word = psutil.Process(os.getppid()).create_time() - margin  # the driver spoke last before this process began
    ledger.acquire(study_id, HOST, os.getppid(), last_word)
    if is_taken:
        second.acquire(study_id, HOST, PID, last_word + 1)
    else:
        with pytest.raises(StudyLocked):
            second.acquire(study_id, HOST, PID, last_word + 1)


def test_a_dead_process_on_this_host_loses_its_study(ledger, study_id, second, dead_pid):
    ledger.acquire(study_id, HOST, dead_pid, AT)
    second.acquire(study_id, HOST, PID, AT)


def test_a_process_that_died_but_was_not_reaped_loses_its_study_too(ledger, study_id, second):
    unreaped = subprocess.Popen([sys.executable, "-c", ""])
    os.waitid(os.P_PID, unreaped.pid, os.WEXITED | os.WNOWAIT)
    ledger.acquire(study_id, HOST, unreaped.pid, AT)
    second.acquire(study_id, HOST, PID, AT)
    unreaped.wait()


def test_a_dead_process_number_of_another_host_means_nothing(ledger, study_id, second, dead_pid):
    ledger.acquire(study_id, "other-host", dead_pid, AT)
    with pytest.raises(StudyLocked, match="other-host"):
        second.acquire(study_id, HOST, PID, AT)


@pytest.mark.parametrize(("silent_seconds", "is_taken"), [(STALE_SECONDS, False), (STALE_SECONDS + 0.01, True)])
def test_a_silent_driver_loses_its_study(ledger, study_id, second, silent_seconds, is_taken):
    ledger.acquire(study_id, "first-host", 41, AT - 100)
    ledger.heartbeat(study_id, AT)
    if is_taken:
        second.acquire(study_id, "second-host", 42, AT + silent_seconds)
    else:
        with pytest.raises(StudyLocked):
            second.acquire(study_id, "second-host", 42, AT + silent_seconds)


def test_a_released_study_is_free(ledger, study_id, second):
    ledger.acquire(study_id, "first-host", 41, AT)
    ledger.release(study_id)
    second.acquire(study_id, "second-host", 42, AT)


def test_closing_the_ledger_releases_its_studies(ledger_url, ledger, study_id, second):
    second.acquire(study_id, "second-host", 42, AT)
    second.close()
    ledger.acquire(study_id, "first-host", 41, AT)


def test_a_driver_that_lost_its_study_can_write_nothing(ledger, study_id, second, make):
    ledger.acquire(study_id, "first-host", 41, AT)
    added = ledger.add_trial(study_id, make.spec(), AT)
    second.acquire(study_id, "second-host", 42, AT + 61)
    writes = [
        lambda: ledger.add_trial(study_id, make.spec(1), AT),
        lambda: ledger.append(study_id, make.report(epochs=(1, 1)), AT),
        lambda: ledger.close_attempt(study_id, "key0", "LOST", "", AT),
        lambda: ledger.set_study(study_id, state="x"),
        lambda: ledger.decide(study_id, None, "x", AT, {}),
        lambda: ledger.heartbeat(study_id, AT),
        lambda: ledger.register_study("digits", {"seed": 0}, {"trials": 99}, AT + 62),
    ]
    for write in writes:
        with pytest.raises(StudyLocked, match="process 42 on host second-host"):
            write()
    assert second.trials(study_id) == [added]
    assert second.append(study_id, make.report(epochs=(1, 1)), AT).last_epoch == 1


def test_the_loser_cannot_release_the_winners_lock(ledger, study_id, second):
    ledger.acquire(study_id, "first-host", 41, AT)
    second.acquire(study_id, "second-host", 42, AT + 61)
    ledger.release(study_id)
    ledger.close()
    second.heartbeat(study_id, AT + 62)


def test_one_driver_may_hold_two_studies_and_others_stay_free(ledger, study_id, second):
    other = ledger.register_study("other", {}, {}, AT).id
    third = ledger.register_study("third", {}, {}, AT).id
    ledger.acquire(study_id, "first-host", 41, AT)
    ledger.acquire(other, "first-host", 41, AT)
    second.acquire(third, "second-host", 42, AT)
    for study in (study_id, other):
        with pytest.raises(StudyLocked):
            second.acquire(study, "second-host", 42, AT)


def test_a_process_may_take_its_own_study_again(ledger, study_id, second):
    ledger.acquire(study_id, HOST, PID, AT)
    second.acquire(study_id, HOST, PID, AT)
    with pytest.raises(StudyLocked, match="taken over"):
        ledger.heartbeat(study_id, AT)


def test_readers_are_told_who_runs_a_study_while_it_is_alive(ledger, study_id, dead_pid):
    assert ledger.driver(study_id, AT) is None
    ledger.acquire(study_id, "far-host", 41, AT)
    assert vars(ledger.driver(study_id, AT + STALE_SECONDS)) == {"host": "far-host", "pid": 41, "heartbeat_at": AT}
    assert ledger.driver(study_id, AT + STALE_SECONDS + 1) is None
    ledger.acquire(study_id, HOST, dead_pid, AT + STALE_SECONDS + 1)
    assert ledger.driver(study_id, AT + STALE_SECONDS + 1) is None

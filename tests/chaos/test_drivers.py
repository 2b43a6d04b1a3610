"""Drivers killed at random moments and between any two commits: the same command again, and every trial has run once, whole."""

import random
import signal
import time
from collections.abc import Callable

import pytest

from sweeps.records import FINAL_STATES
from tests.chaos.runs import ROUNDS, Sweeping, gone

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(2400)]
Make = Callable[..., Sweeping]
NUM_MOMENTS, NUM_COMMITS = (2, 2) if ROUNDS == 1 else (4 * ROUNDS, 2 * ROUNDS)
"""How many drivers die at random moments, and at fail points: 20 and 10 in `make chaos`."""


def ends(sweep: Sweeping) -> dict[str, float | None]:
    return {trial.key: trial.ended_at for trial in sweep.trials() if trial.state in FINAL_STATES}


def test_drivers_killed_at_random_moments_cost_no_trial_and_leave_no_process(sweeping: Make) -> None:
    chance, sweep = random.Random(0), sweeping(measure__splits=2 + ROUNDS)
    for _ in range(NUM_MOMENTS):
        revision, ended = sweep.revision(), ends(sweep)
        sweep.start()
        if chance.random() < 0.3:
            time.sleep(chance.uniform(0, 12))  # anywhere in its start, too
        else:
            more = chance.randint(1, 9)
            sweep.until(lambda least=revision + more: sweep.revision() >= least, dead=True)
            time.sleep(chance.uniform(0, 0.4))
        assert gone(sweep.kill())
        assert ended.items() <= ends(sweep).items(), "no finished trial runs again"
    ended = ends(sweep)
    sweep.start(seconds=0.0)
    assert sweep.end() == 0, sweep.text
    assert ended.items() <= ends(sweep).items()
    sweep.assert_consistent()


def test_drivers_killed_between_any_two_commits_cost_no_trial(sweeping: Make) -> None:
    """Each commit has a fail point before it and one after it; a driver begins with a few, then one a report."""
    chance, sweep = random.Random(1), sweeping()
    for _ in range(NUM_COMMITS):
        ended = ends(sweep)
        sweep.start(seconds=0.05, faults={"die_at": chance.randint(1, 30)})
        code = sweep.end()
        assert code in (-signal.SIGKILL, 0), sweep.text
        assert ended.items() <= ends(sweep).items()
        if code == 0:
            break
    sweep.start(seconds=0.0)
    assert sweep.end() == 0, sweep.text
    sweep.assert_consistent()

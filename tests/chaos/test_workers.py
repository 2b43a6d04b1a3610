"""Worker processes that are killed or hang, on this machine: a new attempt or the end of the trial, and the sweep goes on."""

import os
import signal
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from sweeps.records import ENDED, FAILED, FINISHED, LOST, RUNNING
from tests.chaos.runs import Sweeping, gone, worker_of

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(600)]
Make = Callable[..., Sweeping]


def test_a_killed_worker_s_trial_goes_on_from_its_checkpoint_in_the_same_mlflow_run(sweeping: Make) -> None:
    sweep = sweeping()
    sweep.start(seconds=0.4)

    def begun() -> int | None:
        running = {trial.id for trial in sweep.trials() if trial.state == RUNNING and 2 <= trial.last_epoch <= 3}
        return next((worker_of(one) for one in sweep.attempts() if one.trial_id in running and one.state == RUNNING), None)

    victim = sweep.until(begun)
    os.kill(victim, signal.SIGKILL)
    assert sweep.end() == 0, sweep.text
    sweep.assert_consistent()
    (lost,) = [attempt for attempt in sweep.attempts() if attempt.state == LOST]
    assert worker_of(lost) == victim
    assert lost.text
    assert lost.text.startswith("CRASHED: ")
    (trial,) = [trial for trial in sweep.trials() if trial.id == lost.trial_id]
    assert trial.state == FINISHED
    assert trial.metrics["resumed"] >= 1
    assert Counter(one.state for one in sweep.attempts() if one.trial_id == trial.id) == {LOST: 1, ENDED: 1}


def test_a_trial_that_kills_every_worker_fails_as_crashed_and_the_others_finish(sweeping: Make) -> None:
    sweep = sweeping()
    sweep.start("deadly", seconds=0.05)
    assert sweep.end() == 0, sweep.text
    sweep.assert_consistent()
    for trial in sweep.trials():
        assert (trial.state, trial.failure_class) == ((FAILED, "CRASHED") if trial.config["alpha"] == 0 else (FINISHED, None))
        if trial.state == FAILED:
            assert [one.state for one in sweep.attempts() if one.trial_id == trial.id] == [LOST, LOST], "retries: 1"
    assert sum(trial.state == FAILED for trial in sweep.trials()) >= 2


def test_a_hanging_trial_is_a_timeout_and_its_slot_and_its_children_are_free(sweeping: Make, tmp_path: Path) -> None:
    notes = tmp_path / "pids"
    sweep = sweeping(compute__no_progress_seconds=8, compute__retries=0)
    sweep.start("hanging", seconds=0.05, notes=str(notes))
    assert sweep.end() == 0, sweep.text
    sweep.assert_consistent()
    for trial in sweep.trials():
        assert (trial.state, trial.failure_class) == ((FAILED, "TIMEOUT") if trial.config["alpha"] == 0 else (FINISHED, None))
    pids = [int(word) for word in notes.read_text().split()]
    assert len(pids) >= 6
    assert gone(pids)

"""What the rebuilt sampler must say of each trial: its state, its value, its values at rungs; and of all trials, how many."""

import math
from contextlib import closing

import pytest

from sweeps.brain import Told
from sweeps.doctor.recorded import Recorded, read
from sweeps.doctor.sampler import check_sampler, difference, rebuilt
from sweeps.home import Home
from sweeps.ledger import Ledger
from sweeps.records import FAILED, FINISHED, INTERRUPTED, PENDING, PRUNED
from tests.sweeps.doctor.sound_study import NAME
from tests.sweeps.tracking.trial_reports import trial

CURVE = {1: 0.5, 2: 0.4, 3: math.nan, 5: 0.2}


@pytest.mark.parametrize(("state", "last", "told", "text"), [
    (FINISHED, 5, Told("COMPLETE", 0.2, {40: 0.4}), None),
    (FINISHED, 5, Told("COMPLETE", 0.4, {}), "value 0.4, where the ledger has 0.2"),
    (FINISHED, 5, Told("RUNNING", None, {}), "RUNNING, where a trial FINISHED must be COMPLETE"),
    (FINISHED, 5, Told("COMPLETE", 0.2, {40: 0.45}), "a value at 40 % of its epochs that the ledger has not"),
    (FINISHED, 3, Told("FAIL", None, {60: math.nan}), None),
    (FINISHED, 3, Told("COMPLETE", 0.4, {}), "COMPLETE, where a trial FINISHED must be FAIL"),
    (PRUNED, 2, Told("PRUNED", 0.4, {40: 0.4}), None),
    (PRUNED, 2, Told("COMPLETE", 0.4, {40: 0.4}), "COMPLETE, where a trial PRUNED must be PRUNED"),
    (PRUNED, 2, Told("PRUNED", None, {}), "PRUNED without a value at any rung"),
    (FAILED, 2, Told("FAIL", None, {40: 0.4}), None),
    (FAILED, 2, Told("RUNNING", None, {}), "RUNNING, where a trial FAILED must be FAIL"),
    (INTERRUPTED, 2, Told("RUNNING", None, {40: 0.4}), None),
    (PENDING, 0, Told("RUNNING", None, {}), None),
    (INTERRUPTED, 2, Told("FAIL", None, {}), "FAIL, where a trial INTERRUPTED must be RUNNING"),
])
def test_each_state_means_one_thing_to_the_sampler(state: str, last: int, told: Told, text: str | None) -> None:
    assert difference(trial(state=state, last_epoch=last), told, CURVE) == text


@pytest.fixture
def recorded(home: Home) -> Recorded:
    with closing(Ledger.open(home.ledger, read_only=True)) as ledger:
        record = ledger.study(NAME)
        assert record
        return read(ledger, record, None)


class Forgetful:
    """A sampler that knows all trials of a capacity but the last."""

    def __init__(self, brain: object) -> None:
        self._brain = brain

    def told(self, capacity: str) -> dict[int, Told]:
        told = self._brain.told(capacity)  # type: ignore[attr-defined]
        return {number: one for number, one in told.items() if number < len(told) - 1}


def test_a_trial_that_the_sampler_forgot_is_found(recorded: Recorded) -> None:
    brain, found = rebuilt(recorded)
    assert brain
    assert found == []
    assert check_sampler(recorded, brain) == []
    texts = [finding.text for finding in check_sampler(recorded, Forgetful(brain))]  # type: ignore[arg-type]
    assert texts == ["width=0.25: 7 trials, the ledger has 8", "width=0.5: 7 trials, the ledger has 8"]

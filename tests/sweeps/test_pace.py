"""How far, and how long still."""

import pytest

from sweeps.pace import Pace, Workload
from sweeps.records import FAILED, FINISHED, MEASURE, PENDING, PRUNED, RUNNING, SEARCH
from tests.sweeps.fake_trials import trial

LOADS = (Workload(capacity="width=1", num_search=4, num_measure=10, max_epochs=20),
         Workload(capacity="width=2", num_search=4, num_measure=10, max_epochs=20))


def test_nothing_is_promised_before_the_first_trial_has_ended() -> None:
    pace = Pace(LOADS)
    pace.see(trial(state=RUNNING))
    assert pace.seconds_left() is None
    assert pace.num_running == 1


def test_seeing_a_trial_twice_counts_it_once() -> None:
    pace = Pace(LOADS)
    for state in (PENDING, RUNNING, RUNNING, FINISHED, FINISHED):
        pace.see(trial(state=state, last_epoch=10))
    assert (pace.num_ended(SEARCH), pace.num_running) == (1, 0)


@pytest.mark.parametrize(("state", "failed"), [(FINISHED, 0), (PRUNED, 0), (FAILED, 1)])
def test_every_end_is_an_end(state: str, failed: int) -> None:
    pace = Pace(LOADS)
    pace.see(trial(state=state, last_epoch=10))
    assert (pace.num_ended(SEARCH), pace.num_failed) == (1, failed)


def test_time_left_is_what_is_left_at_the_rate_seen() -> None:
    pace = Pace(LOADS[:1])
    for number in range(4):
        pace.see(trial(key=f"s{number}", state=FINISHED, last_epoch=10, metrics={"cost/seconds": 20.0}))
    for number in range(9):
        pace.see(trial(key=f"m{number}", stage=MEASURE, state=FINISHED, last_epoch=10, metrics={"cost/seconds": 20.0}))
    assert pace.seconds_left() == pytest.approx(20.0)
    pace.see(trial(key="a", stage=MEASURE, state=RUNNING))
    pace.see(trial(key="b", stage=MEASURE, state=RUNNING))
    assert pace.seconds_left() == pytest.approx(10.0), "two workers halve it"


def test_more_trials_than_planned_are_not_shown_as_more_than_all() -> None:
    pace = Pace((Workload(capacity="width=1", num_search=1, num_measure=0, max_epochs=5),))
    for number in range(3):
        pace.see(trial(key=f"s{number}", state=FINISHED))
    assert pace.num_planned(SEARCH) == 3
    assert pace.seconds_left() in (0.0, None)


def test_a_race_is_expected_in_the_middle_of_its_bounds_until_it_is_known_better() -> None:
    pace = Pace((Workload(capacity="width=1", num_search=0, num_measure=10, max_epochs=20, fewest_measure=4),))
    pace.see(trial(stage=MEASURE, state=FINISHED, last_epoch=10, metrics={"cost/seconds": 20.0}))
    assert (pace.num_planned(MEASURE), pace.seconds_left()) == (10, pytest.approx(20.0 * 6))
    pace.races["width=1"] = (4, 6)
    assert (pace.num_planned(MEASURE), pace.seconds_left()) == (6, pytest.approx(20.0 * 4))
    pace.races["width=1"] = (1, 1)
    assert (pace.num_planned(MEASURE), pace.seconds_left()) == (1, 0.0)

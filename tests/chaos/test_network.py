"""A machine whose network cable is pulled, for a while and for good."""

import time
from collections.abc import Callable, Iterator

import pytest

from sweeps.records import FINISHED, LOST, RUNNING
from tests.chaos.networks import TwoPlaces, two_places, why_not
from tests.chaos.runs import Sweeping

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(900)]
Make = Callable[..., Sweeping]
CUT_SECONDS = 15.0


@pytest.fixture(scope="module")
def places(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TwoPlaces]:
    if reason := why_not():
        pytest.skip(reason)
    with two_places() as cable:
        made = TwoPlaces(cable, tmp_path_factory.mktemp("machines"))
        yield made
        made.close()


def begin(sweep: Sweeping, places: TwoPlaces) -> None:
    """The driver runs here; both machines are at work."""
    sweep.prefix, sweep.options["address"] = places.prefix, places.address
    sweep.start(seconds=0.5)
    sweep.until(lambda: len({one.node for one in sweep.attempts() if one.state == RUNNING}) == 2)


def finish(sweep: Sweeping) -> None:
    assert sweep.end() == 0, sweep.text
    sweep.assert_consistent()
    assert {trial.state for trial in sweep.trials()} == {FINISHED}


def test_a_cable_pulled_for_fifteen_seconds_costs_no_retry_and_no_result(sweeping: Make, places: TwoPlaces) -> None:
    sweep = sweeping(compute__retries=0)
    begin(sweep, places)
    places.cable.cut()
    time.sleep(CUT_SECONDS)
    places.cable.mend()
    finish(sweep)
    lost = [one.text or "" for one in sweep.attempts() if one.state == LOST]
    assert len(lost) <= 1, "the answer that was on its way may be thrown away"
    assert all(text.startswith("LOST: ") for text in lost)


def test_a_machine_cut_off_for_good_loses_its_trial_to_the_other_and_its_late_reports_change_nothing(
        sweeping: Make, places: TwoPlaces) -> None:
    sweep = sweeping(compute__retries=0, measure__splits=6)
    begin(sweep, places)
    places.cable.cut()
    (lost,) = sweep.until(lambda: [one for one in sweep.attempts() if one.state == LOST], seconds=180)
    places.cable.mend()
    assert lost.text
    assert lost.text.startswith("LOST: ")
    finish(sweep)
    mine = [one for one in sweep.attempts() if one.trial_id == lost.trial_id]
    assert [one.state for one in mine] == [LOST, "ENDED"]
    assert mine[0].node != mine[1].node

"""Machines of a real Ray cluster that lose their power: the trials go on elsewhere, and it is nobody's fault."""

import re
from collections.abc import Callable

import pytest

from sweeps.records import FINISHED, LOST, RUNNING
from tests.chaos.machines import Machines
from tests.chaos.runs import Sweeping, gone

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(900)]
Make = Callable[..., Sweeping]


def nodes_at_work(sweep: Sweeping) -> set[str]:
    """The machines on which a trial has reported since it was last begun."""
    return {attempt.node for attempt in sweep.attempts() if attempt.state == RUNNING}


def lost(sweep: Sweeping) -> list[str]:
    return [attempt.text or "" for attempt in sweep.attempts() if attempt.state == LOST]


def test_two_of_three_machines_die_and_their_trials_go_on_without_blame(sweeping: Make, machines: Machines) -> None:
    sweep = sweeping(compute__retries=0, measure__splits=4)
    sweep.options["address"] = machines.address
    sweep.start(seconds=0.5)
    busy = sweep.until(lambda: nodes_at_work(sweep) if len(nodes_at_work(sweep)) >= 2 else None)
    for node in sorted(busy)[:2]:
        machines.kill(node=node)
    assert sweep.end() == 0, sweep.text
    sweep.assert_consistent()
    assert {trial.state for trial in sweep.trials()} == {FINISHED}
    assert 1 <= len(lost(sweep)) <= 2, "a trial may just have ended when its machine died"
    assert all(text.startswith("LOST: ") for text in lost(sweep))
    assert any(trial.metrics["resumed"] >= 1 for trial in sweep.trials())


def test_without_any_machine_the_sweep_waits_says_so_and_goes_on_when_one_returns(sweeping: Make, machines: Machines) -> None:
    machines.fill(3)
    sweep = sweeping(compute__retries=0, measure__splits=4)
    sweep.options["address"] = machines.address
    sweep.start(seconds=0.5)
    sweep.until(lambda: nodes_at_work(sweep))
    for _ in range(3):
        machines.kill()
    sweep.until(lambda: "no machine with room for a trial is left: waiting" in sweep.text)
    before = sweep.revision()
    waited = sweep.until(lambda: len(lost(sweep)))
    assert waited <= 3
    machines.add()
    sweep.until(lambda: "a machine with room for a trial is there again" in sweep.text)
    assert sweep.end() == 0, sweep.text
    assert sweep.revision() > before
    sweep.assert_consistent()
    assert {trial.state for trial in sweep.trials()} == {FINISHED}
    assert all(text.startswith("LOST: ") for text in lost(sweep))


def test_where_no_machine_returns_in_time_the_run_ends_with_4_and_goes_on_later(sweeping: Make, machines: Machines) -> None:
    machines.fill(1)
    sweep = sweeping(compute__retries=0, compute__no_machine_seconds=4)
    sweep.options["address"] = machines.address
    sweep.start(seconds=0.3)
    sweep.until(lambda: nodes_at_work(sweep))
    machines.kill()
    assert sweep.end(120) == 4, sweep.text
    assert "no machine has had room for a trial for 4 s (compute.no_machine_seconds)" in sweep.text
    assert RUNNING not in {trial.state for trial in sweep.trials()}
    machines.fill(1)
    sweep.start(seconds=0.0)
    assert sweep.end() == 0, sweep.text
    sweep.assert_consistent()


def test_the_head_dies_and_the_run_ends_with_4_and_goes_on_elsewhere(sweeping: Make) -> None:
    first = Machines(1)
    try:
        sweep = sweeping(compute__retries=0)
        sweep.options["address"] = first.address
        sweep.start(seconds=0.5, faults={"head_seconds": 4})
        sweep.until(lambda: nodes_at_work(sweep))
        family = sweep.family()
        first.kill_head()
        assert sweep.end(120) == 4, sweep.text
        assert gone(family)
        assert re.search(r"error: the head of the Ray cluster has not answered for 4 s", sweep.text)
        assert "Traceback" not in sweep.text
    finally:
        first.close()
    second = Machines(1)
    try:
        sweep.options["address"] = second.address
        sweep.start(seconds=0.0)
        assert sweep.end() == 0, sweep.text
        sweep.assert_consistent()
        assert {trial.state for trial in sweep.trials()} == {FINISHED}
    finally:
        second.close()

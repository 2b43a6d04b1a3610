"""The key `measure.until`: what it comes to, and that a wrong one is refused at its line."""

import pytest

from sweeps.plan import plan
from sweeps.plan_cost import fewest_trials, num_trials
from sweeps.records import MEASURE, SEARCH
from sweeps.run import workloads
from sweeps.study import Study, load_study
from sweeps.study.until import Until
from trainable.errors import StudyError


def study(*sets: str) -> Study:
    return load_study("digits", sets)


def test_no_race_is_the_default() -> None:
    assert study().measure.until is None
    assert study().to_dict()["measure"]["until"] is None


def test_what_is_given_is_kept_and_survives_the_ledger() -> None:
    asked = study("measure.until={width: 0.1, max_trials: 40}")
    assert asked.measure.until == Until(width=0.1, max_trials=40)
    assert asked.to_dict()["measure"]["until"] == {"first": 3, "width": 0.1, "max_trials": 40}
    assert Study.from_dict(asked.to_dict()) == asked
    assert study("measure.until.difference=1", "measure.until.first=5").measure.until == Until(first=5, difference=1.0)


def test_a_study_that_has_begun_may_race_and_stop_racing() -> None:
    assert study("measure.until.width=0.1").identity() == study().identity()


@pytest.mark.parametrize(("sets", "line"), [
    (["measure.until.widht=0.1"], "measure.until.widht = 0.1: is no key; did you mean width?"),
    (["measure.until.sgaw=0.1"], "is no key; they are first, width, difference, verdict, max_trials"),
    (["measure.until.width=-0.1"], "measure.until.width = -0.1: must be a number in (0, 0.5]"),
    (["measure.until.width=0"], "must be a number in (0, 0.5]"),
    (["measure.until.width=0.51"], "must be a number in (0, 0.5]"),
    (["measure.until.width=true"], "must be a number in (0, 0.5]"),
    (["measure.until.difference=0"], "must be a number in (0, 100]"),
    (["measure.until.difference=.nan"], "must be a number in (0, 100]"),
    (["measure.until.verdict=0.5"], "must be a probability in (0.5, 1]"),
    (["measure.until={first: 1, width: 0.1}"], "must be a whole number of splits in [2, 8]"),
    (["measure.until={first: 9, width: 0.1}"], "must be a whole number of splits in [2, 8]"),
    (["measure.until.max_trials=20"], "must be a whole number, at least 21: all on the first splits"),
    (["measure.until={first: 2, max_trials: 27}", "measure.seeds=2"], "at least 28"),
    (["measure.until={first: 4}"], "must give width, difference, verdict or max_trials: when to stop"),
    (["measure.until={}"], "must give width, difference, verdict or max_trials: when to stop"),
    (["measure.until=0.1"], "must be a mapping of first, width, difference, verdict and max_trials, or null"),
    (["measure.until.width=0.1", "measure.alphas=[0]", "measure.arms={d: {dropout: 0.5}}"], "needs a ladder of two alphas")])
def test_bad_input_is_refused(sets: list[str], line: str) -> None:
    with pytest.raises(StudyError) as caught:
        study(*sets)
    assert line in str(caught.value)
    assert f"--set {sets[0]}" in str(caught.value)


def test_limits_are_allowed() -> None:
    study("measure.until={first: 8, width: 0.5, difference: 100, verdict: 1, max_trials: 56}")
    study("measure.until={first: 2, max_trials: 14}")


def test_a_plan_says_the_fewest_and_the_most_trials() -> None:
    raced = study("measure.until.width=0.1")
    assert (fewest_trials(raced, MEASURE), num_trials(raced, MEASURE)) == (21, 56)
    assert fewest_trials(raced, SEARCH) == num_trials(raced, SEARCH)
    title, rows = list(plan(raced).tables().items())[-1]
    assert "at most: a race may end sooner" in title
    assert [row["trials"] for row in rows] == ["16"] * 3 + ["21 to 56"] * 3 + ["111 to 216"]
    capped = study("measure.until={max_trials: 28}", "measure.at={weight_decay: 0, dropout: 0, epochs: 10}")
    assert [(part.num_trials, part.trial_epochs) for part in plan(capped).stages[3:]] == [(28, 280.0)] * 3


def test_the_time_left_counts_on_the_middle_of_what_a_race_may_come_to() -> None:
    assert {(load.fewest_measure, load.num_measure) for load in workloads(study("measure.until.width=0.1"))} == {(21, 56)}
    assert {load.fewest_measure for load in workloads(study())} == {None}

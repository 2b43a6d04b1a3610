"""The answer of a raced study: the race found in the records, and what is said beside it."""

import runpy
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from sweeps.analysis.assemble import analyse
from sweeps.analysis.comparison import contenders
from sweeps.analysis.ladder import build_ladder
from sweeps.analysis.race_answer import find_race, on_race, raced_spot
from sweeps.records import FAILED, RUNNING, TrialRecord
from sweeps.study.until import Until

MADE = SimpleNamespace(**runpy.run_path(str(Path(__file__).with_name("trial_records.py"))))
RISK = {0.0: 0.2, 0.1: 0.15, 1.0: 0.02, 10.0: 0.15}
WIDE = "width=1"


def trial(number: int, alpha: float, split: int, **changes: Any) -> TrialRecord:
    error = RISK[alpha] + 0.01 * split + 1e-3 * ((7 * number) % 5)
    return replace(MADE.rung(number, WIDE, alpha, split), metrics={"val/error": error, "val/loss": 2 - error}, **changes)


def whole(**changes: Any) -> list[TrialRecord]:
    return [trial(number, alpha, split, **changes) for number, (alpha, split) in enumerate(
        [(alpha, split) for alpha in MADE.ALPHAS for split in range(1, 5)], start=1)]


def study(**until: Any) -> Any:
    measure = MADE.Measure(until=Until(**until) if until else None)
    return MADE.Study(capacities=(MADE.Capacity(WIDE),), measure=measure)


def race_of(trials: list[TrialRecord], **until: Any) -> Any:
    asked = study(**until)
    ladder = build_ladder(WIDE, trials, asked.measure)
    return find_race(ladder, contenders(ladder, trials, asked), trials, {}, asked)


def test_a_study_without_a_race_has_none_and_neither_has_one_that_has_not_begun() -> None:
    assert race_of(whole()) is None
    assert race_of([], width=0.3) is None
    assert "raced" not in " ".join(analyse(study(), whole(), {}, (), lambda _: None, None).notes)


def test_what_was_run_beyond_the_race_changes_nothing() -> None:
    raced = race_of(whole(), width=0.3)
    part = [one for one in whole() if one.split <= 3]
    assert raced.asked == {"alpha 0": 3, "alpha 0.1": 3, "alpha 1": 3, "alpha 10": 3}
    answers = [raced_spot(each.race, each.results, each.field) for each in (raced, race_of(part, width=0.3))]
    assert answers[0] == answers[1]
    assert (answers[0].alpha, answers[0].alphas_in_set, answers[0].num_splits, answers[0].verdict) == (1.0, (1.0,), 3, "bracketed")
    assert "its stop rule was met" in answers[0].advice


def test_the_level_of_the_gain_is_paid_for_every_look() -> None:
    spots = [analyse(study(**until), whole(), {}, (), lambda _: None, None).capacities[0].sweet_error
             for until in ({}, {"first": 4, "width": 0.01}, {"first": 3, "difference": 1e-9})]
    widths = [spot.gain_over_erm.high - spot.gain_over_erm.low for spot in spots]
    assert widths[0] == pytest.approx(widths[1]), "one look is the full factorial"
    assert widths[2] > widths[0], "two looks share the error"
    assert [spot.num_splits for spot in spots] == [4, 4, 4]


def test_a_trial_that_still_runs_is_waited_for_and_one_that_failed_is_not() -> None:
    trials = whole()
    trials[5] = replace(trials[5], state=RUNNING)
    assert race_of(trials, width=0.3).race.num_splits == 0
    found = analyse(study(width=0.3), trials, {}, (), lambda _: None, None).capacities[0].sweet_error
    assert found.verdict == "not enough data"
    trials[5] = replace(trials[5], state=FAILED, failure_class="DIVERGED", metrics={})
    assert race_of(trials, width=0.3).race.num_splits >= 3
    other = replace(trials[5], setting={"alpha": 0.1, "dropout": 0.4})
    assert race_of([*trials[:5], other, *trials[6:]], width=0.3).race.num_splits == 0, "it failed at another setting"


def test_only_what_the_race_asked_for_is_missing() -> None:
    trials = [one for one in whole() if one.split <= 3 or one.config["alpha"] == 1.0]
    results = analyse(study(difference=1e-9), trials, {}, (), lambda _: None, None)
    points = {point.alpha: point.missing for point in results.capacities[0].points}
    assert points == {0.0: 1, 0.1: 0, 1.0: 0, 10.0: 0}
    assert "12 of" not in " ".join(results.notes)
    assert "13 of 14 planned trials" in " ".join(results.notes)


def test_what_was_foreseen_is_told_with_its_probability() -> None:
    raced = race_of(whole(), verdict=0.9, first=3)
    spot = raced_spot(raced.race, raced.results, raced.field)
    assert (spot.num_splits, spot.verdict, spot.alpha) == (3, "bracketed", 1.0)
    assert spot.advice.endswith("Foreseen for the set of all 4 splits: alpha 0 out of it (probability 1.00) and alpha 10 out of "
                                "it (probability 1.00).")
    assert "Foreseen" not in raced_spot(race_of(whole(), verdict=0.9, first=4).race, raced.results, raced.field).advice
    assert "Foreseen" not in raced_spot(race_of(whole(), width=0.3).race, raced.results, raced.field).advice


def test_what_paused_is_not_called_decided() -> None:
    raced = race_of(whole(), verdict=0.9, first=3)
    race = replace(raced.race, asked_A=(3, 2, 3, 2), ladder_A=np.array([False, True, True, False]))
    [note] = on_race(WIDE, replace(raced, race=race))
    assert "paused, since the verdict does not hang on them, were alpha 0.1 after 2" in note
    assert "decided sooner were alpha 10 after 2" in note
    assert "the verdict is that of one test on all splits" in note
    assert "a level that holds over all looks" in on_race(WIDE, race_of(whole(), width=0.3))[0]

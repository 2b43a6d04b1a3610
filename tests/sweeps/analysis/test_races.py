"""Races: who goes on, who is decided for good, when it ends, and that peeking costs no coverage."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from sweeps.analysis.races import BUDGET, MET, SPLITS, Field, Race, Result, looks, run_race

ALPHAS = (0.0, 0.1, 0.3, 1.0, 3.0, 10.0, 32.0)
BOWL_A = np.array([0.20, 0.16, 0.10, 0.02, 0.10, 0.16, 0.20])


def rule(**changes: Any) -> Any:
    return SimpleNamespace(**{"first": 3, "width": None, "difference": None, "verdict": None, "max_trials": None, **changes})


def field(**changes: Any) -> Field:
    return Field(**{"alphas": ALPHAS, "arms": (), "splits": 8, "per_split": 1, "overlap": 0.0, **changes})


def table(mean_A: np.ndarray, noise: float, seed: int = 0, splits: int = 8) -> np.ndarray:
    stream = np.random.default_rng(seed)
    return mean_A + 0.03 * stream.standard_normal((splits, 1)) + noise * stream.standard_normal((splits, len(mean_A)))


def results(risk_SA: np.ndarray) -> list[Result]:
    return [(arm, split, 0, float(risk)) for (row, arm), risk in np.ndenumerate(risk_SA) for split in [row + 1]]


def asked(found: list[Result], race: Race) -> list[Result]:
    return [one for one in found if one[1] <= race.asked_A[one[0]]]


def run_stepwise(found: list[Result], track: Field, asking: Any) -> list[Race]:
    """The race as a sweep meets it: nothing but what was asked for has ended; after each round it is asked anew."""
    races = [run_race([], track, asking)]
    while not races[-1].over:
        races.append(run_race(asked(found, races[-1]), track, asking))
    return races


@pytest.mark.parametrize(("first", "splits", "plan"), [
    (3, 8, (3, 5, 8)), (3, 3, (3,)), (3, 4, (3, 4)), (2, 8, (2, 3, 5, 8)), (4, 2, (2,)), (3, 20, (3, 5, 8, 12, 18, 20))])
def test_looks_are_taken_after_half_as_many_splits_again(first: int, splits: int, plan: tuple[int, ...]) -> None:
    assert looks(first, splits) == plan


@pytest.mark.parametrize(("first", "error"), [(3, 0.05 / 3), (5, 0.05 / 2), (8, 0.05)])
def test_the_error_is_shared_among_the_looks(first: int, error: float) -> None:
    assert run_race([], field(), rule(first=first, width=0.1)).error == pytest.approx(error)
    assert run_race([], field(splits=first), rule(first=first, width=0.1)).error == pytest.approx(0.05)


def test_all_run_on_the_first_splits_before_anything_is_decided() -> None:
    found = results(table(BOWL_A, 1e-3))
    race = run_race([], field(), rule(width=0.1))
    assert (race.asked_A, race.num_splits, race.over) == ((3,) * 7, 0, False)
    for missing in asked(found, race):
        waiting = run_race([one for one in asked(found, race) if one != missing], field(), rule(width=0.1))
        assert (waiting.asked_A, waiting.num_splits) == ((3,) * 7, 0)


def test_a_decided_rung_gets_no_more_splits_and_plain_training_always_does() -> None:
    mean_A = np.array([0.2, 0.2, 0.02, 0.021, 0.2, 0.2, 0.2])
    races = run_stepwise(results(table(mean_A, 3e-3)), field(), rule(difference=1e-6))
    assert races[-1].asked_A == (8, 3, 8, 8, 3, 3, 3)
    assert races[-1].ladder_A.tolist() == [False, False, True, True, False, False, False]


def test_a_race_whose_rule_is_never_met_and_decides_nothing_is_the_full_factorial() -> None:
    race = run_stepwise(results(table(np.full(7, 0.1), 0.02)), field(), rule(width=1e-3))[-1]
    assert (race.asked_A, race.num_splits, race.reason) == ((8,) * 7, 8, SPLITS)


@pytest.mark.parametrize("asking", [rule(width=0.3), rule(difference=0.05), rule(width=0.3, verdict=0.9)])
def test_a_clear_answer_ends_at_the_first_look(asking: Any) -> None:
    race = run_stepwise(results(table(BOWL_A, 1e-3)), field(), asking)[-1]
    assert (race.num_splits, race.reason, race.asked_A) == (3, MET, (3,) * 7)


@pytest.mark.parametrize(("mean_A", "splits"), [(BOWL_A, 4), (np.full(7, 0.1), 3)])
def test_an_exclusion_takes_half_of_the_splits_and_a_stay_does_not(mean_A: np.ndarray, splits: int) -> None:
    noise = 1e-3 if splits == 4 else 0.02
    races = [run_stepwise(results(table(mean_A, noise, seed)), field(), rule(verdict=0.8))[-1] for seed in range(6)]
    assert min(race.num_splits for race in races) == splits


def test_everything_that_is_given_must_hold() -> None:
    found = results(table(BOWL_A, 0.004))
    easy, hard, both = (run_race(found, field(), rule(**asking)).num_splits
                        for asking in ({"width": 0.45}, {"difference": 0.008}, {"width": 0.45, "difference": 0.008}))
    assert easy < hard == both


def test_without_a_target_the_race_goes_on_until_one_rung_is_left() -> None:
    race = run_stepwise(results(table(BOWL_A, 1e-3)), field(), rule(max_trials=10**6))[-1]
    assert (race.reason, int(race.ladder_A.sum()), race.num_splits) == (MET, 1, 3)


@pytest.mark.parametrize(("most", "splits"), [(21, 3), (27, 3), (28, 4), (34, 4), (35, 5), (56, 8), (1000, 8)])
def test_the_budget_of_trials_is_never_exceeded(most: int, splits: int) -> None:
    race = run_stepwise(results(table(np.full(7, 0.1), 0.02)), field(), rule(width=1e-3, max_trials=most))[-1]
    assert race.num_splits == splits
    assert sum(race.asked_A) <= most
    assert race.over
    assert race.reason == (SPLITS if splits == 8 else BUDGET)


def test_what_a_race_decided_does_not_change_with_what_else_is_there() -> None:
    """A sweep sees the trials it asked for in rounds, an analysis may see a whole table: the race is one."""
    for seed in range(20):
        found = results(table(BOWL_A, 0.03, seed))
        stepwise = run_stepwise(found, field(overlap=0.25), rule(verdict=0.9))[-1]
        at_once = run_race(found[::-1], field(overlap=0.25), rule(verdict=0.9))
        assert (stepwise.asked_A, stepwise.reason) == (at_once.asked_A, at_once.reason)
        assert stepwise.ladder_A.tolist() == at_once.ladder_A.tolist()


def test_a_failed_trial_has_ended_and_decides_nothing() -> None:
    found = [one if (one[0], one[1]) != (6, 2) else (6, 2, 0, None) for one in results(table(BOWL_A, 1e-3))]
    race = run_stepwise(found, field(), rule(difference=1e-9))[-1]
    assert race.ladder_A[6], "it lacks a split that the others have, so it is beaten by nobody"
    assert race.asked_A[6] == 8


def test_seeds_and_redraws_are_averaged_before_splits_are_compared() -> None:
    risk_SA = table(BOWL_A, 1e-3)
    twice = [(arm, split, seed, risk + off) for arm, split, _, risk in results(risk_SA) for seed, off in ((0, 0.5), (1, -0.5))]
    once = run_race(results(risk_SA), field(), rule(width=0.3))
    both = run_race(twice, field(per_split=2), rule(width=0.3))
    assert both.ladder_A.tolist() == once.ladder_A.tolist()
    assert run_race(twice[:-1], field(per_split=2, splits=3), rule(width=0.3)).over


def test_a_named_arm_is_judged_against_everything_and_decides_no_rung() -> None:
    better = np.concatenate([BOWL_A, [0.001, 0.2]])
    race = run_stepwise(results(table(better, 1e-3)), field(arms=(7, 8)), rule(difference=1e-9))[-1]
    assert race.asked_A == (8, 3, 3, 8, 3, 3, 3, 8, 3)
    assert race.best_A.tolist() == [False] * 7 + [True, False]
    assert race.ladder_A.tolist() == [False, False, False, True, False, False, False]


def test_an_arm_of_the_very_same_results_shares_its_fate() -> None:
    risk_SA = table(BOWL_A, 1e-3)
    race = run_race(results(np.column_stack([risk_SA, risk_SA[:, 0]])), field(arms=(7,)), rule(difference=1e-9))
    assert not race.best_A[0]
    assert not race.best_A[7]
    assert race.asked_A[7] == 3


def test_a_race_for_the_verdict_looks_at_every_split_and_lets_rungs_pause() -> None:
    """Plain training is not foreseen yet, so it goes on with the two best; what pauses was not judged and stays in the set."""
    mean_A = np.array([0.115, 0.112, 0.101, 0.1, 0.104, 0.108, 0.13])
    for seed in (0, 2, 3, 4, 5):
        races = run_stepwise(results(table(mean_A, 0.005, seed)), field(), rule(first=2, verdict=0.9))
        race = races[-1]
        assert [each.num_splits for each in races[1:]] == list(range(2, race.num_splits + 1))
        assert race.reason == MET
        assert race.asked_A[0] == race.num_splits > 3
        assert sorted(race.asked_A)[:2] == [2, 2]
        assert all(race.ladder_A[rung] for rung in range(1, 6) if race.asked_A[rung] == 2)
        assert [end.holds for end in race.ends if end] == [bool(race.ladder_A[0]), bool(race.ladder_A[-1])]


def test_an_end_that_is_the_best_goes_on_however_sure_it_is_to_stay() -> None:
    found = results(table(np.linspace(0.13, 0.1, 7), 2e-3))
    races = run_stepwise(found, field(splits=4), rule(first=2, verdict=0.999999))
    assert all(race.goes_A[-1] for race in races)


def test_what_was_foreseen_stays() -> None:
    noisy = table(np.full(7, 0.1), 0.02, 4)
    before: list[Any] = [None, None]
    for race in run_stepwise(results(noisy), field(), rule(first=2, verdict=0.9)):
        assert all(old is None or old == new for old, new in zip(before, race.ends, strict=True))
        before = list(race.ends)
    assert None not in before


def test_beside_another_target_the_verdict_is_foreseen_at_the_level_of_a_look_and_nobody_pauses() -> None:
    race = run_stepwise(results(table(BOWL_A, 0.02)), field(), rule(verdict=0.9, width=0.45))[-1]
    assert all(end.holds or not race.ladder_A[rung] for end, rung in zip(race.ends, (0, 6), strict=True) if end)
    assert all(count == race.num_splits for count, tied in zip(race.asked_A, race.ladder_A, strict=True) if tied)


def test_a_race_for_the_verdict_waits_for_no_trial_that_failed() -> None:
    found = [one if (one[0], one[1]) != (0, 2) else (0, 2, 0, None) for one in results(table(BOWL_A, 1e-3))]
    race = run_stepwise(found, field(), rule(first=3, verdict=0.9))[-1]
    assert race.over
    assert None not in race.ends


TRUTHS = {"flat": np.full(7, 0.1), "bowl": 0.1 + 0.1 * (np.linspace(0, 1, 7) - 0.5) ** 2, "falling": np.linspace(0.13, 0.1, 7),
          "one ahead": np.array([0.1, 0.1, 0.1, 0.085, 0.1, 0.1, 0.1])}


@pytest.mark.parametrize("truth", TRUTHS)
def test_the_best_rung_is_hardly_ever_decided_against_however_often_it_is_looked(truth: str) -> None:
    """160 races of up to 3 looks each; 5 % is promised, and the binomial band (99 %) of 160 draws at 5 % ends at 9.4 %."""
    best, lost = int(TRUTHS[truth].argmin()), 0
    for seed in range(160):
        race = run_race(results(table(TRUTHS[truth], 0.02, seed, splits=6)), field(splits=6, arms=()), rule(first=2, width=1e-6))
        lost += not race.ladder_A[best]
    assert lost / 160 <= 0.094


@pytest.mark.parametrize("truth", ["flat", "falling"])
def test_a_race_for_the_verdict_hardly_ever_excludes_an_end_that_is_best(truth: str) -> None:
    """160 races; the worst end under 9.4 %, as above. `python -m benchmarks race_errors` has all shapes and kinds of noise."""
    ends = [rung for rung in (0, 6) if TRUTHS[truth][rung] == TRUTHS[truth].min()]
    lost = np.zeros(len(ends))
    for seed in range(160):
        race = run_race(results(table(TRUTHS[truth], 0.02, seed)), field(), rule(first=2, verdict=0.9))
        lost += ~race.ladder_A[ends]
    assert lost.max() / 160 <= 0.094

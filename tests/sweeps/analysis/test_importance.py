"""The bootstrap of importance around an evaluator that is handed in."""

import math
from typing import Any

import numpy as np
import pytest

from sweeps.analysis.importance import importance, with_importance
from sweeps.analysis.results import Conjecture, SearchTrial, StudyResults

STREAM = np.random.default_rng(0)
SETTINGS = [{"alpha": float(a), "dropout": float(d)} for a, d in STREAM.random((30, 2))]
VALUES = [setting["alpha"] + 0.1 * setting["dropout"] for setting in SETTINGS]


def by_correlation(settings: list[dict[str, Any]], values: list[float]) -> dict[str, float]:
    share = {axis: float(np.corrcoef([setting[axis] for setting in settings], values)[0, 1]) ** 2
             for axis in settings[0]}
    return {axis: value / sum(share.values()) for axis, value in share.items()}


def test_the_axis_that_matters_has_the_share_and_an_interval_around_it() -> None:
    found = importance(SETTINGS, VALUES, by_correlation)
    assert found["alpha"].value == by_correlation(SETTINGS, VALUES)["alpha"]
    assert 0.5 < found["alpha"].low <= found["alpha"].value <= found["alpha"].high <= 1
    assert found["dropout"].high < 0.5


def test_a_rough_evaluator_is_asked_for_the_resamples_alone() -> None:
    calls: list[int] = []

    def rough(settings: list[dict[str, Any]], values: list[float]) -> dict[str, float]:
        calls.append(len(values))
        return by_correlation(settings, values)

    plain, roughly = (importance(SETTINGS, VALUES, by_correlation, rough=each, num_draws=7) for each in (None, rough))
    assert plain == roughly
    assert len(calls) == 7


def test_equal_seeds_agree_and_different_seeds_differ() -> None:
    one, same, other = (importance(SETTINGS, VALUES, by_correlation, seed=seed) for seed in (0, 0, 1))
    assert one == same
    assert one["alpha"].low != other["alpha"].low


@pytest.mark.parametrize(("count", "known"), [(7, False), (8, True)])
def test_few_trials_are_not_enough(count: int, known: bool) -> None:
    assert bool(importance(SETTINGS[:count], VALUES[:count], by_correlation)) == known


def test_trials_without_a_finite_value_do_not_count() -> None:
    values = [math.nan] * 23 + VALUES[23:]
    assert importance(SETTINGS, values, by_correlation) == {}


def test_constant_values_and_a_failing_evaluator_give_nothing() -> None:
    def fails(settings: list[dict[str, Any]], values: list[float]) -> dict[str, float]:
        raise ValueError("cannot tell")

    assert importance(SETTINGS, [0.1] * 30, by_correlation) == {}
    assert importance(SETTINGS, VALUES, fails) == {}
    assert importance([], [], by_correlation) == {}


def test_an_evaluator_that_fails_on_most_resamples_leaves_the_interval_out() -> None:
    def sometimes(settings: list[dict[str, Any]], values: list[float]) -> dict[str, float]:
        calls.append(len(values))
        if len(calls) % 3 != 1:
            raise RuntimeError("cannot tell")
        return by_correlation(settings, values)

    calls: list[int] = []
    found = importance(SETTINGS, VALUES, sometimes)
    assert found["alpha"].value > 0.5
    assert (found["alpha"].low, found["alpha"].high) == (None, None)


def test_only_finished_search_trials_of_a_capacity_enter() -> None:
    search = tuple(SearchTrial(number=place, capacity="big" if place < 20 else "small", setting=setting, value=value,
                               state="FINISHED" if place % 20 < 10 else "PRUNED", ended_at=None, origin="sampler")
                   for place, (setting, value) in enumerate(zip(SETTINGS, VALUES, strict=True)))
    search += (SearchTrial(number=30, capacity="empty", setting={"alpha": 1.0}, value=None, state="FAILED",
                           ended_at=None, origin="sampler"),)
    seen: list[int] = []

    def records(settings: list[dict[str, Any]], values: list[float]) -> dict[str, float]:
        seen.append(len(values))
        return by_correlation(settings, values)

    conjecture = Conjecture(interaction=None, verdict="undecided", text="")
    empty = StudyResults(study="s", objective="val/error", capacities=(), search=search, importance={}, timeline=(),
                         conjecture=conjecture, counts={}, provenance={})
    found = with_importance(empty, records, num_draws=5)
    assert list(found.importance) == ["big", "small"]
    assert set(seen) == {10}
    assert empty.importance == {}

"""Interactions of alpha with the other axes, from search trials."""

import math

import numpy as np
import pytest

from sweeps.analysis.interactions import interactions

STREAM = np.random.default_rng(0)
SETTINGS = [{"alpha": float(a), "dropout": float(d), "lr": float(r)} for a, d, r in STREAM.random((60, 3))]
SCALES = dict.fromkeys(("alpha", "dropout", "lr"), float)
VALUES = [0.1 + 0.05 * s["alpha"] - 0.02 * s["lr"] + 0.4 * (s["alpha"] - 0.5) * (s["dropout"] - 0.5)
          + 0.004 * float(STREAM.standard_normal()) for s in SETTINGS]


def test_a_planted_interaction_is_found_and_the_axis_that_only_adds_has_none() -> None:
    found = interactions(SETTINGS, VALUES, SCALES)
    assert list(found) == ["dropout", "lr"]
    assert found["dropout"].low < 0.1 < found["dropout"].high  # .4 x half an axis x half an axis
    assert found["dropout"].value == pytest.approx(0.1, abs=0.01)
    assert found["lr"].low < 0 < found["lr"].high


def test_equal_seeds_agree_and_different_seeds_differ() -> None:
    one, same, other = (interactions(SETTINGS, VALUES, SCALES, seed=seed) for seed in (0, 0, 1))
    assert one == same
    assert one["lr"].low != other["lr"].low


@pytest.mark.parametrize(("count", "known"), [(9, False), (10, True)])
def test_fewer_trials_than_twice_the_unknowns_give_no_answer(count: int, known: bool) -> None:
    assert bool(interactions(SETTINGS[:count], VALUES[:count], SCALES)) == known


def test_trials_without_a_value_or_without_an_axis_do_not_count() -> None:
    values = [math.nan] * 30 + VALUES[30:]
    assert interactions(SETTINGS, values, SCALES) == interactions(SETTINGS[30:], VALUES[30:], SCALES)
    lacking = [{"alpha": 0.5, "lr": 0.5}] * 5
    assert interactions([*SETTINGS, *lacking], [*VALUES, *[0.1] * 5], SCALES) == interactions(SETTINGS, VALUES, SCALES)


def test_an_axis_that_never_moved_has_no_interaction_and_without_alpha_there_is_nothing() -> None:
    still = [{**setting, "lr": 0.3} for setting in SETTINGS]
    assert list(interactions(still, VALUES, SCALES)) == ["dropout"]
    assert interactions([{**setting, "alpha": 0.0} for setting in SETTINGS], VALUES, SCALES) == {}
    assert interactions(SETTINGS, VALUES, {"dropout": float, "lr": float}) == {}
    assert interactions([], [], SCALES) == {}

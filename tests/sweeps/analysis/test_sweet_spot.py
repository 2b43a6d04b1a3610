"""Verdict, set, hull, gain and advice of a ladder.

Axes: S splits, A rungs.
"""

import math

import numpy as np
import pytest

from sweeps.analysis.arms import compare
from sweeps.analysis.sweet_spot import confidence_set, critical, sweet_spot
from trainable.moments import epsilon

ALPHAS = (0.0, 0.1, 0.3, 1.0, 3.0)
nan = math.nan


def risks(curve: list[float], num_splits: int = 4, noise: float = 0.001, seed: int = 0) -> np.ndarray:
    stream = np.random.default_rng(seed)
    return (np.array(curve) + 0.02 * stream.standard_normal((num_splits, 1))
            + noise * stream.standard_normal((num_splits, len(curve))))


@pytest.mark.parametrize(("curve", "verdict", "alphas"), [
    ([0.10, 0.08, 0.05, 0.08, 0.10], "bracketed", (0.3,)),
    ([0.10, 0.08, 0.05, 0.05, 0.10], "bracketed", (0.3, 1.0)),
    ([0.10, 0.09, 0.08, 0.07, 0.05], "edge", (3.0,)),
    ([0.05, 0.07, 0.08, 0.09, 0.10], "edge", (0.0,)),
    ([0.10, 0.10, 0.10, 0.10, 0.10], "flat", ALPHAS),
    ([0.10, 0.15, 0.15, 0.15, 0.10], "flat", (0.0, 3.0)),
])
def test_the_verdict_follows_from_the_ends_of_the_ladder(
    curve: list[float], verdict: str, alphas: tuple[float, ...],
) -> None:
    found = sweet_spot(risks(curve), ALPHAS)
    assert found.verdict == verdict
    assert found.alphas_in_set == alphas
    assert found.alpha in alphas
    assert found.num_splits == 4


def test_the_hull_reaches_halfway_in_epsilon_to_the_neighbours_and_not_past_the_ladder() -> None:
    found = sweet_spot(risks([0.10, 0.08, 0.05, 0.08, 0.10]), ALPHAS)
    assert epsilon(found.low) == pytest.approx((epsilon(0.1) + epsilon(0.3)) / 2)
    assert epsilon(found.high) == pytest.approx((epsilon(0.3) + epsilon(1.0)) / 2)
    found = sweet_spot(risks([0.10, 0.10, 0.10, 0.10, 0.10]), ALPHAS)
    assert (found.low, found.high) == (0.0, 3.0)


def test_a_rung_is_in_the_set_until_it_trails_by_the_bonferroni_bound() -> None:
    """2 (S-1)(A-1)/A degrees of freedom, no longer (S-1)(A-1): the noise of a difference is its own by two thirds."""
    base = risks([0.1] * 5, num_splits=3)
    arms = compare(base)
    assert arms.df == pytest.approx(3.2)
    best = arms.effect_A.argmin()
    other = (best + 1) % 5
    bound = critical(5, 3.2, 0.95) * arms.standard_errors(best)[other]
    assert critical(5, 8, 0.95) == pytest.approx(2.7515, abs=1e-3)  # t(1 - .05/4, 8)
    gap = arms.effect_A[other] - arms.effect_A[best]
    for extra, inside in ((-1e-6, True), (1e-6, False)):
        shifted = base.copy()
        shifted[:, other] += bound - gap + extra
        assert confidence_set(compare(shifted))[other] == inside


def test_the_set_does_not_depend_on_the_difficulty_of_splits() -> None:
    table = risks([0.10, 0.08, 0.05, 0.08, 0.10])
    moved = table + np.array([[0.3], [0.0], [0.1], [0.2]])
    assert sweet_spot(moved, ALPHAS).alphas_in_set == sweet_spot(table, ALPHAS).alphas_in_set


def test_overlapping_splits_never_shrink_the_set() -> None:
    table = risks([0.1, 0.097, 0.095, 0.096, 0.1], noise=0.0015)
    plain, wide = sweet_spot(table, ALPHAS), sweet_spot(table, ALPHAS, overlap=1.0)
    assert set(plain.alphas_in_set) < set(wide.alphas_in_set)
    assert wide.gain_over_erm.low < plain.gain_over_erm.low


def test_the_gain_over_erm_is_the_paired_difference() -> None:
    table = risks([0.10, 0.08, 0.05, 0.08, 0.10])
    found = sweet_spot(table, ALPHAS)
    assert found.gain_over_erm.value == pytest.approx((table[:, 0] - table[:, 2]).mean())
    assert found.gain_over_erm.low > 0
    assert found.p_beats_erm > 0.999
    half = found.gain_over_erm.high - found.gain_over_erm.value
    assert half == pytest.approx(3.88784 * compare(table).difference(0, 2)[1], rel=1e-3)  # t(1 - .05/(2 x 4), 4.8)


def test_p_beats_erm_is_one_half_for_no_difference_and_t_for_one_standard_error() -> None:
    table = np.array([[0.1, 0.1], [0.2, 0.2 + 1e-3], [0.3, 0.3 - 1e-3 - 1e-9]])
    assert sweet_spot(table, (0.0, 1.0)).p_beats_erm == pytest.approx(0.5, abs=1e-3)
    difference = np.array([1.0, 2.0, 4.0])  # two arms: a paired t test with 2 degrees of freedom
    statistic = difference.mean() / (difference.std(ddof=1) / math.sqrt(3))
    found = sweet_spot(np.stack([difference, 0 * difference], axis=1), (0.0, 1.0))
    assert found.p_beats_erm == pytest.approx(0.5 * (1 + statistic / math.sqrt(2 + statistic**2)))


def test_without_erm_there_is_no_gain_and_erm_does_not_beat_itself() -> None:
    found = sweet_spot(risks([0.1, 0.08, 0.05, 0.08, 0.1]), (0.1, 0.2, 0.3, 1.0, 3.0))
    assert (found.gain_over_erm, found.p_beats_erm) == (None, None)
    found = sweet_spot(risks([0.05, 0.07, 0.08, 0.09, 0.10]), ALPHAS)
    assert found.gain_over_erm.value == 0.0
    assert (found.gain_over_erm.low, found.p_beats_erm) == (None, None)


@pytest.mark.parametrize(("curve", "alphas", "words"), [
    ([0.10, 0.09, 0.08, 0.07, 0.05], ALPHAS, "above 3: extend"),
    ([0.05, 0.07, 0.08, 0.09, 0.10], ALPHAS, "Plain training (alpha 0) cannot be excluded"),
    ([0.05, 0.07, 0.08, 0.09, 0.10], (0.1, 0.2, 0.3, 1.0, 3.0), "below 0.1: extend"),
    ([0.10, 0.08, 0.05, 0.08, 0.10], ALPHAS, "lies between alpha 0.187 and 0.556"),
    ([0.10, 0.0995, 0.099, 0.0995, 0.10], ALPHAS, "splits (80 % interval 7 to 53) would exclude one end"),
])
def test_the_advice_says_what_to_do_next(curve: list[float], alphas: tuple[float, ...], words: str) -> None:
    assert words in sweet_spot(risks(curve), alphas).advice


def test_overlapping_splits_cannot_settle_a_small_difference_and_the_advice_says_so() -> None:
    found = sweet_spot(risks([0.10, 0.0997, 0.0995, 0.0997, 0.10]), ALPHAS, overlap=0.25)
    assert found.verdict == "flat"
    assert "disjoint splits or more data" in found.advice


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(("table", "alphas"), [
    (np.empty((0, 2)), ()),
    (np.full((3, 2), nan), ()),
    ([[0.1, 0.2]], (0.0, 1.0)),
    ([[nan, 0.2], [nan, 0.3]], (1.0,)),
    ([[0.1, 0.1], [0.1, 0.1]], (0.0, 1.0)),
    ([[0.1, 0.2], [0.1, 0.2]], (0.0, 1.0)),
    ([[0.1, nan], [nan, 0.2]], (0.0, 1.0)),
    ([[math.inf, 0.2], [0.1, 0.2]], (0.0, 1.0)),
])
def test_not_enough_data_is_said_without_a_warning(table: object, alphas: tuple[float, ...]) -> None:
    found = sweet_spot(np.asarray(table, dtype=float), (0.0, 1.0))
    assert found.verdict == "not enough data"
    assert found.alphas_in_set == alphas
    assert (found.gain_over_erm, found.p_beats_erm) == (None, None)
    assert found.advice.endswith(".")
    assert math.isnan(found.alpha) == (not alphas)


def test_the_ends_of_the_ladder_are_those_that_were_measured() -> None:
    table = risks([0.10, 0.08, 0.05, 0.08, 0.10])
    table[1:, 4] = nan  # alpha 3 failed on three of four splits
    found = sweet_spot(table, ALPHAS)
    assert 3.0 not in found.alphas_in_set
    assert found.verdict == "bracketed"
    assert found.high < 1.0

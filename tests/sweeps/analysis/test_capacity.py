"""Slopes of clean training error, their interaction with size, and the words for both.

Axes: C capacities, S splits, A rungs.
"""

import math

import numpy as np
import pytest

from sweeps.analysis.capacity import clean_error_slope, interaction, judge_conjecture, rectangle
from sweeps.analysis.results import CapacityResult, Estimate
from sweeps.analysis.sweet_spot import sweet_spot
from trainable.moments import epsilon

ALPHAS = (0.0, 0.1, 1.0, 10.0)
EPSILON_A = np.array([epsilon(alpha) for alpha in ALPHAS])
SIZES = (10_000, 100_000, 1_000_000)
nan = math.nan


def errors(change: float, num_splits: int = 4, noise: float = 0.002) -> np.ndarray:
    """Clean training error whose slope in epsilon is 0.3 + change x log10(parameters / 100,000)."""
    stream = np.random.default_rng(0)
    slope_C = 0.3 + change * (np.log10(SIZES) - 5)
    return (0.05 + slope_C[:, None, None] * EPSILON_A + 0.02 * stream.standard_normal((1, num_splits, 1))
            + noise * stream.standard_normal((3, num_splits, 4)))


@pytest.mark.parametrize(("filled", "splits", "rungs"), [
    ([[1, 1, 1], [1, 1, 1]], [0, 1], [0, 1, 2]),
    ([[1, 1, 1, 1], [1, 1, 1, 0], [1, 1, 1, 1]], [0, 1, 2], [0, 1, 2]),
    ([[1, 1, 1], [1, 1, 0], [1, 1, 1], [1, 1, 1]], [0, 2, 3], [0, 1, 2]),
    ([[1, 1, 1], [0, 0, 1], [1, 1, 1]], [0, 2], [0, 1, 2]),
    ([[0, 0], [0, 0]], [], []),
])
def test_gaps_cost_the_row_or_column_that_has_most(
    filled: list[list[int]], splits: list[int], rungs: list[int],
) -> None:
    found = rectangle(np.array(filled, dtype=bool))
    assert [np.flatnonzero(mask).tolist() for mask in found] == [splits, rungs]


def test_the_slope_is_that_of_least_squares_with_a_t_interval_over_splits() -> None:
    error_SA = errors(0.0)[0]
    slope_S = [np.polyfit(EPSILON_A, row, 1)[0] for row in error_SA]
    found = clean_error_slope(error_SA, ALPHAS)
    assert found.value == pytest.approx(np.mean(slope_S))
    assert found.high - found.value == pytest.approx(3.182446 * np.std(slope_S, ddof=1) / 2, rel=1e-5)
    wide = clean_error_slope(error_SA, ALPHAS, overlap=0.25)
    assert wide.high - wide.value == pytest.approx(math.sqrt(2) * (found.high - found.value))


def test_a_missing_end_of_one_split_does_not_tilt_the_slope() -> None:
    error_SA = np.tile(EPSILON_A**2, (4, 1)) + errors(0.0)[0] * 1e-6
    error_SA[1, 3] = nan
    truth = np.polyfit(EPSILON_A[:3], EPSILON_A[:3] ** 2, 1)[0]
    assert clean_error_slope(error_SA, ALPHAS).value == pytest.approx(truth, rel=1e-3)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("error_SA", [np.empty((0, 4)), np.full((3, 4), nan), [[0.1, nan, nan, nan]]])
def test_no_slope_from_fewer_than_two_rungs(error_SA: object) -> None:
    assert clean_error_slope(np.asarray(error_SA, dtype=float), ALPHAS) is None


@pytest.mark.parametrize(("change", "verdict"), [(-0.1, "supported"), (0.1, "contradicted"), (0.0, "undecided")])
def test_the_conjecture_is_judged_by_the_interval_of_the_interaction(change: float, verdict: str) -> None:
    found = interaction(errors(change), ALPHAS, SIZES)
    assert found.low <= change <= found.high
    conjecture = judge_conjecture(found, [], "val/error")
    assert conjecture.verdict == verdict
    assert verdict in conjecture.text


def test_the_interaction_covers_its_truth() -> None:
    stream = np.random.default_rng(1)
    hits = 0
    for _ in range(200):
        found = interaction(errors(-0.05) + 0.01 * stream.standard_normal((3, 4, 4)), ALPHAS, SIZES)
        hits += found.low <= interaction(errors(-0.05), ALPHAS, SIZES).value <= found.high
    assert hits >= 0.93 * 200


@pytest.mark.filterwarnings("error")
def test_capacities_without_a_size_or_with_few_results_are_left_out() -> None:
    error_CSA = errors(-0.1)
    assert interaction(error_CSA, ALPHAS, (10_000, None, None)) is None
    assert interaction(error_CSA, ALPHAS, (10_000, 10_000, 10_000)) is None
    error_CSA[1, 1:] = nan
    assert interaction(error_CSA, ALPHAS, SIZES).value == pytest.approx(-0.1, abs=0.02)
    error_CSA[2, 1:] = nan
    assert interaction(error_CSA, ALPHAS, SIZES) is None


def test_one_split_gives_a_value_without_a_verdict() -> None:
    found = interaction(errors(-0.1)[:, :1], ALPHAS, SIZES)
    assert found.low is None
    conjecture = judge_conjecture(found, [], "val/error")
    assert conjecture.verdict == "undecided"
    assert "two splits" in conjecture.text
    assert judge_conjecture(None, [], "val/error").verdict == "undecided"


def result(capacity: str, num_parameters: int | None, curve: list[float]) -> CapacityResult:
    stream = np.random.default_rng(2)
    spot = sweet_spot(np.array(curve) + 0.0005 * stream.standard_normal((4, 4)), ALPHAS)
    return CapacityResult(capacity=capacity, num_parameters=num_parameters, setting={}, points=(), sweet_error=spot,
                          sweet_loss=spot, clean_error_slope=Estimate(0.1))


LOW, HIGH, FLAT = [0.1, 0.05, 0.1, 0.2], [0.2, 0.1, 0.1, 0.05], [0.1, 0.1, 0.1, 0.1]


@pytest.mark.parametrize(("small", "large", "words"), [
    (LOW, HIGH, "rises with capacity"), (HIGH, LOW, "falls with capacity"), (LOW, FLAT, "a shift is not shown"),
])
def test_a_move_of_alpha_is_claimed_only_between_disjoint_sets(
    small: list[float], large: list[float], words: str,
) -> None:
    text = judge_conjecture(None, [result("big", 1000, large), result("small", 10, small)], "val/error").text
    assert words in text
    assert text.index("(small)") < text.index("(big)")


def test_unknown_sizes_say_nothing_of_a_move() -> None:
    assert "alpha* is" not in judge_conjecture(None, [result("a", None, LOW), result("b", 10, HIGH)], "val/loss").text

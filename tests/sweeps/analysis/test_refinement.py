"""alpha* between the rungs: only where a curve fits, and never outside the confidence set."""

import math

import numpy as np
import pytest

from benchmarks.coverage import ALPHAS, EPSILON_A, OPTIMA, SCALES, simulate
from sweeps.analysis.refinement import PROCESS, QUADRATIC, fieller, lopsided, misfit, refine, with_refinement
from sweeps.analysis.results import Refined
from sweeps.analysis.sweet_spot import sweet_spot
from trainable.moments import epsilon


def test_fieller_s_interval_is_where_the_slope_of_the_mean_quadratic_cannot_be_told_from_zero() -> None:
    risk_SA = simulate("quadratic", "equal", 6, 0.5, 1)[0]
    best, low, high = fieller(risk_SA, EPSILON_A, 0.0, 0.95)
    square_S, line_S = np.polyfit(EPSILON_A, risk_SA.T, 2)[:2]
    assert best == pytest.approx(-line_S.mean() / (2 * square_S.mean()))
    for end in (low, high):
        slope_S = 2 * square_S * end + line_S
        assert abs(slope_S.mean()) / (slope_S.std(ddof=1) / math.sqrt(6)) == pytest.approx(2.570582, rel=1e-6)  # t(.975, 5)


def test_a_quadratic_is_dismissed_one_time_in_ten_where_it_holds_and_most_often_where_it_does_not() -> None:
    shares = [np.mean([misfit(risk_SA, EPSILON_A) < 0.1 for risk_SA in simulate(curve, "equal", 8, 0.5, 200)])
              for curve in ("quadratic", "steep then flat")]
    assert shares[0] == pytest.approx(0.1, abs=0.04)
    assert shares[1] > 0.6


@pytest.mark.parametrize("curve", ["quadratic", "steep then flat", "monotone"])
def test_lopsided_curves_leave_the_true_lowest_point_possible(curve: str) -> None:
    """In 93 to 98 % of 500 studies a curve, of 4 and of 8 splits."""
    hits = 0
    for risk_SA in simulate(curve, "equal", 4, 1.0, 40):
        found = lopsided(risk_SA, EPSILON_A, (0.0, EPSILON_A[-1]), 0.0, 0.95)
        step = EPSILON_A[-1] / 40
        hits += bool(found) and min(found) - step <= OPTIMA[curve] <= max(found) + step
    assert hits >= 0.85 * 40


@pytest.mark.parametrize(("curve", "scale"), [("quadratic", "light"), ("quadratic", "usual"), ("steep then flat", "light")])
def test_the_refined_interval_covers_lies_in_the_hull_and_is_narrower(curve: str, scale: str) -> None:
    hits, count, shares = 0, 0, []
    for risk_SA in simulate(curve, "equal", 8, SCALES[scale], 8):
        spot = with_refinement(sweet_spot(risk_SA, ALPHAS), risk_SA, ALPHAS)
        if spot.refined is None:
            assert spot.why_not_refined
            continue
        count += 1
        assert spot.low - 1e-9 <= spot.refined.low <= spot.refined.alpha <= spot.refined.high <= spot.high * (1 + 1e-9)
        low, high = epsilon(spot.refined.low), epsilon(spot.refined.high)
        hits += low - 1e-9 <= OPTIMA[curve] <= high + 1e-9
        shares.append((high - low) / (epsilon(spot.high) - epsilon(spot.low)))
    assert count >= 5
    assert hits >= count - 1
    assert np.mean(shares) < 0.95


def test_which_curve_it_was_is_said() -> None:
    smooth = simulate("quadratic", "equal", 8, 0.5, 1)[0]
    kinked = 0.05 + 0.2 * np.abs(EPSILON_A - 0.25) + 0.0005 * np.random.default_rng(0).standard_normal((8, 7))
    found = [refine(risk_SA, ALPHAS, (0.0, 32.0)) for risk_SA in (smooth, kinked)]
    assert isinstance(found[0], Refined)
    assert found[0].method == QUADRATIC
    assert misfit(kinked, EPSILON_A) < 0.1
    assert not isinstance(found[1], Refined) or found[1].method == PROCESS


@pytest.mark.parametrize(("risk_SA", "why"), [
    (simulate("quadratic", "equal", 3, 1.0, 1)[0], "needs 5 rungs on 4 splits"),
    (0.1 + 1e-3 * np.random.default_rng(0).standard_normal((8, 7)) - 0.1 * EPSILON_A**2, "no lowest point"),
])
def test_where_no_curve_may_be_trusted_the_reason_is_given(risk_SA: np.ndarray, why: str) -> None:
    spot = with_refinement(sweet_spot(risk_SA, ALPHAS), risk_SA, ALPHAS)
    assert spot.refined is None
    assert why in spot.why_not_refined


def test_missing_cells_cost_whole_splits() -> None:
    risk_SA = simulate("quadratic", "equal", 6, 0.5, 1)[0]
    risk_SA[:3, 2] = np.nan
    assert refine(risk_SA, ALPHAS, (0.0, 32.0)) == "a curve needs 4 splits on which no result is missing"

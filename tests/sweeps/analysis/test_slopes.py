"""Slopes of bias and variance, and where they cancel."""

import numpy as np
import pytest

from sweeps.analysis.results import AlphaPoint, Estimate
from sweeps.analysis.slopes import bias_variance_slopes
from trainable.moments import alpha_from_epsilon, epsilon

ALPHAS = (0.0, 0.1, 0.3, 1.0, 3.0, 10.0)
EPSILON_A = np.array([epsilon(alpha) for alpha in ALPHAS])
NOTHING = Estimate(0.1)


def points(bias_A: np.ndarray, variance_A: np.ndarray, half: float | None = 0.001) -> list[AlphaPoint]:
    def around(value: float) -> Estimate:
        return Estimate(value, value - half, value + half) if half is not None else Estimate(value)
    return [AlphaPoint(alpha=alpha, epsilon=epsilon(alpha), num_trials=4, num_splits=4, missing=0, val_error=NOTHING,
                       val_loss=NOTHING, test_error=NOTHING, test_loss=NOTHING, train_clean_error=NOTHING,
                       train_clean_loss=NOTHING, gap_error=NOTHING, bias2=around(bias), variance=around(variance),
                       kl_bias=None, kl_variance=None) for alpha, bias, variance in zip(ALPHAS, bias_A, variance_A, strict=True)]


def test_bias_rises_variance_falls_and_they_cancel_at_the_bottom_of_their_sum() -> None:
    found = bias_variance_slopes(points(0.05 + 0.5 * EPSILON_A**2, 0.1 - 0.2 * EPSILON_A), "val/error")
    assert found.variance.value == pytest.approx(-0.2)
    assert found.variance.low < -0.2 < found.variance.high < 0 < found.bias.low
    assert found.cancel.value == pytest.approx(float(alpha_from_epsilon(0.2)), rel=1e-6)  # .5 x 2 t = .2
    assert found.cancel.low < found.cancel.value < found.cancel.high
    assert "cancel at alpha" in found.text
    wide = bias_variance_slopes(points(0.05 + 0.5 * EPSILON_A**2, 0.1 - 0.2 * EPSILON_A, 0.01), "val/error")
    assert wide.cancel.high - wide.cancel.low > 2 * (found.cancel.high - found.cancel.low)


@pytest.mark.parametrize(("bias_A", "variance_A"), [
    (0.05 + 0.1 * EPSILON_A**2, 0.2 - 0.3 * EPSILON_A), (0.1 - EPSILON_A**2, 0.05 - 0 * EPSILON_A),
])
def test_slopes_that_do_not_cancel_within_the_ladder_are_said_not_to(bias_A: np.ndarray, variance_A: np.ndarray) -> None:
    found = bias_variance_slopes(points(bias_A, variance_A), "val/error")
    assert found.cancel is None
    assert "do not cancel" in found.text


def test_without_intervals_there_is_a_place_and_no_interval() -> None:
    found = bias_variance_slopes(points(0.05 + 0.5 * EPSILON_A**2, 0.1 - 0.2 * EPSILON_A, None), "val/error")
    assert (found.cancel.low, found.bias.low) == (None, None)
    assert "needs three splits" in found.text


def test_nothing_from_fewer_than_four_rungs_or_from_a_decomposition_that_is_not_there() -> None:
    whole = points(0.05 + 0.5 * EPSILON_A**2, 0.1 - 0.2 * EPSILON_A)
    assert bias_variance_slopes(whole[:3], "val/error") is None
    assert bias_variance_slopes(whole, "val/loss") is None

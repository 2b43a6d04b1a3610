"""The ratio of variances against its truth."""

import numpy as np
import pytest

from benchmarks.common_random_numbers import saving


def pairs(correlation: float, deviation: float, num_draws: int, n: int = 20) -> tuple[np.ndarray, np.ndarray]:
    """(D, N) normal numbers of deviations 1 and `deviation`."""
    first, own = np.random.default_rng(0).standard_normal((2, num_draws, n))
    return first, deviation * (correlation * first + (1 - correlation**2) ** 0.5 * own)


def test_the_ratio_is_that_of_the_variances_of_permuted_and_paired_differences() -> None:
    first, second = (found[0] for found in pairs(0.7, 1.3, 1))
    paired = np.var(first - second, ddof=1)
    assert saving(first, second).ratio == pytest.approx((np.var(first, ddof=1) + np.var(second, ddof=1)) / paired)
    shifted = np.mean([np.var(first - np.roll(second, shift), ddof=1) for shift in range(20)])
    assert saving(first, second).ratio == pytest.approx(shifted / paired)


@pytest.mark.parametrize(("correlation", "deviation"), [(0.0, 1.0), (0.5, 1.0), (0.8, 1.0), (0.5, 1.5)])
def test_the_interval_holds_the_truth_at_its_rate(correlation: float, deviation: float) -> None:
    truth = (1 + deviation**2) / (1 + deviation**2 - 2 * deviation * correlation)
    found = [saving(first, second) for first, second in zip(*pairs(correlation, deviation, 2000), strict=True)]
    assert np.mean([one.low <= truth <= one.high for one in found]) >= 0.94
    assert all(one.low < one.ratio < one.high for one in found)


def test_numbers_without_noise_have_no_ratio() -> None:
    with pytest.raises(ValueError, match="do not vary"):
        saving(np.zeros(5), np.ones(5))

"""Means with t intervals, and the jackknife."""

import math

import numpy as np
import pytest

from sweeps.analysis.intervals import jackknife, mean_estimate, t_quantile


@pytest.mark.parametrize(("df", "quantile"), [(1, 12.706205), (2, 4.302653), (3, 3.182446), (30, 2.042272)])
def test_the_t_quantile_is_that_of_the_tables(df: int, quantile: float) -> None:
    assert t_quantile(0.975, df) == pytest.approx(quantile, abs=1e-5)


def test_two_values_give_the_closed_form_interval() -> None:
    found = mean_estimate([1.0, 3.0])
    assert found.value == 2.0
    assert found.high == pytest.approx(2 + 12.706205 * math.sqrt(2) / math.sqrt(2), rel=1e-6)
    assert found.low == pytest.approx(4 - found.high)


def test_overlapping_splits_widen_the_interval_by_the_root_of_one_plus_s_times_the_ratio() -> None:
    values = [0.1, 0.13, 0.12, 0.16]
    plain, wide = mean_estimate(values), mean_estimate(values, overlap=0.25)
    assert (wide.high - wide.value) / (plain.high - plain.value) == pytest.approx(math.sqrt(2))
    left_out = [1.0, 1.1, 0.9, 1.2]
    plain, wide = jackknife(1.0, left_out), jackknife(1.0, left_out, overlap=0.25)
    assert (wide.high - wide.value) / (plain.high - plain.value) == pytest.approx(math.sqrt(2))


@pytest.mark.parametrize("values", [[0.2], [0.2, 0.2, 0.2], [0.2, math.nan], [math.inf, 0.2]])
def test_values_without_spread_have_no_interval(values: list[float]) -> None:
    found = mean_estimate(values)
    assert found.value == pytest.approx(0.2)
    assert (found.low, found.high) == (None, None)


@pytest.mark.filterwarnings("error")
def test_no_values_give_nan() -> None:
    assert math.isnan(mean_estimate([]).value)
    assert math.isnan(mean_estimate([math.nan, math.nan]).value)


def test_the_jackknife_of_a_mean_is_its_t_interval() -> None:
    values = np.array([0.3, 0.1, 0.4, 0.15, 0.9])
    left_out = [float(np.delete(values, place).mean()) for place in range(5)]
    found, expected = jackknife(float(values.mean()), left_out), mean_estimate(values)
    assert (found.low, found.high) == (pytest.approx(expected.low), pytest.approx(expected.high))


@pytest.mark.parametrize("left_out", [[], [1.0, 2.0], [1.0, math.nan, 2.0]])
def test_the_jackknife_needs_three_groups(left_out: list[float]) -> None:
    assert jackknife(1.0, left_out).low is None


def test_a_side_beyond_what_the_quantity_can_be_is_put_on_the_edge() -> None:
    found = mean_estimate([0.0, 0.1, 0.02], within=(0.0, 1.0))
    free = mean_estimate([0.0, 0.1, 0.02])
    assert free.low is not None
    assert free.low < 0
    assert (found.low, found.high) == (0.0, free.high)

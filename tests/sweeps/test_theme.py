"""How numbers are written and capacities are told apart."""

import math

import pytest

from sweeps import theme
from sweeps.analysis.results import Estimate
from sweeps.charts.legend import SHAPES, STROKES


@pytest.mark.parametrize(("alpha", "said"), [
    (0.0, "0"), (0.1, "0.1"), (0.0573, "0.0573"), (0.12345, "0.123"), (1.0, "1"), (9.999, "10"), (32.0, "32"), (100.0, "100"),
    (123456.0, "123456"), (math.inf, "inf"), (math.nan, "-"), (None, "-")])
def test_alpha_is_written_with_three_digits_and_no_exponent(alpha: float | None, said: str) -> None:
    assert theme.alpha_text(alpha) == said


@pytest.mark.parametrize(("found", "unit", "said"), [
    (Estimate(0.0571, 0.049, 0.065), theme.PERCENT, "5.7 [4.9, 6.5]"),
    (Estimate(0.0571, 0.0566, 0.0576), theme.PERCENT, "5.71 [5.66, 5.76]"),
    (Estimate(-0.0001, -0.02, 0.02), theme.POINTS, "0.0 [-2.0, 2.0]"),
    (Estimate(0.0571), theme.PERCENT, "5.7"),
    (Estimate(0.0571, math.nan, 0.06), theme.PERCENT, "5.7"),
    (Estimate(0.5, 0.5, 0.5), theme.PERCENT, "50.0 [50.0, 50.0]"),
    (Estimate(math.nan, 0.0, 1.0), theme.PERCENT, "-"),
    (Estimate(math.inf), theme.NATS, "-"),
    (None, theme.PERCENT, "-")])
def test_decimals_follow_the_width_of_the_interval(found: Estimate | None, unit: theme.Unit, said: str) -> None:
    assert theme.estimate(found, unit) == said


@pytest.mark.parametrize(("count", "said"), [
    (None, "-"), (0, "0"), (999, "999"), (1000, "1 k"), (11_234, "11.2 k"), (999_999, "1 M"), (25_557_032, "25.6 M")])
def test_parameters_are_counted_as_they_are_spoken(count: int | None, said: str) -> None:
    assert theme.count_text(count) == said


@pytest.mark.parametrize(("value", "said"), [
    (0.00013, "1.3e-4"), (1e-5, "1e-5"), (0.001, "0.001"), (0.123456, "0.123"), (30, "30"), ("sgd", "sgd"), (0.0, "0")])
def test_a_knob_is_written_short(value: object, said: str) -> None:
    assert theme.value_text(value) == said


def test_capacities_are_told_apart_by_colour_by_marker_and_by_dash() -> None:
    marks = [theme.mark(position) for position in range(5)]
    for looks in zip(*((mark.colour, mark.symbol, mark.dash) for mark in marks), strict=True):
        assert len(set(looks)) == 5
    assert len({theme.mark(position) for position in range(210)}) == 210


def test_every_marker_and_dash_has_a_place_in_the_legend() -> None:
    assert set(theme.SYMBOLS) == set(SHAPES) == set(theme.GLYPHS)
    assert set(theme.DASHES) == set(STROKES)

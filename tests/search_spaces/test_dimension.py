"""Axes: ends, scales, grids, and what is refused at birth."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from search_spaces import ALPHA, DROPOUT, EPOCHS, WEIGHT_DECAY
from search_spaces.dimension import Choice, Fixed, Integer, Real
from trainable.errors import ConfigError

REALS = (ALPHA, WEIGHT_DECAY, DROPOUT, Real(name="alpha", low=0.1, high=0.4),
         Real(name="lr", low=1e-4, high=10, scale="log"))
INTEGERS = (EPOCHS, Integer(name="epochs", low=1, high=2), Integer(name="batch_size", low=16, high=4096, scale="log"))
CHOICES = (Choice(name="optimizer", options=("sgd", "adamw")), Choice(name="alpha", options=(0, 0.2, 1)),
           Choice(name="pairing", options=("roll",)))


def refused(make, **values) -> dict[str, str]:
    with pytest.raises(ConfigError) as caught:
        make(**values)
    return {problem.field: problem.allowed for problem in caught.value.problems}


@pytest.mark.parametrize("axis", REALS + INTEGERS, ids=str)
def test_both_ends_are_inside_and_their_neighbours_outside_are_not(axis) -> None:
    assert axis.contains(axis.low)
    assert axis.contains(axis.high)
    step = 1 if isinstance(axis, Integer) else 1e-9
    assert not axis.contains(axis.low - step)
    assert not axis.contains(axis.high + step)


@pytest.mark.parametrize("value", ["1", None, True, math.nan, math.inf, [1]])
@pytest.mark.parametrize("axis", [ALPHA, EPOCHS, CHOICES[0]], ids=str)
def test_no_axis_contains_what_is_no_value_of_it(axis, value) -> None:
    assert not axis.contains(value)


def test_an_integer_axis_contains_no_fraction() -> None:
    assert not EPOCHS.contains(10.5)
    assert not EPOCHS.contains(20.0)


@pytest.mark.parametrize("axis", REALS, ids=str)
def test_the_ends_of_the_unit_interval_are_the_exact_ends_of_a_real_axis(axis) -> None:
    assert axis.from_unit(0) == axis.low
    assert axis.from_unit(1) == axis.high
    assert axis.to_unit(axis.low) == 0
    assert axis.to_unit(axis.high) == 1


@settings(deadline=None, max_examples=60)
@given(unit=st.floats(0, 1), axis=st.sampled_from(REALS))
def test_a_real_value_comes_back_from_the_unit_interval(unit: float, axis: Real) -> None:
    value = axis.from_unit(unit)
    assert axis.contains(value)
    assert axis.to_unit(value) == pytest.approx(unit, abs=1e-9)


@settings(deadline=None, max_examples=60)
@given(data=st.data(), axis=st.sampled_from(INTEGERS))
def test_an_integer_comes_back_from_the_unit_interval_exactly(data, axis: Integer) -> None:
    value = data.draw(st.integers(axis.low, axis.high))
    assert axis.from_unit(axis.to_unit(value)) == value
    assert 0 < axis.to_unit(value) < 1


@pytest.mark.parametrize("axis", CHOICES, ids=str)
def test_an_option_comes_back_from_the_unit_interval(axis: Choice) -> None:
    assert [axis.from_unit(axis.to_unit(option)) for option in axis.options] == list(axis.options)
    assert axis.from_unit(0) == axis.options[0]
    assert axis.from_unit(1) == axis.options[-1]


def test_every_integer_has_an_equal_share_of_the_unit_interval() -> None:
    axis = Integer(name="epochs", low=10, high=13)
    drawn = [axis.from_unit((step + 0.5) / 400) for step in range(400)]
    assert [drawn.count(value) for value in (10, 11, 12, 13)] == [100, 100, 100, 100]


@settings(deadline=None, max_examples=60)
@given(value=st.floats(0, 32), axis=st.sampled_from([ALPHA, Real(name="alpha", low=0, high=32)]))
def test_a_sampler_s_coordinate_leads_back_to_the_value_and_never_outside(value: float, axis: Real) -> None:
    coordinate = axis.to_internal(value)
    low, high = axis.internal
    assert low <= coordinate <= high
    assert axis.contains(axis.from_internal(coordinate))
    assert axis.from_internal(coordinate) == pytest.approx(value, rel=1e-6, abs=1e-12)


@pytest.mark.parametrize("high", [0.4, 1.0, 8.0, 32.0, 1000.0])
def test_a_value_a_rounding_step_inside_stays_inside_for_a_sampler(high: float) -> None:
    axis = Real(name="alpha", low=0, high=high, scale="epsilon")
    value = high
    for _ in range(50):  # betainc, from which epsilon comes, is not monotone to the last bit
        value = math.nextafter(value, 0)
        assert axis.to_internal(value) <= axis.internal[1]
        assert axis.to_unit(value) <= 1


def test_a_value_outside_is_not_moved_inside_for_a_sampler() -> None:
    assert ALPHA.to_internal(64.0) > ALPHA.internal[1]
    assert ALPHA.to_unit(64.0) > 1


def test_on_the_epsilon_scale_a_sampler_sees_one_minus_the_mean_of_the_larger_weight() -> None:
    # E max(lambda, 1 - lambda) is 3/4 at alpha 1 (uniform lambda) and 11/16 at alpha 2 (density 6 l (1 - l))
    assert ALPHA.to_internal(1.0) == pytest.approx(1 / 4, abs=1e-12)
    assert ALPHA.to_internal(2.0) == pytest.approx(5 / 16, abs=1e-12)
    assert ALPHA.to_internal(0.0) == 0
    assert ALPHA.from_internal(0.25) == pytest.approx(1.0)
    assert ALPHA.from_internal(0.0) == 0.0
    assert ALPHA.from_internal(ALPHA.internal[1]) <= 32.0
    assert not ALPHA.log


def test_on_the_log_scale_a_sampler_sees_the_value_and_takes_the_logarithm_itself() -> None:
    assert WEIGHT_DECAY.internal == (1e-5, 1e-2)
    assert WEIGHT_DECAY.log
    assert WEIGHT_DECAY.from_unit(0.5) == pytest.approx(math.sqrt(1e-5 * 1e-2))


def test_a_grid_has_its_number_of_points_with_both_ends_even_on_the_scale() -> None:
    assert DROPOUT.grid(3) == [0.0, 0.25, 0.5]
    assert WEIGHT_DECAY.grid(4) == pytest.approx([1e-5, 1e-4, 1e-3, 1e-2])
    assert EPOCHS.grid(4) == [10, 20, 30, 40]
    assert Integer(name="epochs", low=1, high=3).grid(10) == [1, 2, 3]
    assert Integer(name="batch_size", low=16, high=256, scale="log").grid(5) == [16, 32, 64, 128, 256]
    assert len(ALPHA.grid()) == ALPHA.points == 3
    assert ALPHA.grid(2) == [0.0, 32.0]
    assert DROPOUT.grid(1) == [0.25]
    assert CHOICES[0].grid(7) == ["sgd", "adamw"]
    assert Fixed(name="dropout", value=0).grid(5) == [0.0]


@pytest.mark.parametrize(("axis", "value", "expected"), [
    (ALPHA, 1, 1.0), (ALPHA, 99, 32.0), (WEIGHT_DECAY, 0, 1e-5), (EPOCHS, 200, 40), (EPOCHS, 12.4, 12),
    (CHOICES[0], "adamw", "adamw"), (CHOICES[0], "lion", "sgd"), (CHOICES[1], 0.5, 0.2), (CHOICES[1], 9, 1.0),
])
def test_nearest_is_the_closest_value_inside(axis, value, expected) -> None:
    assert axis.nearest(value) == expected
    assert axis.contains(axis.nearest(value))


@pytest.mark.parametrize(("make", "values", "field", "says"), [
    (Real, {"name": "alpha", "low": 2, "high": 1}, "alpha.low", "below high"),
    (Real, {"name": "alpha", "low": 1, "high": 1}, "alpha.low", "below high"),
    (Real, {"name": "alpha", "low": -0.1, "high": 1}, "alpha.low", "[0, 1e+06]"),
    (Real, {"name": "dropout", "low": 0, "high": 1}, "dropout.high", "[0, 1)"),
    (Real, {"name": "lr", "low": 0, "high": 1}, "lr.low", "(0, 1000]"),
    (Real, {"name": "weight_decay", "low": 0, "high": 1, "scale": "log"}, "weight_decay.low", "above 0 on a log scale"),
    (Real, {"name": "dropout", "low": 0, "high": 0.5, "scale": "epsilon"}, "dropout.scale", "only for alpha"),
    (Real, {"name": "alpha", "low": 0, "high": 1, "scale": "lin"}, "alpha.scale", "did you mean linear"),
    (Real, {"name": "alpha", "low": 0, "high": math.nan}, "alpha.high", "must be"),
    (Real, {"name": "alpha", "low": 0, "high": math.inf}, "alpha.high", "must be"),
    (Real, {"name": "alpha", "low": 0, "high": 1, "points": 1}, "alpha.points", "[2, 1000]"),
    (Real, {"name": "alpha", "low": 0, "high": 1, "points": 1001}, "alpha.points", "[2, 1000]"),
    (Real, {"name": "alpha", "low": 0, "high": 1, "points": 2.0}, "alpha.points", "whole number"),
    (Integer, {"name": "epochs", "low": 0, "high": 5}, "epochs.low", "[1, 100000]"),
    (Integer, {"name": "epochs", "low": 1.5, "high": 5}, "epochs.low", "whole number"),
    (Choice, {"name": "optimizer", "options": ("sgd", "adam")}, "optimizer.choices", "one of sgd, adamw"),
    (Choice, {"name": "optimizer", "options": ("sgd", "sgd")}, "optimizer.choices", "distinct"),
    (Choice, {"name": "alpha", "options": (1, 1.0)}, "alpha.choices", "distinct"),
    (Choice, {"name": "optimizer", "options": ()}, "optimizer.choices", "one or more"),
    (Fixed, {"name": "dropout", "value": 1}, "dropout", "[0, 1)"),
    (Fixed, {"name": "dropout", "value": None}, "dropout", "not be empty"),
    (Fixed, {"name": "alhpa", "value": 1}, "alhpa", "did you mean alpha"),
    (Choice, {"name": "split", "options": (1, 2)}, "split", "is no axis"),
    (Real, {"name": "width", "low": 1, "high": 2}, "width", "is no axis"),
])
def test_an_axis_that_cannot_be_is_refused_with_its_place(make, values, field, says) -> None:
    problems = refused(make, **values)
    assert list(problems) == [field]
    assert says in problems[field]


def test_all_that_is_wrong_with_an_axis_is_said_at_once() -> None:
    assert set(refused(Real, name="alpha", low=-1, high="x", scale="?", points=0)) == {
        "alpha.low", "alpha.high", "alpha.scale", "alpha.points"}


def test_equal_numbers_make_equal_axes() -> None:
    assert Real(name="alpha", low=0, high=32) == Real(name="alpha", low=0.0, high=32.0)
    assert Fixed(name="dropout", value=0) == Fixed(name="dropout", value=0.0)
    assert Choice(name="alpha", options=(0, 1)) == Choice(name="alpha", options=(0.0, 1.0))


def test_the_named_axes_reach_as_far_as_the_readme_says() -> None:
    assert (ALPHA.low, ALPHA.high, ALPHA.scale) == (0, 32, "epsilon")
    assert (WEIGHT_DECAY.low, WEIGHT_DECAY.high, WEIGHT_DECAY.scale) == (1e-5, 1e-2, "log")
    assert (DROPOUT.low, DROPOUT.high, DROPOUT.scale) == (0, 0.5, "linear")
    assert (EPOCHS.low, EPOCHS.high, EPOCHS.scale) == (10, 40, "linear")

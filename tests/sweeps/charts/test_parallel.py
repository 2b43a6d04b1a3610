"""Where values lie on parallel axes."""

import random

import pytest

from sweeps.analysis.results import SearchTrial
from sweeps.charts.parallel import axes_of, axis_of, band_of, round_steps
from sweeps.quantities import VAL_ERROR
from trainable.moments import epsilon

LOG_UNIFORM = [10 ** random.Random(0).uniform(-5, -2) for _ in range(1)] + [1e-5, 1e-4, 3e-4, 1e-3, 1e-2]


def trial(number: int, value: float | None, capacity: str = "a", **setting: object) -> SearchTrial:
    return SearchTrial(number=number, capacity=capacity, setting=dict(setting), value=value, ended_at=None, origin="sampler",
                       state="FINISHED" if value is not None else "PRUNED")


@pytest.mark.parametrize(("name", "values", "scale"), [
    ("alpha", [0, 1, 32], "epsilon"),
    ("weight_decay", LOG_UNIFORM, "log"),
    ("dropout", [0.01, 0.1, 0.2, 0.3, 0.4, 0.5], "linear"),
    ("epochs", [10, 20, 40], "linear"),
    ("shift", [0.0, 1.0, 5000.0], "linear"),
    ("optimizer", ["sgd", "adamw"], "names"),
    ("flag", [True, False], "names"),
    ("mixed", [1, "auto"], "names")])
def test_the_scale_fits_the_values(name: str, values: list[object], scale: str) -> None:
    axis = axis_of(name, values)
    assert axis is not None
    assert axis.scale == scale
    assert all(0 <= (axis.place(value) or 0) <= 1 for value in values)
    assert all(-1e-9 <= place <= 1 + 1e-9 for place, _ in axis.ticks())
    assert len(axis.ticks()) >= 2


@pytest.mark.parametrize("values", [[], [None], [3, 3], ["sgd", "sgd", None]])
def test_what_does_not_vary_has_no_axis(values: list[object]) -> None:
    assert axis_of("any", values) is None


def test_alpha_is_placed_by_epsilon() -> None:
    axis = axis_of("alpha", [0.0, 32.0])
    assert axis is not None
    assert axis.place(1.0) == pytest.approx(epsilon(1.0) / epsilon(32.0))


@pytest.mark.parametrize("value", [None, "x", float("nan"), True])
def test_what_cannot_be_placed_is_left_out(value: object) -> None:
    axis = axis_of("epochs", [10, 40])
    assert axis is not None
    assert axis.place(value) is None


def test_the_objective_is_the_last_axis_and_read_in_its_unit() -> None:
    axes = axes_of([trial(0, 0.1, epochs=10), trial(1, 0.2, epochs=20), trial(2, None, epochs=30)], VAL_ERROR)
    assert [axis.name for axis in axes] == ["epochs", "validation error (%)"]
    assert (axes[1].low, axes[1].high) == (10.0, 20.0)


def test_trials_are_ranked_within_their_capacity() -> None:
    trials = [trial(number, number / 100, "a") for number in range(10)]
    trials += [trial(0, 0.9, "b"), trial(1, None, "b"), trial(2, float("nan"), "b")]
    assert band_of(trials) == [0, 1, 1, 2, 2, 2, 2, 2, 2, 2, 0, None, None]


@pytest.mark.parametrize(("low", "high"), [(0.0, 1.0), (10, 40), (3.2, 15.3), (-0.4, 0.9), (1e-6, 2e-6), (0, 9999)])
def test_steps_are_round_and_few(low: float, high: float) -> None:
    steps = round_steps(low, high)
    assert 2 <= len(steps) <= 7
    assert low - 1e-9 <= min(steps) < max(steps) <= high + 1e-9

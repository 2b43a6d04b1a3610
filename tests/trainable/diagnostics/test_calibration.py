"""Calibration of predictions whose scores are known by hand."""

import math

import numpy as np
import pytest

from trainable.diagnostics.calibration import brier, ece, entropy


def logs(rows):
    with np.errstate(divide="ignore"):
        return np.log(np.asarray(rows, dtype=np.float64))


@pytest.mark.parametrize(("rows", "labels", "expected"), [
    ([[0.5, 0.5]], [0], 0.5),
    ([[1.0, 0.0]], [0], 0.0),
    ([[1.0, 0.0]], [1], 2.0),
    ([[0.2, 0.3, 0.5], [1.0, 0.0, 0.0]], [2, 0], (0.04 + 0.09 + 0.25) / 2),
])
def test_brier_is_the_squared_distance_summed_over_classes(rows, labels, expected):
    assert brier(logs(rows), np.array(labels)) == pytest.approx(expected, abs=1e-15)


@pytest.mark.parametrize(("rows", "expected"), [
    ([[0.5, 0.5]], math.log(2)), ([[0.25] * 4], math.log(4)),
    ([[0.5, 0.5], [0.9, 0.1]], (math.log(2) - 0.9 * math.log(0.9) - 0.1 * math.log(0.1)) / 2),
])
def test_entropy_is_the_mean_over_examples(rows, expected):
    assert entropy(logs(rows)) == pytest.approx(expected, rel=1e-14)


@pytest.mark.parametrize(("rows", "labels", "expected"), [
    ([[0.8, 0.2]] * 5, [0, 0, 0, 0, 1], 0.0),  # four of five right at 0.8
    ([[0.8, 0.2]] * 5, [0, 0, 0, 0, 0], 0.2),
    ([[0.8, 0.2]] * 5, [1, 1, 1, 1, 1], 0.8),
    ([[0.6, 0.4], [0.9, 0.1]], [0, 1], (0.4 + 0.9) / 2),  # two bins, each with its own gap
    ([[0.61, 0.39], [0.65, 0.35]], [0, 1], abs(1 - 0.61 - 0.65) / 2),  # one bin: the gaps partly cancel
    ([[1.0 - 1e-12, 1e-12]], [0], 0.0),
])
def test_calibration_error_is_the_gap_of_each_bin_by_its_share(rows, labels, expected):
    assert ece(logs(rows), np.array(labels)) == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize(("confidence", "bin_number"), [(1 / 15, 0), (1 / 15 + 1e-6, 1), (0.6, 8), (0.6 + 1e-6, 9), (1.0, 14)])
def test_a_bin_is_closed_on_the_right(confidence, bin_number):
    edge = (bin_number + 1) / 15
    inside = min(edge, 1.0)  # beside an example that is surely in the bin, a shared bin lets opposite gaps cancel
    sure = inside - 0.01
    rows = [[confidence, *[(1 - confidence) / 15] * 15], [sure, *[(1 - sure) / 15] * 15]]
    if min(confidence, sure) <= 1 / 16:  # the first class would not be the top one
        pytest.skip("no 16-class prediction is that unsure")
    assert ece(logs(rows), np.array([0, 1])) == pytest.approx(abs(1 - confidence - sure) / 2, abs=1e-9)


@pytest.mark.parametrize(("num_examples", "floor"), [(300, 0.041), (1000, 0.022), (10_000, 0.007)])
def test_a_perfectly_calibrated_network_shows_the_known_floor(num_examples, floor):
    stream = np.random.default_rng(0)
    found = []
    for _ in range(20):
        top = stream.uniform(0.5, 1.0, num_examples)
        labels = (stream.random(num_examples) > top).astype(int)
        found.append(ece(logs(np.stack([top, 1 - top], axis=1)), labels))
    assert np.mean(found) == pytest.approx(floor, rel=0.25)


def test_no_probability_of_zero_makes_a_nan():
    rows = np.array([[0.0, -65504.0]], dtype=np.float16)
    assert entropy(rows) == 0.0
    assert brier(rows, np.array([0])) == 0.0
    assert ece(rows, np.array([0])) == 0.0

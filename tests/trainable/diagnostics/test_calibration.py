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


@pytest.mark.parametrize(("one", "other", "share_a_bin"), [
    (0.59, 0.55, True), (0.5999, 0.59, True), (0.6001, 0.59, False), (0.6001, 0.66, True), (1.0, 0.94, True),
])
def test_gaps_cancel_only_within_one_of_the_fifteen_bins(one, other, share_a_bin):
    found = ece(logs([[one, 1 - one], [other, 1 - other]]), np.array([0, 1]))  # the first is right, the second is not
    assert found == pytest.approx(abs(1 - one - other) / 2 if share_a_bin else (1 - one + other) / 2, abs=1e-9)


@pytest.mark.parametrize("num_examples", [300, 10_000])
def test_a_perfectly_calibrated_network_shows_the_floor_that_chance_gives_it(num_examples):
    stream = np.random.default_rng(0)
    found, expected = [], []
    for _ in range(30):
        top = stream.uniform(0.5, 1.0, num_examples)
        right = stream.random(num_examples) < top
        found.append(ece(logs(np.stack([top, 1 - top], axis=1)), 1 - right))
        variances = np.bincount(np.ceil(top * 15).astype(int), weights=top * (1 - top))
        expected.append(np.sqrt(2 / np.pi * variances).sum() / num_examples)  # a normal sum's mean absolute value
    assert np.mean(found) == pytest.approx(np.mean(expected), rel=0.1)


def test_no_probability_of_zero_makes_a_nan():
    rows = np.array([[0.0, -65504.0]], dtype=np.float16)
    assert entropy(rows) == 0.0
    assert brier(rows, np.array([0])) == 0.0
    assert ece(rows, np.array([0])) == 0.0

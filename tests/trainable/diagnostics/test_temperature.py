"""The temperature that validation asks for, and what scaling by it does."""

import math

import numpy as np
import pytest

from tests.trainable.diagnostics.calibrated_guesses import guesses
from trainable.diagnostics.calibration import fit_temperature, scaled


@pytest.mark.parametrize("factor", [0.1, 0.5, 3.0, 15.0])
def test_the_temperature_is_the_factor_by_which_logits_were_multiplied(factor):
    logits, labels = guesses(4000, spread=1.0)
    own, _ = fit_temperature(logits, labels)
    assert own == pytest.approx(1.0, abs=0.1)
    found, at_edge = fit_temperature(factor * logits, labels)
    assert found == pytest.approx(factor * own, rel=1e-6)
    assert not at_edge
    np.testing.assert_allclose(scaled(factor * logits, found), scaled(logits, own), atol=1e-5)


@pytest.mark.parametrize(("logit", "temperature", "at_edge"), [
    (3.0, 3.0 / math.log(4), False), (0.1 * math.log(4), 0.1, False), (math.log(4), 1.0, False),
    (19.9 * math.log(4), 19.9, False), (20.1 * math.log(4), 20.0, True),
    (math.log(4) / 19.9, 1 / 19.9, False), (math.log(4) / 20.1, 0.05, True),
])
def test_the_temperature_of_two_classes_in_closed_form(logit, temperature, at_edge):
    labels = np.array([0] * 8 + [1] * 2)  # 80 % right: the sigmoid of logit / T must be 0.8
    found = fit_temperature(np.array([[logit, 0.0]] * 10), labels)
    assert found == (pytest.approx(temperature, rel=1e-6), at_edge)


@pytest.mark.parametrize(("rows", "labels", "expected"), [
    ([[1.0, 0.0]] * 3, [0, 0, 0], (0.05, True)),  # all right: the sharper the better
    ([[40.0, 0.0]] * 3, [0, 0, 0], (1.0, False)),  # so certain that its loss is 0 already
    ([[20.0, 0.0]] * 3, [0, 0, 0], (0.05, True)),
    ([[1.0, 0.0]] * 2, [0, 1], (20.0, True)),  # no better than chance: the flatter the better
    ([[1.0, 0.0]] * 2, [1, 1], (20.0, True)),
    ([[0.5, 0.5, 0.5]] * 2, [0, 1], (1.0, False)),  # no temperature changes anything
    ([[2.0, 0.0]], [0], (0.05, True)),
])
def test_a_temperature_without_an_optimum_inside_is_said_to_be_at_the_edge(rows, labels, expected):
    assert fit_temperature(np.array(rows), np.array(labels)) == expected


def test_scaling_divides_logits_and_keeps_what_is_predicted():
    logits = np.random.default_rng(0).normal(size=(40, 5)).astype(np.float32)
    assert scaled(logits).dtype == np.float64
    np.testing.assert_allclose(np.exp(scaled(logits, 3.0)).sum(axis=1), 1.0, atol=1e-14)
    np.testing.assert_allclose(np.diff(scaled(logits, 3.0)), np.diff(logits.astype(np.float64)) / 3.0, atol=1e-14)
    np.testing.assert_array_equal(scaled(logits, 0.05).argmax(axis=1), logits.argmax(axis=1))
    np.testing.assert_allclose(scaled(scaled(logits), 3.0), scaled(logits, 3.0), atol=1e-14)  # a row's constant is nothing

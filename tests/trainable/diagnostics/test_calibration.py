"""Calibration of predictions whose scores are known by hand, and of networks made to be calibrated."""

import dataclasses
import json
import math

import numpy as np
import pytest
import torch

from tests.trainable.diagnostics.calibrated_guesses import draw, guesses
from trainable.config import TrialConfig
from trainable.data import load
from trainable.device import resolve
from trainable.diagnostics.calibration import (
    brier,
    diagnose,
    ece,
    ece_signed,
    entropy,
    equal_mass,
    equal_width,
    fit_temperature,
    nll,
    noise_floor,
    reliability,
    scaled,
)
from trainable.diagnostics.outputs import on_test, on_validation
from trainable.evaluation import measure_test
from trainable.learner import Learner
from trainable.seeding import numpy_stream

SOURCE = load("digits")
CONFIG = TrialConfig(width=0.125, train_size=300, val_size=120, epochs=2, batch_size=50, label_noise=0.2)
BINNINGS = pytest.mark.parametrize("binning", [equal_width, equal_mass])


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
    assert entropy(logs([[1.0, 0.0]])) == 0.0
    rows = np.array([[0.0, -65504.0]], dtype=np.float16)
    assert entropy(rows) == 0.0
    assert brier(rows, np.array([0])) == 0.0
    assert ece(rows, np.array([0])) == 0.0


def test_likelihood_is_the_mean_over_examples():
    assert nll(logs([[0.5, 0.5], [0.9, 0.1]]), np.array([0, 1])) == pytest.approx(-(math.log(0.5) + math.log(0.1)) / 2)


@pytest.mark.parametrize(("rows", "labels", "expected"), [
    ([[0.8, 0.2]] * 5, [0, 0, 0, 0, 1], 0.0), ([[0.8, 0.2]] * 5, [0] * 5, -0.2), ([[0.8, 0.2]] * 5, [1] * 5, 0.8),
    ([[0.6, 0.4], [0.9, 0.1]], [0, 1], 0.25), ([[0.1, 0.9]], [1], -0.1),
])
def test_the_signed_error_is_confidence_minus_accuracy(rows, labels, expected):
    assert ece_signed(logs(rows), np.array(labels)) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize(("binning", "filled"), [(equal_width, [8, 13]), (equal_mass, [0, 3, 7, 11])])
def test_two_levels_of_confidence_by_hand(binning, filled):
    rows, labels = logs([[0.59, 0.41], [0.9, 0.1], [0.59, 0.41], [0.9, 0.1]]), np.array([0, 0, 1, 0])
    assert ece(rows, labels, binning) == pytest.approx(0.5 * 0.09 + 0.5 * 0.1)
    found = reliability(rows, labels, binning)
    assert [place for place, count in enumerate(found["count"]) if count] == filled
    half = len(filled) // 2
    for name, low, high in (("confidence", 0.59, 0.9), ("accuracy", 0.5, 1.0), ("gap", 0.09, -0.1)):
        assert [found[name][place] for place in filled] == pytest.approx([low] * half + [high] * half)
        assert all(found[name][place] is None for place in range(15) if place not in filled)


def test_bins_of_equal_mass_are_consecutive_slices_in_the_order_of_confidence():
    log_probabilities, labels = guesses(300)
    confidence, right = np.exp(log_probabilities.max(axis=1)), log_probabilities.argmax(axis=1) == labels
    slices = np.argsort(confidence).reshape(15, 20)
    gaps = [abs(right[part].mean() - confidence[part].mean()) for part in slices]
    assert ece(log_probabilities, labels, equal_mass) == pytest.approx(np.mean(gaps), abs=1e-14)
    assert reliability(log_probabilities, labels, equal_mass)["confidence"] == pytest.approx(
        [confidence[part].mean() for part in slices])


@pytest.mark.parametrize("num_examples", [1, 2, 14, 15, 16, 29, 30, 31, 1001])
@pytest.mark.parametrize("ties", [False, True])
def test_bins_of_equal_mass_differ_by_one_example_at_most(num_examples, ties):
    log_probabilities, labels = guesses(num_examples)
    counts = reliability(np.round(log_probabilities, 1) if ties else log_probabilities, labels, equal_mass)["count"]
    assert sum(counts) == num_examples
    assert max(counts) - min(counts) <= 1


@BINNINGS
def test_the_order_of_examples_means_nothing_even_where_confidences_are_equal(binning):
    top = np.repeat([0.55, 0.7, 0.95], [50, 31, 20])
    rows, labels = logs(np.stack([top, 1 - top], axis=1)), np.random.default_rng(0).integers(2, size=101)
    expected, diagram = ece(rows, labels, binning), reliability(rows, labels, binning)
    for seed in range(5):
        order = np.random.default_rng(seed).permutation(101)
        assert ece(rows[order], labels[order], binning) == pytest.approx(expected, abs=1e-14)
        found = reliability(rows[order], labels[order], binning)
        assert all(found[name] == pytest.approx(diagram[name], abs=1e-13, nan_ok=True) for name in diagram)


@BINNINGS
@pytest.mark.parametrize(("num_examples", "num_right"), [(1, 1), (4, 3), (14, 0), (15, 9), (16, 16), (100, 77)])
def test_where_all_confidences_are_equal_the_error_is_the_one_gap(binning, num_examples, num_right):
    rows, labels = logs([[0.7, 0.2, 0.1]] * num_examples), (np.arange(num_examples) >= num_right).astype(int)
    assert ece(rows, labels, binning) == pytest.approx(abs(0.7 - num_right / num_examples), abs=1e-12)


@BINNINGS
@pytest.mark.parametrize(("labels", "expected"), [([0, 0, 0], 0.0), ([0, 1, 1], 2 / 3)])
def test_certainty_has_a_bin_and_no_noise(binning, labels, expected):
    certain = np.array([[0.0, -np.inf]] * 3)
    assert ece(certain, np.array(labels), binning) == pytest.approx(expected)
    assert ece_signed(certain, np.array(labels)) == pytest.approx(expected)
    assert noise_floor(certain, binning, np.random.default_rng(0)) == 0.0


@BINNINGS
@pytest.mark.parametrize("num_examples", [100, 1000, 10_000])
def test_a_network_that_is_calibrated_shows_its_noise_floor(binning, num_examples):
    log_probabilities, _ = guesses(num_examples)
    stream = np.random.default_rng(1)  # labels of all ten classes, where the floor draws right or wrong alone
    shown = np.mean([ece(log_probabilities, draw(log_probabilities, stream), binning) for _ in range(60)])
    assert noise_floor(log_probabilities, binning, np.random.default_rng(2)) == pytest.approx(shown, rel=0.08)


@BINNINGS
@pytest.mark.parametrize(("num_examples", "reference"), [(300, 0.041), (1000, 0.022), (10_000, 0.007)])
def test_the_floor_of_ten_classes_with_normal_logits_is_near_the_reference(binning, num_examples, reference):
    log_probabilities, _ = guesses(num_examples, spread=8.0)  # mean confidence .87
    assert noise_floor(log_probabilities, binning, np.random.default_rng(0)) == pytest.approx(reference, rel=0.1)


@BINNINGS
def test_the_floor_is_what_a_normal_sum_in_each_bin_makes_it(binning):
    log_probabilities, _ = guesses(5000)
    confidence = np.exp(log_probabilities.max(axis=1))
    variances = np.bincount(binning(confidence).bin_V, weights=confidence * (1 - confidence))
    expected = np.sqrt(2 / np.pi * variances).sum() / 5000
    assert noise_floor(log_probabilities, binning, np.random.default_rng(0)) == pytest.approx(expected, rel=0.04)


@BINNINGS
def test_a_floor_follows_its_stream_and_nothing_else(binning):
    log_probabilities, _ = guesses(200)
    floors = [noise_floor(log_probabilities, binning, numpy_stream(seed, "floor")) for seed in (0, 0, 1)]
    assert floors[0] == floors[1] != floors[2]


@pytest.mark.parametrize(("table", "labels", "text"), [
    (np.zeros((0, 3)), np.zeros(0, int), "with at least one"),
    (np.zeros((2, 0)), np.zeros(2, int), "with at least one"),
    (np.zeros(3), np.zeros(3, int), "predictions of shape"),
    (np.zeros((3, 2)), np.zeros(2, int), "labels of shape"),
    (np.zeros((2, 2)), np.array([0, 2]), r"labels from 0 to 2: must be whole numbers in \[0, 1\]"),
    (np.zeros((2, 2)), np.array([-1, 0]), "labels from -1"),
    (np.zeros((2, 2)), np.array([0.0, 1.0]), "whole numbers"),
])
@pytest.mark.parametrize("measure", [nll, brier, ece, ece_signed, fit_temperature])
def test_what_is_no_table_with_labels_is_refused(measure, table, labels, text):
    with pytest.raises(ValueError, match=text):
        measure(table, labels)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_temperature_is_not_fitted_to_what_is_no_number(value):
    with pytest.raises(ValueError, match="1 of 2 examples have logits that are not finite"):
        fit_temperature(np.array([[0.0, 1.0], [0.0, value]]), np.array([0, 1]))


@pytest.mark.filterwarnings("ignore:invalid value")
def test_a_score_of_a_network_that_diverged_is_no_number():
    broken, labels = np.array([[0.0, -1.0], [np.nan, np.nan]]), np.array([0, 0])
    assert all(math.isnan(measure(broken, labels)) for measure in (nll, brier, ece, ece_signed))


@pytest.fixture(scope="module")
def learner():
    made = Learner(CONFIG, SOURCE, resolve("cpu"))
    for epoch in (1, 2):
        made.train_epoch(epoch)
    return made


def like(learner, factor=1.0, source=SOURCE):
    made = Learner(learner.config, source, resolve("cpu"))
    made.load(learner.state())
    with torch.no_grad():
        made.model.classifier.weight.mul_(factor)
        made.model.classifier.bias.mul_(factor)
    return made


MEASURES = {"nll", "brier", "entropy", "ece_signed", "ece_width", "ece_width_floor", "ece_mass", "ece_mass_floor"}


def test_names_are_complete_and_everything_found_is_a_finite_number(learner):
    found = diagnose(learner)
    names = {"temperature", "temperature_at_edge", *MEASURES, *(f"{name}_scaled" for name in MEASURES)}
    assert set(found.values) == {f"calibration/{name}" for name in names}
    assert all(isinstance(value, float) and math.isfinite(value) for value in found.values.values())
    assert set(found.curves) == {f"calibration/reliability_{kind}{end}" for kind in ("width", "mass") for end in ("", "_scaled")}
    assert all(sum(diagram["count"]) == len(SOURCE.test_labels) for diagram in found.curves.values())
    assert json.loads(json.dumps(found.curves, allow_nan=False)) == found.curves
    assert diagnose(learner) == found


def test_before_scaling_it_is_what_the_trial_itself_measured(learner):
    values, (metrics, _) = diagnose(learner).values, measure_test(learner)
    for name, metric in {"nll": "loss", "brier": "brier", "ece_width": "ece", "entropy": "entropy"}.items():
        assert values[f"calibration/{name}"] == pytest.approx(metrics[f"test/{metric}"], rel=1e-5)


def test_after_scaling_it_is_what_the_temperature_of_validation_makes_of_the_test_set(learner):
    values = diagnose(learner).values
    logits, labels = on_validation(learner)
    grid = np.exp(np.linspace(-3, 3, 601))
    best = min(grid, key=lambda t: nll(scaled(logits, t), labels))
    assert values["calibration/temperature"] == pytest.approx(best, rel=0.006)
    logits, labels = on_test(learner)
    rescaled = scaled(logits, values["calibration/temperature"])
    assert values["calibration/nll_scaled"] == nll(rescaled, labels)
    assert values["calibration/ece_mass_scaled"] == ece(rescaled, labels, equal_mass)


def test_a_network_made_overconfident_is_scaled_back(learner):
    own, sharp = diagnose(learner).values, diagnose(like(learner, 4.0)).values
    assert sharp["calibration/temperature"] == pytest.approx(4 * own["calibration/temperature"], rel=1e-4)
    assert sharp["calibration/ece_signed"] > own["calibration/ece_signed"]
    assert sharp["calibration/entropy"] < own["calibration/entropy"]
    for name in MEASURES:
        assert sharp[f"calibration/{name}_scaled"] == pytest.approx(own[f"calibration/{name}_scaled"], abs=1e-3)


def test_no_test_label_moves_the_temperature(learner):
    shuffled = dataclasses.replace(SOURCE, test_labels=np.roll(SOURCE.test_labels, 7))
    ours, theirs = diagnose(learner).values, diagnose(like(learner, source=shuffled)).values
    assert ours["calibration/temperature"] == theirs["calibration/temperature"]
    assert ours["calibration/nll"] != theirs["calibration/nll"]

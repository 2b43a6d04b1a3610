"""Eq. 15 against what it is for, closed forms, and sums done by hand."""

import dataclasses
import json
import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from trainable.config import TrialConfig
from trainable.data import load
from trainable.data.source import Raw, make_source
from trainable.device import resolve
from trainable.diagnostics import calibration
from trainable.diagnostics.shrunk_prediction import diagnose, mean_target, measure, shrinking, stretch
from trainable.learner import Learner
from trainable.moments import theta_bar
from trainable.objective import smoothing_of, spread_of, target_rows

SOURCE = load("digits")
CONFIG = TrialConfig(width=0.125, train_size=300, val_size=120, epochs=2, batch_size=50, alpha=8.0, label_noise=0.2)
CPU = resolve("cpu")
CELLS = ("plain", "plain_theta", "shrunk", "shrunk_theta", "eq15")


def colours():
    stream = np.random.default_rng(0)
    labels = stream.permutation(np.arange(500) % 4)
    images = stream.integers(256, size=(500, 3, 8, 8), dtype=np.uint8)
    images[:, 0] //= 1 + labels[:, None, None].astype(np.uint8)
    return make_source("colours", Raw(place="here", images_NCHW=images, labels_N=labels, test_images_NCHW=images[:150],
                                      test_labels_N=labels[:150], class_names=tuple("abcd")))


def trained(config=CONFIG, source=SOURCE):
    made = Learner(config, source, CPU)
    made.train_epoch(1)
    return made


@pytest.fixture(scope="module")
def learner():
    return trained()


def as_seen(made, images):
    return made.normalise(torch.from_numpy(images)).double().numpy()


def by_hand(made, shrink):
    """Logits on the test set, plain and of shrunk inputs, in float64."""
    mean = as_seen(made, SOURCE.images[made.split.train_index]).mean(axis=0)
    seen = as_seen(made, SOURCE.test_images)
    with torch.no_grad():
        return [made.model.eval()(torch.from_numpy(images).float()).double().numpy()
                for images in (seen, mean + shrink * (seen - mean))]


@pytest.mark.parametrize("shrink", [0.5, 0.7, 1.0])
def test_it_undoes_the_shrinking_of_data_for_a_least_squares_fit(shrink):
    stream = np.random.default_rng(1)
    inputs, targets = stream.normal(3.0, 1.0, (60, 4)), np.eye(3)[stream.integers(3, size=60)]
    fresh, mean, marginal = stream.normal(size=(20, 4)), inputs.mean(axis=0), targets.mean(axis=0)

    def fit(x, y):
        weights = np.linalg.lstsq(np.column_stack([x, np.ones(len(x))]), y, rcond=None)[0]
        return lambda new: np.column_stack([new, np.ones(len(new))]) @ weights

    on_shrunk = fit(mean + shrink * (inputs - mean), marginal + shrink * (targets - marginal))
    transform = shrinking(torch.from_numpy(mean).view(1, 1, 4), shrink)
    shrunk = transform(torch.from_numpy(fresh).view(20, 1, 1, 4)).reshape(20, 4).numpy()
    np.testing.assert_allclose(stretch(on_shrunk(shrunk), marginal, shrink), fit(inputs, targets)(fresh), atol=1e-12)


def test_with_balanced_classes_it_is_a_temperature():
    logits = np.random.default_rng(2).normal(size=(50, 4))
    exact = calibration.scaled(stretch(logits, np.full(4, 0.25), 0.6))
    np.testing.assert_allclose(exact, calibration.scaled(logits, 0.6), atol=1e-14)
    skewed = stretch(logits, np.array([0.7, 0.1, 0.1, 0.1]), 0.6) - logits / 0.6
    np.testing.assert_allclose(skewed, np.broadcast_to(np.array([0.7, 0.1, 0.1, 0.1]) * (1 - 1 / 0.6), (50, 4)), atol=1e-14)


@pytest.mark.parametrize("source", [SOURCE, colours()], ids=["digits", "colours"])
@pytest.mark.parametrize("dropout", [0.0, 0.3])
def test_without_mixing_all_cells_agree_to_the_last_bit(source, dropout):
    made = trained(dataclasses.replace(CONFIG, alpha=0.0, dropout=dropout), source)
    values = diagnose(made).values
    assert values["shrunk_prediction/theta_bar"] == 1.0
    assert values["shrunk_prediction/temperature_plain"] == values["shrunk_prediction/temperature_shrunk"]
    for name in ("error", "nll", "ece"):
        assert len({values[f"shrunk_prediction/{cell}_{name}"] for cell in CELLS}) == 1


@pytest.mark.parametrize("changes", [
    {}, {"label_smoothing": 0.3}, {"label_smoothing": 0.3, "smoothing_toward": "marginal"}, {"method": "shrunk_erm"},
], ids=str)
def test_the_mean_target_holds_replaced_labels_and_smoothing(changes):
    made = Learner(dataclasses.replace(CONFIG, label_noise=0.9, **changes), SOURCE, CPU)
    labels, config = made.split.train_labels, made.config
    rows = target_rows(10, smoothing_of(config), torch.device("cpu"), spread_of(config, labels, 10))
    np.testing.assert_allclose(mean_target(made), rows[torch.from_numpy(labels)].double().mean(dim=0).numpy(), atol=1e-7)
    assert mean_target(made).sum() == pytest.approx(1.0, abs=1e-12)


def test_each_cell_is_what_its_name_says(learner):
    shrink = theta_bar(8.0)
    plain, shrunk = by_hand(learner, shrink)
    marginal = np.bincount(learner.split.train_labels, minlength=10) / 300
    cells = {"plain": plain, "plain_theta": plain / shrink, "shrunk": shrunk, "shrunk_theta": shrunk / shrink,
             "eq15": marginal * (1 - 1 / shrink) + shrunk / shrink}
    values = diagnose(learner).values
    for name, logits in cells.items():
        loss = F.cross_entropy(torch.from_numpy(logits), torch.from_numpy(SOURCE.test_labels)).item()
        assert values[f"shrunk_prediction/{name}_nll"] == pytest.approx(loss, rel=1e-5)
        error = np.mean(logits.argmax(axis=1) != SOURCE.test_labels)
        assert values[f"shrunk_prediction/{name}_error"] == pytest.approx(error, abs=0.0021)  # one near tie
        assert values[f"shrunk_prediction/{name}_ece"] == pytest.approx(
            calibration.ece(calibration.scaled(logits), SOURCE.test_labels, calibration.equal_mass), abs=1e-4)
    assert values["shrunk_prediction/theta_bar"] == pytest.approx(1 - 0.401810, abs=1e-6)


def test_names_are_complete_and_everything_found_is_a_finite_number(learner):
    found = diagnose(learner)
    expected = {"theta_bar", *(f"{cell}_{name}" for cell in CELLS for name in ("error", "nll", "ece")),
                *(f"temperature_{kind}{end}" for kind in ("plain", "shrunk") for end in ("", "_at_edge"))}
    assert set(found.values) == {f"shrunk_prediction/{name}" for name in expected}
    assert all(isinstance(value, float) and math.isfinite(value) for value in found.values.values())
    table = found.curves["shrunk_prediction/table"]
    assert set(table) == {*CELLS, "plain_fitted", "shrunk_fitted"}
    assert json.loads(json.dumps(found.curves, allow_nan=False)) == found.curves


def test_temperatures_are_those_of_validation_and_no_test_label_moves_them(learner):
    shuffled = dataclasses.replace(SOURCE, test_labels=np.roll(SOURCE.test_labels, 7))
    other = Learner(CONFIG, shuffled, CPU)
    other.load(learner.state())
    ours, theirs = diagnose(learner).values, diagnose(other).values
    for name in ("temperature_plain", "temperature_shrunk"):
        assert ours[f"shrunk_prediction/{name}"] == theirs[f"shrunk_prediction/{name}"]
    assert ours["shrunk_prediction/plain_error"] != theirs["shrunk_prediction/plain_error"]


def test_a_temperature_never_changes_the_error_and_looking_never_changes_the_network(learner):
    before = {name: value.clone() for name, value in learner.model.state_dict().items()}
    found = diagnose(learner)
    table = found.curves["shrunk_prediction/table"]
    for kind in ("plain", "shrunk"):
        assert table[kind]["error"] == table[f"{kind}_theta"]["error"] == table[f"{kind}_fitted"]["error"]
    assert diagnose(learner) == found
    assert not learner.model.training
    assert all(torch.equal(before[name], value) for name, value in learner.model.state_dict().items())


def test_a_cell_is_measured_by_error_likelihood_and_calibration():
    logits = np.log([[0.75, 0.25], [0.75, 0.25], [0.75, 0.25], [0.5, 0.5]])
    found = measure(logits, np.array([0, 0, 1, 0]))
    assert found == {"error": 0.25, "nll": pytest.approx(-(2 * math.log(0.75) + math.log(0.25) + math.log(0.5)) / 4),
                     "ece": pytest.approx((3 * abs(2 / 3 - 0.75) + 0.5) / 4)}

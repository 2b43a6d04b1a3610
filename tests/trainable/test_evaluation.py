"""What is measured, on which examples; against sums done by hand."""

import dataclasses

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from trainable.config import TrialConfig
from trainable.data import load
from trainable.device import resolve
from trainable.evaluation import batch_size, measure_epoch, measure_test
from trainable.learner import Learner

SOURCE = load("digits")
CONFIG = TrialConfig(width=0.125, train_size=300, val_size=120, epochs=2, batch_size=50)
CPU = resolve("cpu")


@pytest.fixture(scope="module")
def learner():
    made = Learner(dataclasses.replace(CONFIG, label_noise=0.4, alpha=1.0), SOURCE, CPU)
    made.train_epoch(1)
    return made


def by_hand(made, images, labels):
    with torch.no_grad():
        logits = made.model.eval()(made.normalise(torch.from_numpy(images)))
    labels = torch.from_numpy(labels)
    return (logits.argmax(1) != labels).double().mean().item(), F.cross_entropy(logits, labels).item()


def test_validation_is_measured_on_the_whole_of_it_with_true_labels(learner):
    index = learner.split.val_index
    error, loss = by_hand(learner, SOURCE.images[index], SOURCE.labels[index])
    found = measure_epoch(learner, 1)
    assert found["val/error"] == pytest.approx(error, abs=1e-12)
    assert found["val/loss"] == pytest.approx(loss, rel=1e-5)


def test_after_the_last_epoch_the_whole_training_split_is_measured_with_the_labels_trained_on(learner):
    error, loss = by_hand(learner, SOURCE.images[learner.split.train_index], learner.split.train_labels)
    found = measure_epoch(learner, 2)
    assert found["train_clean/error"] == pytest.approx(error, abs=1e-12)
    assert found["train_clean/loss"] == pytest.approx(loss, rel=1e-5)


def test_before_it_a_part_as_large_as_validation_which_no_arm_changes(learner):
    count = measure_epoch(learner, 1)["train_clean/error"] * 120
    assert count == pytest.approx(round(count), abs=1e-9)
    other = Learner(dataclasses.replace(CONFIG, label_noise=0.4, alpha=0.1, dropout=0.3, repeat=1), SOURCE, CPU)
    other.load(learner.state())
    assert measure_epoch(other, 1) == measure_epoch(learner, 1)


@pytest.mark.parametrize("epoch", [1, 2])
def test_gaps_are_validation_minus_clean_training(learner, epoch):
    found = measure_epoch(learner, epoch)
    for kind in ("error", "loss"):
        assert found[f"gap/{kind}"] == found[f"val/{kind}"] - found[f"train_clean/{kind}"]


def test_errors_on_kept_and_on_replaced_labels_make_up_the_clean_training_error(learner):
    found, share = measure_epoch(learner, 2), learner.split.corrupted.mean()
    mixed = (1 - share) * found["train_real/error"] + share * found["train_corrupt/error"]
    assert mixed == pytest.approx(found["train_clean/error"], rel=1e-12)
    error, _ = by_hand(learner, SOURCE.images[learner.split.train_index[learner.split.corrupted]],
                       learner.split.train_labels[learner.split.corrupted])
    assert found["train_corrupt/error"] == pytest.approx(error, rel=1e-12)


@pytest.mark.parametrize(("label_noise", "present"), [(0.0, []), (1.0, ["train_corrupt/error"])])
def test_a_kind_of_label_that_does_not_occur_has_no_metric(label_noise, present):
    found = measure_epoch(Learner(dataclasses.replace(CONFIG, label_noise=label_noise), SOURCE, CPU), 1)
    assert [name for name in found if name in ("train_real/error", "train_corrupt/error")] == present


def test_measuring_changes_nothing_that_training_depends_on(learner):
    before = {name: value.clone() for name, value in learner.model.state_dict().items()}
    generator = torch.get_rng_state()
    assert measure_epoch(learner, 1) == measure_epoch(learner, 1)
    measure_test(learner)
    assert all(torch.equal(before[name], value) for name, value in learner.model.state_dict().items())
    assert torch.equal(generator, torch.get_rng_state())


def test_the_test_set_is_measured_and_its_predictions_are_kept(learner):
    metrics, predictions = measure_test(learner)
    error, loss = by_hand(learner, SOURCE.test_images, SOURCE.test_labels)
    assert metrics["test/error"] == pytest.approx(error, abs=1e-12)
    assert metrics["test/loss"] == pytest.approx(loss, rel=1e-5)
    assert set(metrics) == {"test/error", "test/loss", "test/brier", "test/ece", "test/entropy"}
    assert (predictions.dtype, predictions.shape) == (np.float16, (500, 10))
    np.testing.assert_allclose(np.exp(predictions.astype(np.float64)).sum(axis=1), 1.0, atol=5e-3)
    assert np.mean(predictions.argmax(axis=1) != SOURCE.test_labels) == pytest.approx(error, abs=0.005)


def test_predictions_stay_finite_in_half_precision_where_a_probability_is_nothing(learner):
    certain = Learner(learner.config, SOURCE, CPU)
    certain.load(learner.state())
    with torch.no_grad():
        certain.model.classifier.weight.mul_(1e6)
    _, predictions = measure_test(certain)
    assert np.isfinite(predictions).all()
    assert predictions.min() == -65504


@pytest.mark.parametrize(("shape", "training_batch", "expected"), [
    ((1, 8, 8), 128, 512), ((3, 32, 32), 128, 512), ((3, 32, 32), 1024, 1024), ((3, 224, 224), 1, 27),
    ((3, 224, 224), 256, 256), ((3, 3000, 3000), 1, 1),
])
def test_as_many_are_judged_at_once_as_are_trained_on_and_more_if_small(shape, training_batch, expected):
    assert batch_size(CPU.place_images(np.zeros((1, *shape), np.uint8)), training_batch) == expected

"""What a network puts out when a diagnostic asks: the same numbers as by hand, and nothing changed by asking."""

import dataclasses

import numpy as np
import pytest
import torch

from trainable.config import TrialConfig
from trainable.data import load
from trainable.device import resolve
from trainable.diagnostics import outputs
from trainable.errors import Diverged
from trainable.evaluation import measure_test
from trainable.learner import Learner

SOURCE = load("digits")
CONFIG = TrialConfig(width=0.125, train_size=300, val_size=120, epochs=2, batch_size=50, dropout=0.3)
CPU = resolve("cpu")


@pytest.fixture(scope="module")
def learner():
    made = Learner(CONFIG, SOURCE, CPU)
    made.train_epoch(1)
    return made


def by_hand(made, images, transform=lambda images: images):
    with torch.no_grad():
        return made.model.eval()(transform(made.normalise(torch.from_numpy(images)))).numpy()


@pytest.mark.parametrize("num_images", [1, 511, 512, 513, 1100])  # judged 512 at once
def test_logits_stand_in_the_order_of_the_index_however_many_batches_it_takes(learner, num_images):
    index = np.random.default_rng(0).integers(len(SOURCE.images), size=num_images)
    learner.model.train()
    found = outputs.logits(learner, learner.images, index)
    assert (found.dtype, found.shape) == (np.float32, (num_images, 10))
    np.testing.assert_allclose(found, by_hand(learner, SOURCE.images[index]), atol=1e-5)


def test_a_transform_stands_between_normalised_images_and_the_network(learner):
    def upside_down(images):
        assert images.dtype == torch.float32
        return images.flip(2) * 2.0

    index = np.arange(600)
    found = outputs.logits(learner, learner.images, index, upside_down)
    np.testing.assert_allclose(found, by_hand(learner, SOURCE.images[index], lambda images: images.flip(2) * 2.0), atol=1e-5)


def test_validation_and_test_come_with_their_true_labels():
    noisy = Learner(dataclasses.replace(CONFIG, label_noise=1.0), SOURCE, CPU)
    logits, labels = outputs.on_validation(noisy)
    np.testing.assert_allclose(logits, by_hand(noisy, SOURCE.images[noisy.split.val_index]), atol=1e-5)
    np.testing.assert_array_equal(labels, SOURCE.labels[noisy.split.val_index])
    logits, labels = outputs.on_test(noisy)
    np.testing.assert_allclose(logits, by_hand(noisy, SOURCE.test_images), atol=1e-5)
    np.testing.assert_array_equal(labels, SOURCE.test_labels)


def test_they_are_the_outputs_by_which_the_trial_itself_was_measured(learner):
    logits, labels = outputs.on_test(learner)
    assert np.mean(logits.argmax(axis=1) != labels) == measure_test(learner)[0]["test/error"]


def test_asking_leaves_an_eval_mode_network_and_touches_nothing_else(learner):
    before = {name: value.clone() for name, value in learner.model.state_dict().items()}
    generator = torch.get_rng_state()
    learner.model.train()
    first = outputs.on_test(learner)[0]
    np.testing.assert_array_equal(first, outputs.on_test(learner)[0])
    assert not learner.model.training
    assert all(torch.equal(before[name], value) for name, value in learner.model.state_dict().items())
    assert all(parameter.grad is None or not parameter.grad.requires_grad for parameter in learner.model.parameters())
    assert torch.equal(generator, torch.get_rng_state())


def test_the_precision_is_the_trials_own(learner):
    half = Learner(dataclasses.replace(CONFIG, precision="bfloat16"), SOURCE, CPU)
    half.load(learner.state())
    rounded, exact = outputs.on_test(half)[0], outputs.on_test(learner)[0]
    assert rounded.dtype == np.float32
    assert 1e-4 < np.abs(rounded - exact).max() < 0.1 * np.abs(exact).max()


@pytest.mark.parametrize("index", [np.zeros(0, np.int64), np.zeros((2, 2), np.int64)], ids=["nothing", "a table"])
def test_an_index_that_names_no_list_of_images_is_refused(learner, index):
    with pytest.raises(ValueError, match=r"must be \(examples,\)"):
        outputs.logits(learner, learner.images, index)


def test_outputs_that_are_not_numbers_are_a_divergence(learner):
    broken = Learner(CONFIG, SOURCE, CPU)
    broken.load(learner.state())
    with pytest.raises(Diverged, match="outputs of 2 of 3 images are NaN or infinite, first of image 4"):
        outputs.logits(broken, broken.images, np.array([9, 4, 7]),
                       lambda images: images / torch.tensor([1.0, 0.0, 0.0]).view(3, 1, 1, 1))

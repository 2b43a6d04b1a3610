"""Minibatches on the device: what a second-order step looks toward, the mean input, and what does not fit the data."""

import dataclasses

import numpy as np
import pytest
import torch

from trainable.batches import check_fit
from trainable.config import TrialConfig
from trainable.data import load
from trainable.device import resolve
from trainable.errors import DataError
from trainable.learner import Learner
from trainable.models import build, latent_parts, size
from trainable.models.sizes import num_latent
from trainable.moments import gamma2, sigma2
from trainable.seeding import numpy_stream
from trainable.vicinity import draw_epoch

CONFIG = TrialConfig(width=0.125, train_size=100, batch_size=32, epochs=4, seed=5, label_noise=0.3)
SOURCE = load("digits")
CPU = resolve("cpu")


def learner(**changes):
    return Learner(dataclasses.replace(CONFIG, **changes), SOURCE, CPU)


def batches(made):
    seen = []
    made._step = lambda batch, lr: seen.append(batch) or {"loss": torch.zeros(())}
    made.train_epoch(1)
    return seen


def test_a_second_order_step_looks_toward_the_examples_that_were_drawn_with_their_labels():
    made = learner(method="approximate_mixup", alpha=1.0, num_directions=2)
    seen = batches(made)
    draws = draw_epoch(made.config, made._examples, 1, lambda name: numpy_stream(5, name, 0, 0, 1))
    for direction in range(2):
        index = draws.others_DN[direction]
        expected = made.normalise(torch.from_numpy(SOURCE.images[made.split.train_index[index]]))
        assert torch.equal(torch.cat([batch.others_DBCHW[direction] for batch in seen]), expected)
        labels = torch.cat([batch.other_labels_DB[direction] for batch in seen])
        np.testing.assert_array_equal(labels.numpy(), made.split.train_labels[index])


def test_approximate_mixup_has_mixups_risk_at_a_small_alpha():
    """By drawing: the mean of the three risks over many epochs of one untrained smooth network, where they must agree."""
    def mean_risk(method):
        made = learner(method=method, alpha=0.2, model="mlp", label_noise=0.0, epochs=400)
        for index, module in enumerate(made.model.hidden):
            if isinstance(module, torch.nn.ReLU):
                made.model.hidden[index] = torch.nn.Tanh()
        risks = []
        made._step = lambda batch, lr: risks.append(made._risk(batch)["loss"].item()) or {"loss": torch.zeros(())}
        for epoch in range(1, 151):
            made.train_epoch(epoch)
        return np.mean(risks), np.std(risks) / np.sqrt(len(risks))

    (mixed, error), (tilted, _), (expanded, _) = (mean_risk(name) for name in ("mixup", "label_free_mixup", "approximate_mixup"))
    assert tilted == pytest.approx(mixed, abs=6 * error + 1e-4)
    assert expanded == pytest.approx(mixed, abs=6 * error + 1e-3 * mixed)
    assert sigma2(0.2) != pytest.approx(gamma2(0.2), rel=0.3)  # so that swapping the two would show


@pytest.mark.parametrize("augment", ["none", "crop_flip"])
def test_the_mean_input_is_that_of_what_training_sees(augment):
    made = learner(augment=augment, alpha=1.0)
    total, count = torch.zeros(1, *SOURCE.shape, dtype=torch.float64), 0
    seen = []
    made._step = lambda batch, lr: seen.append(batch.images_BCHW) or {"loss": torch.zeros(())}
    for epoch in range(1, 201 if augment == "crop_flip" else 2):
        made.train_epoch(epoch)
        total, count = total + sum(images.double().sum(0, keepdim=True) for images in seen), count + 100
        seen.clear()
    spread = 5 * 1.5 / np.sqrt(count) if augment == "crop_flip" else 1e-6
    assert (made.mean_1CHW - total / count).abs().max() < spread


@pytest.mark.parametrize(("changes", "shape", "message"), [
    ({"method": "cutmix", "alpha": 1.0}, (3, 1, 1), "examples of 1 x 1 pixels have no part to paste"),
    ({"method": "cutmix", "alpha": 1.0}, (1, 1, 8), None), ({"alpha": 1.0}, (3, 1, 1), None),
    ({"pairing": "same_class"}, (1, 8, 8), "one training example only"), ({"pairing": "knn"}, (1, 8, 8), "num_neighbors = 10"),
])
def test_what_does_not_fit_the_data_is_refused(changes, shape, message):
    config = dataclasses.replace(CONFIG, **changes)
    if message is None:
        check_fit(config, np.array([0, 1, 1]), shape)
        return
    with pytest.raises(DataError, match=message):
        check_fit(config, np.array([0, 1, 1]), shape)


@pytest.mark.parametrize("changes", [
    {"model": "mlp"}, {"model": "mlp", "depth": 4}, {"model": "convnet"}, {"model": "preact_resnet"},
    {"model": "preact_resnet", "depth": 34}], ids=str)
def test_the_layers_that_may_be_mixed_are_as_many_as_the_arithmetic_says(changes):
    config = dataclasses.replace(CONFIG, **changes)
    model = build(config, (1, 8, 8), 10)
    assert size(config, (1, 8, 8), 10) is not None
    parts = latent_parts(model)
    assert len(parts) == num_latent(config)
    assert len({id(part) for part in parts}) == len(parts)
    seen = []
    handles = [part.register_forward_hook(lambda module, *_: seen.append(module)) for part in parts]
    model(torch.randn(4, 1, 8, 8))
    assert seen == parts, "from input to output, each once"
    for handle in handles:
        handle.remove()

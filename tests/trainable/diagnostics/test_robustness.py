"""Errors under attack: on which images, in which units, and the same for whoever asks."""

import dataclasses

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from trainable.config import TrialConfig
from trainable.data import load
from trainable.data.source import Raw, make_source
from trainable.device import resolve
from trainable.diagnostics import robustness
from trainable.errors import DataError
from trainable.evaluation import measure_test
from trainable.learner import Learner

SOURCE = load("digits")
CONFIG = TrialConfig(width=0.125, train_size=600, val_size=120, epochs=6, batch_size=100, dropout=0.1)
CPU = resolve("cpu")


def made(source=SOURCE, **changes):
    return Learner(dataclasses.replace(CONFIG, **changes), source, CPU)


@pytest.fixture(scope="module")
def learner():
    found = made()
    for epoch in range(1, 7):
        found.train_epoch(epoch)
    return found


@pytest.fixture(scope="module")
def findings(learner):
    return robustness.diagnose(learner)


def curve(findings):
    return findings.curves["robustness/error"]


def test_values_are_the_curve_at_two_epsilons(findings):
    assert set(findings.values) == {f"robustness/{attack}_error_{epsilon}" for attack in robustness.ATTACKS for epsilon in (4, 16)}
    for name, value in findings.values.items():
        attack, epsilon = name.removeprefix("robustness/").split("_error_")
        assert value == curve(findings)[attack][curve(findings)["epsilon_255"].index(int(epsilon))]
        assert isinstance(value, float)


def test_without_an_attack_it_is_the_test_error(learner, findings):
    metrics, _ = measure_test(learner)
    assert curve(findings)["num_examples"] == 500
    assert curve(findings)["epsilon_255"][0] == 0
    for attack in robustness.ATTACKS:
        assert curve(findings)[attack][0] == pytest.approx(metrics["test/error"], abs=1e-12)


@pytest.mark.parametrize("epsilon", robustness.EPSILONS)
def test_epsilon_is_in_255ths_of_the_scale_of_stored_pixels(learner, findings, epsilon):
    labels = torch.from_numpy(SOURCE.test_labels)
    stored = torch.from_numpy(SOURCE.test_images).float().requires_grad_()  # 0 to 16
    learner.model.eval()
    loss = F.cross_entropy(learner.model(learner.normalise(stored)), labels, reduction="sum")
    (gradient,) = torch.autograd.grad(loss, stored)
    attacked = (stored.detach() + epsilon / 255 * 16 * gradient.sign()).clamp(0, 16)
    with torch.no_grad():
        error = (learner.model(learner.normalise(attacked)).argmax(1) != labels).double().mean().item()
    found = curve(findings)["fgsm"][curve(findings)["epsilon_255"].index(epsilon)]
    assert found == pytest.approx(error, abs=1 / 500 + 1e-9)  # one example may lie on the border, to rounding


def test_a_trained_net_is_worse_the_stronger_the_attack(findings):
    for attack in robustness.ATTACKS:
        errors = curve(findings)[attack]
        assert errors == sorted(errors)
        assert errors[-1] > errors[0] + 0.1
    assert curve(findings)["pgd"][-1] >= curve(findings)["fgsm"][-1]


def test_it_is_the_same_twice_and_leaves_the_learner_as_it_was(learner, monkeypatch):
    monkeypatch.setattr(robustness, "SUBSET", 120)
    findings = robustness.diagnose(learner)
    learner.model.train()
    learner.model.dropout.eval()
    modes = [part.training for part in learner.model.modules()]
    before = {name: value.clone() for name, value in learner.model.state_dict().items()}
    grads = [parameter.grad for parameter in learner.model.parameters()]
    copies = [None if grad is None else grad.clone() for grad in grads]
    draws = torch.get_rng_state(), learner._dropout.get_state()
    assert robustness.diagnose(learner) == findings
    assert [part.training for part in learner.model.modules()] == modes
    assert all(torch.equal(before[name], value) for name, value in learner.model.state_dict().items())
    for parameter, grad, copy in zip(learner.model.parameters(), grads, copies, strict=True):
        assert parameter.requires_grad
        assert parameter.grad is grad
        assert grad is None or torch.equal(grad, copy)
    assert torch.equal(draws[0], torch.get_rng_state())
    assert torch.equal(draws[1], learner._dropout.get_state())


@pytest.mark.parametrize("changes", [{"alpha": 8.0}, {"repeat": 3}, {"batch_size": 64}, {"weight_decay": 0.0, "label_noise": 0.2}])
def test_every_arm_meets_the_same_examples_and_starts(learner, monkeypatch, changes):
    monkeypatch.setattr(robustness, "SUBSET", 60)
    other = made(**changes)
    other.load(learner.state())
    assert robustness.diagnose(other) == robustness.diagnose(learner)


def test_starts_differ_by_split_and_do_not_depend_on_the_batch_size():
    def starts(**changes):
        config = dataclasses.replace(CONFIG, **changes)
        index = robustness.draw_subset(config, SOURCE)
        return torch.cat([start for _, _, start in robustness.batches(config, SOURCE, CPU, index, (0.0, 16.0))])

    assert torch.equal(starts(), starts(batch_size=33, alpha=2.0, repeat=1))
    assert starts().min() >= -1
    assert starts().max() <= 1
    assert starts().std().item() == pytest.approx(3**-0.5, rel=0.02)
    assert not torch.equal(starts(), starts(split=1))
    assert not torch.equal(starts(), starts(seed=1))


@pytest.mark.parametrize(("limit", "count"), [(499, 499), (500, 500), (501, 500)])
def test_the_subset_is_as_large_as_the_test_set_allows(monkeypatch, limit, count):
    monkeypatch.setattr(robustness, "SUBSET", limit)
    found = robustness.draw_subset(CONFIG, SOURCE)
    assert len(set(found.tolist())) == count
    assert found.min() >= 0
    assert found.max() < 500


def test_the_subset_is_one_for_all_arms_of_a_split(monkeypatch):
    monkeypatch.setattr(robustness, "SUBSET", 50)
    subset = robustness.draw_subset(CONFIG, SOURCE).tolist()
    other_arm = dataclasses.replace(CONFIG, alpha=1.0, repeat=2, batch_size=20, epochs=1)
    assert robustness.draw_subset(other_arm, SOURCE).tolist() == subset
    assert robustness.draw_subset(dataclasses.replace(CONFIG, split=1), SOURCE).tolist() != subset


def no_pixels(factors=(1.0, 1.0), shift=0.0, test_factor=1.0):
    """Two channels of normal numbers, each class with its own mean."""
    stream = np.random.default_rng(0)
    labels = np.arange(120) % 2
    images = (stream.normal(size=(120, 2, 4, 4)) + 2 * labels[:, None, None, None]) * np.array(factors)[:, None, None] + shift
    images[80:] *= test_factor
    images = images.astype(np.float32)
    return make_source("spectra", Raw(place="here", images_NCHW=images[:80], labels_N=labels[:80], test_images_NCHW=images[80:],
                                      test_labels_N=labels[80:], class_names=("a", "b"), scale=1.0))


def test_the_range_of_pixels_is_the_scale():
    assert robustness.pixel_range(SOURCE) == (0.0, 16.0)


@pytest.mark.parametrize("test_factor", [0.5, 1.0, 3.0])
def test_the_range_of_other_data_is_that_of_all_images(test_factor):
    source = no_pixels(shift=5.0, test_factor=test_factor)
    both = np.concatenate([source.images, source.test_images])
    assert robustness.pixel_range(source) == (both.min(), both.max())


def test_data_that_are_no_pixels_are_attacked_in_their_own_range():
    source = no_pixels(test_factor=3.0)
    learner = made(source, train_size=60, val_size=20, batch_size=20, lr=0.02)
    for epoch in (1, 2, 3):
        learner.train_epoch(epoch)
    found = robustness.diagnose(learner)
    metrics, _ = measure_test(learner)
    assert curve(found)["fgsm"][0] == pytest.approx(metrics["test/error"], abs=1e-12)
    assert curve(found)["pixel_range"] == list(robustness.pixel_range(source))


def test_channels_of_different_units_are_refused():
    robustness.pixel_range(no_pixels((1.0, 0.2)))
    with pytest.raises(DataError, match=r"robustness: spectra .*channel 1 spans \[.*leave out this diagnostic"):
        robustness.diagnose(made(no_pixels((1.0, 0.02)), train_size=60, val_size=20, batch_size=20))


def test_pixels_beyond_the_scale_are_refused():
    with pytest.raises(DataError, match=r"digits has a test pixel of 16, beyond the 15"):
        robustness.pixel_range(dataclasses.replace(SOURCE, scale=15.0))

"""Schedules as tables, groups by shape, and updates against the textbook."""

import math

import pytest
import torch
from torch import nn

from trainable.config import TrialConfig
from trainable.optim import lr_at, make_optimizer, parameter_groups, set_lr


def net():
    return nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(4, 2))


@pytest.mark.parametrize(("settings", "step", "total", "expected"), [
    ({"schedule": "constant"}, 0, 10, 0.1),
    ({"schedule": "constant"}, 9, 10, 0.1),
    ({"schedule": "cosine"}, 0, 10, 0.1),
    ({"schedule": "cosine"}, 5, 10, 0.05),
    ({"schedule": "cosine"}, 9, 10, 0.05 * (1 - math.cos(math.pi / 10))),
    ({"schedule": "cosine"}, 0, 1, 0.1),
    ({"schedule": "step"}, 0, 200, 0.1),
    ({"schedule": "step"}, 99, 200, 0.1),
    ({"schedule": "step"}, 100, 200, 0.01),
    ({"schedule": "step"}, 149, 200, 0.01),
    ({"schedule": "step"}, 150, 200, 0.001),
    ({"schedule": "step"}, 199, 200, 0.001),
    ({"schedule": "step"}, 1, 3, 0.1),
    ({"schedule": "step"}, 2, 3, 0.01),
    ({"schedule": "constant", "warmup_fraction": 0.2}, 0, 10, 0.05),
    ({"schedule": "constant", "warmup_fraction": 0.2}, 1, 10, 0.1),
    ({"schedule": "constant", "warmup_fraction": 0.2}, 2, 10, 0.1),
    ({"schedule": "constant", "warmup_fraction": 0.01}, 0, 10, 0.1),
    ({"schedule": "cosine", "warmup_fraction": 0.5}, 4, 10, 0.1),
    ({"schedule": "cosine", "warmup_fraction": 0.5}, 5, 10, 0.1),
    ({"schedule": "cosine", "warmup_fraction": 0.5}, 7, 10, 0.05 * (1 + math.cos(math.pi * 0.4))),
    ({"schedule": "step", "warmup_fraction": 0.1}, 50, 100, 0.01),
    ({"schedule": "cosine", "warmup_fraction": 0.99}, 2, 3, 0.1),
    ({"schedule": "cosine", "warmup_fraction": 0.99}, 0, 3, 0.1 / 3),
])
def test_the_learning_rate_of_a_step(settings, step, total, expected):
    assert lr_at(step, total, TrialConfig(lr=0.1, **settings)) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("schedule", ["cosine", "step", "constant"])
@pytest.mark.parametrize("warmup", [0.0, 0.1, 0.7])
def test_the_learning_rate_is_positive_at_most_the_peak_and_only_falls_after_warm_up(schedule, warmup):
    config = TrialConfig(lr=0.3, schedule=schedule, warmup_fraction=warmup)
    for total in (1, 2, 7, 1000):
        rates = [lr_at(step, total, config) for step in range(total)]
        assert all(0 < rate <= 0.3 for rate in rates)
        top = rates.index(max(rates))
        assert rates[:top + 1] == sorted(rates[:top + 1])
        assert rates[top:] == sorted(rates[top:], reverse=True)


def test_weights_decay_and_biases_and_normalisation_do_not():
    model = net()
    model[0].bias.requires_grad_(False)
    decayed, undecayed = parameter_groups(model, 0.5)
    assert (decayed["weight_decay"], undecayed["weight_decay"]) == (0.5, 0.0)
    assert [tuple(p.shape) for p in decayed["params"]] == [(4, 1, 3, 3), (2, 4)]
    assert [tuple(p.shape) for p in undecayed["params"]] == [(4,), (4,), (2,)]


def test_sgd_takes_the_textbook_steps():
    model = nn.Linear(3, 2, bias=False)
    optimizer = make_optimizer(model, TrialConfig(lr=0.1, momentum=0.8, weight_decay=0.01))
    weight, velocity = model.weight.detach().clone(), torch.zeros(2, 3)
    for gradient, lr in ((torch.ones(2, 3), 0.1), (torch.full((2, 3), -2.0), 0.05)):
        model.weight.grad = gradient.clone()
        set_lr(optimizer, lr)
        optimizer.step()
        velocity = 0.8 * velocity + gradient + 0.01 * weight
        weight = weight - lr * velocity
        torch.testing.assert_close(model.weight.detach(), weight)


def test_adamw_takes_the_textbook_step_and_decays_apart_from_the_gradient():
    model = nn.Linear(3, 2)
    optimizer = make_optimizer(model, TrialConfig(optimizer="adamw", lr=0.01, momentum=0.9, weight_decay=0.1))
    weight, bias = model.weight.detach().clone(), model.bias.detach().clone()
    model.weight.grad, model.bias.grad = torch.full((2, 3), 5.0), torch.full((2,), -5.0)
    optimizer.step()  # the first step of Adam is the sign of the gradient
    torch.testing.assert_close(model.weight.detach(), weight * (1 - 0.01 * 0.1) - 0.01)
    torch.testing.assert_close(model.bias.detach(), bias + 0.01)


def test_a_model_of_matrices_only_has_one_group():
    assert len(make_optimizer(nn.Linear(2, 2, bias=False), TrialConfig()).param_groups) == 1


def test_set_lr_reaches_every_group():
    optimizer = make_optimizer(net(), TrialConfig(lr=0.1))
    set_lr(optimizer, 0.02)
    assert [group["lr"] for group in optimizer.param_groups] == [0.02, 0.02]

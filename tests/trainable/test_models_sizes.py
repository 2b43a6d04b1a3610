"""Sizes: the arithmetic equals the modules, over widths, depths, shapes and classes."""

import math

import pytest
import torch
from torch import nn

from trainable.config import TrialConfig
from trainable.models import build, size
from trainable.models.sizes import Size, channels

SHAPES = [(1, 8, 8), (3, 32, 32), (1, 28, 28), (3, 15, 17), (2, 1, 3)]
CASES = [
    *({"model": "mlp", "width": width, "depth": depth} for width in (0.01, 0.33, 1.0, 2.0) for depth in (None, 1, 5)),
    *({"model": "convnet", "width": width, "depth": depth} for width in (0.03, 0.25, 0.5, 0.77, 1.0, 3.0) for depth in (None, 3)),
    *({"model": "preact_resnet", "width": width, "depth": depth} for width in (0.02, 0.25) for depth in (18, 34)),
]


def measure(model, shape):
    """Parameters, and multiply-adds counted as one example passes (on the meta device) each convolution and linear map."""
    counts = []

    def count(module, _, output):
        each = module.weight[0].numel()  # multiply-adds behind one value of the output
        counts.append(each * output.numel())

    for module in model.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            module.register_forward_hook(count)
    with torch.no_grad():
        model.eval()(torch.zeros(1, *shape, device="meta"))
    return Size(sum(parameter.numel() for parameter in model.parameters()), sum(counts))


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case['model']}-{case['width']}-{case['depth']}")
def test_the_arithmetic_equals_the_module(case, shape):
    config, num_classes = TrialConfig(**case), 2 + 10 * shape[0]
    with torch.device("meta"):
        model = build(config, shape, num_classes)
    assert size(config, shape, num_classes) == measure(model, shape)


@pytest.mark.parametrize(("config", "shape", "num_classes", "parameters"), [
    (TrialConfig(model="preact_resnet"), (3, 32, 32), 10, 11_172_170),  # 11,173,962 of the well-known ResNet-18 less 1,792
    (TrialConfig(model="convnet"), (1, 8, 8), 10, 42_698),
    (TrialConfig(model="mlp"), (1, 28, 28), 10, 784 * 256 + 256 + 256 * 256 + 256 + 256 * 10 + 10),
])
def test_full_width_counts_by_hand(config, shape, num_classes, parameters):
    assert size(config, shape, num_classes).parameters == parameters


def test_multiply_adds_of_the_known_residual_net():
    found = size(TrialConfig(model="preact_resnet"), (3, 32, 32), 10)
    assert found.multiply_adds == pytest.approx(0.56e9, rel=0.01)  # the figure published for depth 18 on CIFAR


def test_a_torchvision_model_has_no_arithmetic():
    assert size(TrialConfig(model="resnet18"), (3, 32, 32), 10) is None


def test_a_wider_or_deeper_model_is_larger():
    for name in ("mlp", "convnet", "preact_resnet"):
        ladder = [size(TrialConfig(model=name, width=width), (1, 8, 8), 10) for width in (0.25, 0.5, 1.0, 2.0)]
        assert [step.parameters for step in ladder] == sorted({step.parameters for step in ladder})
        assert [step.multiply_adds for step in ladder] == sorted({step.multiply_adds for step in ladder})


@pytest.mark.parametrize(("width", "expected"), [(1.0, 32), (0.25, 8), (0.26, 8), (0.27, 9), (1 / 32, 1), (64.0, 2048)])
def test_the_width_multiplies_channels_to_the_nearest_whole_number(width, expected):
    assert channels(32, TrialConfig(width=width)) == expected


def test_sizes_add_up():
    assert Size(1, 2) + Size(3, 4) == Size(4, 6)
    assert math.isclose(Size(1, 2).multiply_adds, 2)

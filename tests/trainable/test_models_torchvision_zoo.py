"""torchvision's classifiers: adapted to the channels, the classes and our dropout, without a draw from a global generator."""

import pytest
import torch
import torchvision
from torch import nn

from trainable.config import TrialConfig
from trainable.errors import ModelError
from trainable.models import build
from trainable.models.dropout import Dropout, StochasticDepth, attach_generator
from trainable.models.torchvision_zoo import names

CASES = [  # name, channels, pixels a side, dropouts expected: those it has, or one before its classifier
    ("resnet18", 1, 8, 1), ("shufflenet_v2_x0_5", 2, 8, 1), ("squeezenet1_1", 1, 32, 1), ("mobilenet_v3_small", 3, 8, 1),
    ("efficientnet_b0", 1, 8, 1), ("regnet_y_400mf", 1, 8, 1), ("densenet121", 4, 32, 1), ("googlenet", 1, 32, 1),
    ("mnasnet0_5", 3, 8, 1),
]


@pytest.mark.parametrize(("name", "num_channels", "pixels", "num_dropouts"), CASES)
def test_a_classifier_takes_our_images_and_gives_our_classes(name, num_channels, pixels, num_dropouts):
    before = torch.get_rng_state()
    model = build(TrialConfig(model=name, dropout=0.3), (num_channels, pixels, pixels), 7)
    assert model.training
    assert [module.p for module in model.modules() if isinstance(module, Dropout)] == [0.3] * num_dropouts
    assert not any(isinstance(module, nn.Dropout | torchvision.ops.StochasticDepth) for module in model.modules())
    attach_generator(model, torch.Generator().manual_seed(0))
    logits = model(torch.randn(4, num_channels, pixels, pixels, generator=torch.Generator().manual_seed(0)))
    assert logits.shape == (4, 7)
    logits.sum().backward()
    assert torch.equal(torch.get_rng_state(), before)


def test_dropout_stands_before_the_classifier_of_a_model_that_has_none():
    model = build(TrialConfig(model="resnet18", dropout=0.5), (3, 8, 8), 7)
    assert isinstance(model.fc[0], Dropout)
    assert model.fc[1].out_features == 7
    attach_generator(model, torch.Generator().manual_seed(0))
    seen = []
    model.fc[1].register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    model(torch.randn(8, 3, 8, 8))
    assert (seen[0] == 0).float().mean() > 0.4


def test_stochastic_depth_keeps_the_rates_of_the_model():
    theirs = [module.p for module in torchvision.models.efficientnet_b0(weights=None).modules()
              if isinstance(module, torchvision.ops.StochasticDepth)]
    model = build(TrialConfig(model="efficientnet_b0", dropout=0.0), (3, 8, 8), 7)
    assert [module.p for module in model.modules() if isinstance(module, StochasticDepth)] == theirs
    assert max(theirs) > 0.1


def test_three_channels_keep_the_weights_of_the_models_own_initialisation():
    model = build(TrialConfig(model="resnet18"), (3, 8, 8), 1000)
    theirs = torchvision.models.resnet18(weights=None)
    assert sum(p.numel() for p in model.parameters()) == sum(p.numel() for p in theirs.parameters())
    ours, original = (net.conv1.weight.detach().std().item() for net in (model, theirs))
    assert ours == pytest.approx(original, rel=0.1)


@pytest.mark.parametrize(("name", "shape"), [
    ("squeezenet1_1", (3, 8, 8)), ("densenet121", (3, 16, 16)), ("vit_b_32", (3, 33, 33)), ("maxvit_t", (3, 32, 32))])
def test_an_image_size_the_model_cannot_take_is_refused_before_training(name, shape):
    with pytest.raises(ModelError, match=f"model = '{name}': cannot take images of 3 x {shape[1]} x {shape[2]}: ."):
        build(TrialConfig(model=name), shape, 7)


def test_the_names_are_those_of_classifiers_alone():
    assert {"resnet18", "vit_b_16", "efficientnet_b0"} <= set(names())
    assert not {"fasterrcnn_resnet50_fpn", "fcn_resnet50", "raft_large", "r3d_18", "quantized_resnet18"} & set(names())

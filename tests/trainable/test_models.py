"""The registry of models: what a name gives, the same weights for the same replicate, and no draw from a global generator."""

import random
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch

from trainable import models
from trainable.config import TrialConfig
from trainable.errors import ModelError
from trainable.models import build, check, names, validate_name
from trainable.models.dropout import Dropout, attach_generator

DIGITS = (1, 8, 8)
NARROW = {"mlp": 0.05, "convnet": 0.25, "preact_resnet": 0.0625}


def make_config(name, **changes):
    return TrialConfig(**{"model": name, "width": NARROW.get(name, 1.0), **changes})


def weights(model):
    return torch.cat([parameter.detach().flatten() for parameter in model.parameters()])


def test_the_families():
    assert names() == ("mlp", "convnet", "preact_resnet")


@pytest.mark.parametrize("name", names())
@pytest.mark.parametrize("shape", [(1, 8, 8), (3, 32, 32), (1, 28, 28), (2, 7, 9), (3, 1, 1), (1, 1, 50)], ids=str)
def test_every_family_takes_every_image_size(name, shape):
    model = build(make_config(name), shape, 7)
    images = torch.randn(4, *shape)
    assert model.training
    for inputs in (images, images.to(memory_format=torch.channels_last)):
        logits = model.eval()(inputs)
        assert logits.shape == (4, 7)
        assert torch.isfinite(logits).all()
    torch.testing.assert_close(model(images), model(images.to(memory_format=torch.channels_last)), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name", names())
def test_a_gradient_reaches_every_parameter(name):
    model = build(make_config(name), DIGITS, 3)
    torch.nn.functional.cross_entropy(model(torch.randn(16, *DIGITS)), torch.arange(16) % 3).backward()
    assert all(parameter.grad is not None and parameter.grad.abs().sum() > 0 for parameter in model.parameters())


@pytest.mark.parametrize("name", [*names(), "squeezenet1_1"])
def test_equal_replicates_begin_with_equal_weights_and_others_do_not(name):
    shape = (3, 32, 32) if name == "squeezenet1_1" else DIGITS
    config = make_config(name)
    first = weights(build(config, shape, 5))
    torch.rand(3)  # the state of the global generator makes no difference
    for same in (config, replace(config, alpha=3.0, weight_decay=0.0, epochs=2, dropout=0.4, lr=0.5)):
        assert torch.equal(first, weights(build(same, shape, 5)))
    for other in (replace(config, seed=1), replace(config, split=1), replace(config, repeat=1)):
        assert not torch.equal(first, weights(build(other, shape, 5)))


@pytest.mark.parametrize("name", [*names(), "shufflenet_v2_x0_5"])
def test_building_and_training_leave_every_global_generator_as_it_was(name):
    def states():
        return torch.get_rng_state().tolist(), np.random.get_state()[1].tolist(), random.getstate()

    before = states()
    model = build(make_config(name, dropout=0.5), DIGITS if name in names() else (1, 32, 32), 5)
    attach_generator(model, torch.Generator().manual_seed(1))
    model(torch.ones(4, *(DIGITS if name in names() else (1, 32, 32)))).sum().backward()
    assert states() == before


def test_weights_are_the_same_in_another_process():
    code = ("from trainable.config import TrialConfig; from trainable.models import build;"
            "print(repr([p.double().sum().item() for p in build(TrialConfig(width=0.25), (1, 8, 8), 10).parameters()]))")
    text = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    here = [p.double().sum().item() for p in build(TrialConfig(width=0.25), DIGITS, 10).parameters()]
    assert text.strip() == repr(here)


@pytest.mark.parametrize("name", names())
def test_the_dropout_probability_of_the_config_is_in_the_model(name):
    found = [module.p for module in build(make_config(name, dropout=0.35), DIGITS, 5).modules() if isinstance(module, Dropout)]
    assert found
    assert set(found) == {0.35}


def test_dropout_falls_on_the_input_of_the_classifier():
    model = build(make_config("convnet", dropout=0.5), DIGITS, 5)
    attach_generator(model, torch.Generator().manual_seed(0))
    seen = []
    model.classifier.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    model(torch.randn(64, *DIGITS))
    model.eval()(torch.randn(64, *DIGITS))
    trained, evaluated = ((values == 0).float().mean() for values in seen)
    assert trained > evaluated + 0.3


WRONG = [
    ({"model": "convnt"}, "model = 'convnt': must be one of mlp, convnet, preact_resnet or a torchvision classifier"
                          "; did you mean convnet"),
    ({"model": "resnet_18"}, "did you mean resnet18"),
    ({"model": "xyzzy"}, "or a torchvision classifier$"),
    ({"model": "resnet18", "width": 0.5}, "width = 0.5, depth = None: .*resnet18 fixes its size"),
    ({"model": "resnet18", "depth": 18}, "depth = 18: .*resnet18 fixes its size"),
    ({"model": "squeezenet1_1"}, "model = 'squeezenet1_1': cannot take images of 1 x 8 x 8"),
    ({"depth": 4}, "depth = 4: convnet always has 3 layers"),
    ({"model": "preact_resnet", "depth": 50}, "depth = 50: preact_resnet comes in 18 and 34"),
    ({"width": 0.01}, "width = 0.01: leaves convnet nothing of a layer of 32 units; must be above 0.015625"),
    ({"model": "mlp", "width": 0.001}, "leaves mlp nothing"),
    ({"model": "preact_resnet", "width": 0.007}, "leaves preact_resnet nothing"),
]


@pytest.mark.parametrize("ask", [check, build])
@pytest.mark.parametrize(("changes", "text"), WRONG, ids=lambda value: str(value)[:40])
def test_a_model_that_cannot_be_built_is_refused_with_the_reason(ask, changes, text):
    with pytest.raises(ModelError, match=text):
        ask(TrialConfig(**changes), DIGITS, 10)


def test_a_name_of_ours_or_of_torchvision_is_valid():
    for name in (*names(), "resnet18", "vit_b_16"):
        validate_name(name)


def test_checking_our_families_needs_no_torch():
    code = ("import sys; from trainable.config import TrialConfig; from trainable import models;"
            "[models.check(TrialConfig(model=name), (1, 8, 8), 10) for name in models.names()];"
            "print(sorted({'torch', 'torchvision'} & set(sys.modules)))")
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "[]"


def test_every_family_has_a_line_of_help():
    assert all(models.FAMILIES.values())

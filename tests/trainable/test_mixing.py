"""What happens to inputs on the device, against torchvision's transforms and against explicit sums."""

from unittest import mock

import numpy as np
import pytest
import torch
from torch import nn
from torchvision.transforms import v2

from trainable.config import TrialConfig
from trainable.mixing import Pairs, add_noise, blend, mix, mixed_output, paste, shrink
from trainable.pairing import partners
from trainable.seeding import numpy_stream
from trainable.vicinity import Examples, draw_epoch


def test_mixing_agrees_with_torchvision_when_fed_its_lambda_and_its_pairing():
    images, labels, lam = torch.randn(8, 3, 5, 5), torch.arange(8) % 4, 0.3
    theirs = v2.MixUp(alpha=1.0, num_classes=4)
    with mock.patch.object(theirs, "make_params", return_value={"lam": lam, "labels": labels, "batch_size": 8}):
        expected, expected_labels = theirs(images, labels)
    partner = torch.from_numpy(partners(8, "roll", numpy_stream(0)))
    torch.testing.assert_close(mix(images, partner, lam), expected)
    one_hot = torch.nn.functional.one_hot(labels, 4).float()
    torch.testing.assert_close(mix(one_hot, partner, lam), expected_labels)


def test_a_lambda_a_sample_is_the_same_as_mixing_each_alone():
    images, partner, lam = torch.randn(6, 2, 3, 3), torch.tensor([1, 2, 3, 4, 5, 0]), torch.rand(6)
    expected = torch.stack([lam[b] * images[b] + (1 - lam[b]) * images[partner[b]] for b in range(6)])
    torch.testing.assert_close(mix(images, partner, lam), expected)


@pytest.mark.parametrize("lam", [1.0, torch.ones(6)])
def test_lambda_one_gives_the_images_back_bit_for_bit(lam):
    images = torch.randn(6, 1, 4, 4)
    assert torch.equal(mix(images, torch.randperm(6, generator=torch.Generator()), lam), images)


@pytest.mark.parametrize("change", [
    blend, paste,
    lambda images, _: shrink(images, images.mean(0, keepdim=True), 0.6),
    lambda images, _: add_noise(images, 0.5, torch.Generator().manual_seed(0)),
], ids=["blend", "paste", "shrink", "noise"])
def test_nothing_writes_to_its_input(change):
    images = torch.randn(6, 1, 4, 4)
    before = images.clone()
    change(images, Pairs(0.3, torch.arange(6).roll(1), box_B4=torch.tensor([[0, 2, 1, 3]] * 6)))
    assert torch.equal(images, before)


def test_partners_from_elsewhere_are_blended_as_those_within():
    images, partner = torch.randn(5, 1, 2, 2), torch.tensor([4, 3, 2, 1, 0])
    assert torch.equal(blend(images, Pairs(0.4, images_BX=images[partner])), blend(images, Pairs(0.4, partner)))


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize(("height", "width"), [(8, 8), (32, 32), (7, 12)])
def test_cutmix_agrees_with_torchvision_when_fed_the_same_draws(seed, height, width):
    images, labels = torch.randn(6, 3, height, width), torch.arange(6) % 3
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        theirs, their_labels = v2.CutMix(alpha=1.0, num_classes=3)(images, labels)
        torch.manual_seed(seed)  # its own three draws, in its order
        lam = float(torch.distributions.Beta(torch.tensor([1.0]), torch.tensor([1.0])).sample(()))
        column, row = int(torch.randint(width, (1,))), int(torch.randint(height, (1,)))
    streams = {"lam": Uniforms([lam]), "box": Uniforms([[row / height, column / width]]), "order": numpy_stream(0, "order"),
               "pairing": numpy_stream(0)}
    config = TrialConfig(method="cutmix", alpha=1.0, pairing="roll", batch_size=6)  # at alpha 1 the uniform is lambda
    draws = draw_epoch(config, Examples(labels.numpy(), height, width), 1, streams.__getitem__)
    box = torch.from_numpy(draws.box_N4)
    partner = torch.from_numpy(draws.local_N)
    ours = paste(images, Pairs(lam, partner, box_B4=box))
    assert torch.equal(ours, theirs)
    one_hot = torch.nn.functional.one_hot(labels, 3).double()
    own = torch.from_numpy(draws.own_N)[:, None]
    torch.testing.assert_close(own * one_hot + (1 - own) * one_hot[partner], their_labels.double(), rtol=0, atol=1e-7)


class Uniforms:
    """A stream that gives what it was told, a hair above each value so that no rounding drops it into the next bin."""

    def __init__(self, values):
        self.values = np.array(values)

    def random(self, size):
        return self.values.reshape(size) + (1e-9 if self.values.ndim > 1 else 0)


def test_the_pasted_box_is_half_open_and_the_rest_is_the_examples_own():
    images = torch.stack([torch.zeros(1, 4, 5), torch.ones(1, 4, 5)])
    found = paste(images, Pairs(0.5, torch.tensor([1, 0]), box_B4=torch.tensor([[1, 3, 0, 2], [0, 0, 0, 5]])))
    expected = torch.zeros(4, 5)
    expected[1:3, 0:2] = 1
    assert torch.equal(found[0, 0], expected)
    assert torch.equal(found[1], images[1])


def test_shrinking_pulls_to_the_mean_by_theta_bar():
    images, mean = torch.randn(6, 2, 3, 3, dtype=torch.float64), torch.randn(1, 2, 3, 3, dtype=torch.float64)
    torch.testing.assert_close(shrink(images, mean, 0.7), mean + 0.7 * (images - mean), rtol=1e-14, atol=1e-15)
    assert torch.equal(shrink(images, mean, 1.0), images)


def test_noise_is_normal_and_scales_with_its_deviation():
    images = torch.zeros(400, 1, 10, 10)
    one, two = (add_noise(images, std, torch.Generator().manual_seed(3)) for std in (0.5, 1.0))
    torch.testing.assert_close(2 * one, two)
    assert two.mean().item() == pytest.approx(0, abs=5 / 200)
    assert two.var().item() == pytest.approx(1, abs=5 * np.sqrt(2 / 40_000))


def test_a_hidden_layer_is_mixed_within_the_context_only():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2)).double()
    inputs, partner = torch.randn(5, 3, dtype=torch.float64), torch.tensor([1, 2, 3, 4, 0])
    hidden = model[:2](inputs)
    with mixed_output(model[1], Pairs(0.3, partner)):
        mixed = model(inputs)
    torch.testing.assert_close(mixed, model[2](0.3 * hidden + 0.7 * hidden[partner]))
    assert torch.equal(model(inputs), model[2](hidden))

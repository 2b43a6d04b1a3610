"""Order, minibatches, pairings, lambdas; and mixing, held against torchvision's own MixUp."""

import dataclasses
from unittest import mock

import numpy as np
import pytest
import torch
from torchvision.transforms import v2

from trainable.config import TrialConfig
from trainable.seeding import numpy_stream
from trainable.vicinity import Streams, batch_bounds, draw_epoch, mix, partners

CONFIG = TrialConfig(alpha=0.4, batch_size=16)


def streams(seed=0):
    return Streams(*(numpy_stream(seed, name) for name in ("order", "pairing", "lam")))


def draw(num_examples=100, seed=0, **changes):
    return draw_epoch(num_examples, dataclasses.replace(CONFIG, **changes), streams(seed))


@pytest.mark.parametrize(("num_examples", "size", "sizes"), [
    (1000, 128, [125] * 8), (128, 128, [128]), (129, 128, [64, 65]), (127, 128, [127]), (2, 1, [1, 1]),
    (256, 128, [128, 128]), (257, 128, [85, 86, 86]), (3, 2, [1, 2]), (10, 4, [3, 3, 4]),
])
def test_minibatches_are_as_few_and_as_equal_as_can_be(num_examples, size, sizes):
    bounds = batch_bounds(num_examples, size)
    assert [stop - start for start, stop in bounds] == sizes
    assert [0, *[stop for _, stop in bounds]] == [*[start for start, _ in bounds], num_examples]


def test_every_example_is_visited_once():
    np.testing.assert_array_equal(np.sort(draw().order_N), np.arange(100))


def test_alpha_moves_lambda_and_nothing_else():
    small, large = draw(alpha=0.1), draw(alpha=8.0)
    np.testing.assert_array_equal(small.order_N, large.order_N)
    np.testing.assert_array_equal(small.partner_N, large.partner_N)
    assert small.bounds == large.bounds
    assert (np.abs(small.lam_N - 0.5) > np.abs(large.lam_N - 0.5)).all()
    assert ((small.lam_N > 0.5) == (large.lam_N > 0.5)).all()


def test_equal_streams_agree_and_different_streams_differ():
    one, same, other = draw(), draw(), draw(seed=1)
    for name in ("order_N", "partner_N", "lam_N"):
        np.testing.assert_array_equal(getattr(one, name), getattr(same, name))
        assert (getattr(one, name) != getattr(other, name)).any()


def test_one_lambda_a_minibatch_or_one_a_sample():
    per_batch, per_sample = draw(), draw(lam_per="sample")
    assert all(len(set(per_batch.lam_N[start:stop])) == 1 for start, stop in per_batch.bounds)
    assert len(set(per_batch.lam_N)) == len(per_batch.bounds)
    assert len(set(per_sample.lam_N)) == 100


def test_alpha_zero_mixes_nothing():
    assert (draw(alpha=0.0).lam_N == 1.0).all()


@pytest.mark.parametrize("pairing", ["permutation", "roll"])
def test_partners_are_a_rearrangement_of_the_minibatch(pairing):
    drawn = draw(pairing=pairing)
    for start, stop in drawn.bounds:
        np.testing.assert_array_equal(np.sort(drawn.partner_N[start:stop]), np.arange(stop - start))


@pytest.mark.parametrize("pairing", ["permutation", "roll"])
def test_partners_in_the_split_are_those_within_the_minibatch(pairing):
    drawn = draw(pairing=pairing)
    expected = np.concatenate([drawn.order_N[start:stop][drawn.partner_N[start:stop]] for start, stop in drawn.bounds])
    np.testing.assert_array_equal(drawn.partners_in_split(), expected)


@pytest.mark.parametrize("size", [2, 3, 16])
def test_a_roll_pairs_nobody_with_itself(size):
    assert (partners(size, "roll", numpy_stream(0)) != np.arange(size)).all()


@pytest.mark.parametrize("size", [2, 16, 128])
def test_a_permutation_pairs_one_in_its_size_with_itself(size):
    stream = numpy_stream(0, "self pairs")
    met = np.mean([(partners(size, "permutation", stream) == np.arange(size)).mean() for _ in range(4000)])
    assert met == pytest.approx(1 / size, abs=5 / size / np.sqrt(4000))  # the number of self pairs has variance 1


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


def test_mixing_leaves_its_input_alone():
    images = torch.randn(6, 1, 4, 4)
    before = images.clone()
    mix(images, torch.arange(6).roll(1), 0.3)
    assert torch.equal(images, before)

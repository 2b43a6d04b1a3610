"""Pixels to network input, and crop and flip against a loop that does one image at a time."""

import dataclasses

import numpy as np
import pytest
import torch

from trainable.augment import Normalise, crop_flip, draw_crop_flip, margin, resolve_augment
from trainable.config import TrialConfig
from trainable.data.source import Raw, make_source
from trainable.errors import DataError
from trainable.seeding import numpy_stream

CPU = torch.device("cpu")


def source(dtype=np.uint8, num_channels=3):
    stream = np.random.default_rng(0)
    images = stream.integers(256, size=(40, num_channels, 8, 8)).astype(dtype)
    labels = np.arange(40) % 4
    return make_source("noise", Raw(place="test", images_NCHW=images, labels_N=labels, test_images_NCHW=images,
                                    test_labels_N=labels, class_names=("a", "b", "c", "d"), augment="crop_flip"))


@pytest.mark.parametrize("num_channels", [1, 3])
@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_normalised_images_have_mean_zero_and_spread_one_in_each_channel(dtype, num_channels):
    data = source(dtype, num_channels)
    found = Normalise(data, CPU)(torch.from_numpy(data.images.copy()))
    assert found.dtype == torch.float32
    assert found.is_contiguous(memory_format=torch.channels_last)
    torch.testing.assert_close(found.mean((0, 2, 3)), torch.zeros(num_channels), rtol=0, atol=1e-5)
    torch.testing.assert_close(found.std((0, 2, 3), correction=0), torch.ones(num_channels), rtol=0, atol=1e-5)


def test_normalising_never_writes_to_its_input():
    data = source(np.float32)
    images = torch.from_numpy(data.images.copy())
    Normalise(data, CPU)(images)
    np.testing.assert_array_equal(images.numpy(), data.images)


@pytest.mark.parametrize(("height", "expected"), [(32, 4), (28, 3), (8, 1), (4, 1), (96, 12)])
def test_the_margin_grows_with_the_image(height, expected):
    assert margin(height) == expected


def one_at_a_time(image, row, column, mirror):
    pad = margin(image.shape[1])
    padded = np.pad(image, ((0, 0), (pad, pad), (pad, pad)))
    crop = padded[:, row:row + image.shape[1], column:column + image.shape[2]]
    return crop[:, :, ::-1] if mirror else crop


@pytest.mark.parametrize("shape", [(1, 8, 8), (3, 16, 16), (3, 16, 24)])
def test_crop_and_flip_agree_with_one_image_at_a_time(shape):
    images = np.random.default_rng(1).integers(256, size=(50, *shape)).astype(np.uint8)
    draws = draw_crop_flip(50, shape[1], numpy_stream(0, "augment"))
    found = crop_flip(torch.from_numpy(images), torch.from_numpy(draws))
    assert found.dtype == torch.uint8
    np.testing.assert_array_equal(found, np.stack([one_at_a_time(x, *d) for x, d in zip(images, draws, strict=True)]))


def test_the_middle_crop_unmirrored_changes_nothing():
    images = torch.arange(2 * 3 * 8 * 8).reshape(2, 3, 8, 8)
    assert torch.equal(crop_flip(images, torch.tensor([[1, 1, 0]] * 2)), images)


def test_every_offset_and_both_sides_are_drawn_equally_often():
    draws = draw_crop_flip(9_000, 32, numpy_stream(0, "augment"))
    assert set(np.unique(draws[:, :2])) == set(range(9))
    assert np.abs(np.bincount(draws[:, 0]) / 1000 - 1).max() < 0.15
    assert abs(draws[:, 2].mean() - 0.5) < 0.03


@pytest.mark.parametrize(("setting", "expected"), [("auto", "crop_flip"), ("none", "none"), ("crop_flip", "crop_flip")])
def test_auto_is_what_the_dataset_says(setting, expected):
    assert resolve_augment(TrialConfig(augment=setting), source()) == expected
    plain = dataclasses.replace(source(), augment="none")
    assert resolve_augment(TrialConfig(augment="auto"), plain) == "none"


def test_crop_and_flip_of_data_that_are_no_pixels_are_refused():
    with pytest.raises(DataError, match="augment = crop_flip: noise holds float32 values"):
        resolve_augment(TrialConfig(augment="crop_flip"), source(np.float32))

"""Source: whatever a reader found is checked, measured and digested before anything may use it."""

import dataclasses
import pickle

import numpy as np
import pytest

from trainable.data.source import Raw, channel_statistics, make_source
from trainable.errors import DataError


def make_raw(**changes):
    """30 + 12 sound examples of 3 classes, 2 channels, 4 x 5 pixels."""
    stream = np.random.default_rng(0)
    sound = {"place": "/data/some", "images_NCHW": stream.integers(256, size=(30, 2, 4, 5), dtype=np.uint8),
             "labels_N": np.arange(30) % 3, "test_images_NCHW": stream.integers(256, size=(12, 2, 4, 5), dtype=np.uint8),
             "test_labels_N": np.arange(12) % 3, "class_names": ("a", "b", "c")}
    return Raw(**{**sound, **changes})


def with_nan():
    images = np.ones((30, 2, 4, 5), np.float32)
    images[17, 1, 2, 3] = np.nan
    return images


DAMAGE = {
    "no examples": ({"images_NCHW": np.zeros((0, 2, 4, 5), np.uint8)}, "pool images: there are none"),
    "no test examples": ({"test_images_NCHW": np.zeros((0, 2, 4, 5), np.uint8)}, "test images: there are none"),
    "an axis too few": ({"images_NCHW": np.zeros((30, 4, 5), np.uint8)}, r"shape is \(30, 4, 5\), must be \(examples, chan"),
    "no pixels": ({"images_NCHW": np.zeros((30, 2, 0, 5), np.uint8)}, r"shape is \(30, 2, 0, 5\)"),
    "another type": ({"images_NCHW": np.zeros((30, 2, 4, 5))}, "type is float64, must be uint8 or float32"),
    "NaN pixel": ({"images_NCHW": with_nan()}, "pool images: example 17 holds NaN"),
    "infinite pixel": ({"test_images_NCHW": np.full((12, 2, 4, 5), np.inf, np.float32)}, "test images: example 0 holds NaN"),
    "test of another shape": ({"test_images_NCHW": np.zeros((12, 2, 5, 4), np.uint8)}, r"test images have shape \(2, 5, 4\)"),
    "a label too few": ({"labels_N": np.arange(29) % 3}, r"pool labels: shape is \(29,\), must be \(30,\)"),
    "labels with two axes": ({"labels_N": np.zeros((30, 1), int)}, r"shape is \(30, 1\)"),
    "fractional labels": ({"test_labels_N": np.arange(12) / 4}, "test labels: type is float64, must be whole numbers"),
    "label too large": ({"labels_N": np.arange(30) % 4}, r"example 3 has label 3, must be in \[0, 2\]"),
    "label negative": ({"test_labels_N": np.arange(12) % 3 - 1}, r"example 0 has label -1, must be in \[0, 2\]"),
    "one class in the pool": ({"labels_N": np.full(30, 2)}, "pool labels: every label is 2; at least two"),
    "one class in the test": ({"test_labels_N": np.zeros(12, int)}, "test labels: every label is 0; at least two"),
    "a dead channel": ({"images_NCHW": make_raw().images_NCHW * np.array([1, 0], np.uint8)[:, None, None]},
                       "channel 1 has the same value in every pixel"),
}


@pytest.mark.parametrize(("changes", "text"), DAMAGE.values(), ids=DAMAGE)
def test_damage_is_named_with_its_place(changes, text):
    with pytest.raises(DataError, match=rf"^/data/some: .*{text}"):
        make_source("some", make_raw(**changes))


def test_a_sound_source_has_int64_labels_and_read_only_arrays():
    source = make_source("some", make_raw(labels_N=(np.arange(30) % 3).astype(np.uint8)))
    assert source.labels.dtype == source.test_labels.dtype == np.int64
    assert source.shape == (2, 4, 5)
    assert source.num_classes == 3
    for array in (source.images, source.labels, source.test_images, source.test_labels):
        assert array.flags.c_contiguous
        assert not array.flags.writeable


def test_a_source_survives_pickling():
    source = make_source("some", make_raw())
    copy = pickle.loads(pickle.dumps(source))
    assert copy.digest == source.digest
    assert np.array_equal(copy.images, source.images)


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
@pytest.mark.parametrize("num_examples", [1, 1023, 1024, 1025])  # around the chunk of the streaming passes
def test_statistics_are_those_of_the_scaled_images(dtype, num_examples):
    images = np.random.default_rng(1).integers(256, size=(num_examples, 3, 2, 2))
    mean, std = channel_statistics(images.astype(dtype), 16.0)
    assert mean == pytest.approx((images / 16.0).mean(axis=(0, 2, 3)).tolist(), rel=1e-12)
    assert std == pytest.approx((images / 16.0).std(axis=(0, 2, 3)).tolist(), rel=1e-12)


def test_the_spread_is_not_lost_beside_a_large_mean():
    images = (1e4 + np.arange(4096) % 2).astype(np.float32).reshape(-1, 1, 2, 2)
    mean, std = channel_statistics(images, 1.0)
    assert (mean, std) == (pytest.approx((10_000.5,)), pytest.approx((0.5,), rel=1e-9))


def test_statistics_of_the_pool_alone_are_kept():
    raw = make_raw()
    mean = make_source("some", dataclasses.replace(raw, test_images_NCHW=raw.test_images_NCHW // 2)).mean
    assert mean == make_source("some", raw).mean == channel_statistics(raw.images_NCHW, 255.0)[0]


def altered(array):
    copy = array.copy()
    copy.reshape(-1)[-1] = (copy.reshape(-1)[-1] + 1) % 3
    return copy


CHANGES = {"images_NCHW": altered, "labels_N": altered, "test_images_NCHW": altered, "test_labels_N": altered,
           "scale": lambda scale: scale / 2, "augment": lambda _: "crop_flip", "class_names": lambda names: (*names, "d")}


@pytest.mark.parametrize("field", CHANGES)
def test_the_digest_moves_with_everything_that_can_change_a_number(field):
    raw = make_raw()
    changed = dataclasses.replace(raw, **{field: CHANGES[field](getattr(raw, field))})
    assert make_source("some", changed).digest != make_source("some", raw).digest


def test_the_digest_ignores_where_the_data_lie_and_how_the_labels_are_stored():
    moved = make_raw(place="/elsewhere", labels_N=(np.arange(30) % 3).astype(np.int32))
    digest = make_source("some", make_raw()).digest
    assert make_source("other", moved).digest == digest
    assert len(digest) == 16
    assert int(digest, 16) >= 0

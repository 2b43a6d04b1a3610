"""digits: every example of the library's set, once, in the pool or in the test set."""

import subprocess
import sys

import numpy as np
import pytest
from sklearn.datasets import load_digits

from trainable.data import facts, load


def rows(images, labels):
    return sorted(map(tuple, np.concatenate([images.reshape(len(images), -1), labels[:, None]], axis=1).tolist()))


def test_pool_and_test_hold_every_digit_once_without_loss():
    source, bunch = load("digits"), load_digits()
    ours = rows(np.concatenate([source.images, source.test_images]), np.concatenate([source.labels, source.test_labels]))
    assert ours == rows(bunch.images, bunch.target)


def test_the_registry_states_the_true_sizes():
    source, known = load("digits"), facts("digits")
    assert (len(source.labels), len(source.test_labels)) == (known.pool_size, known.test_size) == (1297, 500)
    assert source.shape == known.shape == (1, 8, 8)
    assert source.num_classes == known.num_classes == 10


def test_pixels_are_bytes_from_0_to_16_and_16_stands_for_1():
    source = load("digits")
    assert source.images.dtype == np.uint8
    assert (source.images.min(), source.images.max(), source.scale) == (0, 16, 16.0)
    assert source.mean == pytest.approx((source.images.mean() / 16,), rel=1e-12)
    assert source.augment == "none"


def test_the_seed_decides_the_test_set():
    assert load("digits", seed=0).digest == load("digits", seed=0).digest
    assert load("digits", seed=0).digest != load("digits", seed=1).digest


def test_the_digest_is_the_same_in_another_process_which_needs_no_torch():
    code = "import sys; from trainable.data import load; print(load('digits').digest, 'torch' in sys.modules)"
    text = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert text.split() == [load("digits").digest, "False"]

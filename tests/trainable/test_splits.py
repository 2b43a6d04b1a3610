"""Splits: the same data for every arm and repeat, disjoint where they say so, and label noise of a known rate."""

import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

from trainable.config import TrialConfig
from trainable.data import load
from trainable.data.source import Raw, make_source
from trainable.data.splits import make_split, max_splits, split_sizes
from trainable.errors import DataError

POOL = 1297
DIGITS = TrialConfig(train_size=200, val_size=50)


@pytest.fixture(scope="module")
def digits():
    return load("digits")


def same(one, other):
    return all(np.array_equal(getattr(one, name), getattr(other, name))
               for name in ("train_index", "val_index", "train_labels", "corrupted"))


@pytest.mark.parametrize(("changes", "expected"), [
    ({}, (1038, 259)),  # a fifth of the pool validates, all others train
    ({"val_size": 297}, (1000, 297)),
    ({"train_size": 500}, (500, 259)),
    ({"train_size": 1000, "val_size": 297}, (1000, 297)),
    ({"train_size": 128, "val_size": 1}, (128, 1)),
])
def test_sizes_are_as_asked_or_take_what_is_left(digits, changes, expected):
    config = TrialConfig(**changes)
    assert split_sizes(POOL, config) == expected
    split = make_split(digits, config)
    assert (len(split.train_index), len(split.val_index)) == expected


@pytest.mark.parametrize(("pool_size", "changes", "text"), [
    (POOL, {"train_size": 1001, "val_size": 297}, "need 1298 examples; the pool of digits has 1297"),
    (POOL, {"val_size": 1296}, "leaves train_size = 1 and val_size = 1296"),
    (POOL, {"val_size": 2000}, "leaves train_size = -703"),
    (4, {"batch_size": 1}, "leaves train_size = 4 and val_size = 0"),
    (POOL, {"train_size": 127}, "batch_size = 128: must be at most 127"),
])
def test_sizes_the_pool_cannot_give_are_refused_with_the_numbers(pool_size, changes, text):
    with pytest.raises(DataError, match=text):
        split_sizes(pool_size, TrialConfig(**changes))


def test_a_batch_as_large_as_the_split_is_allowed():
    assert split_sizes(POOL, TrialConfig(train_size=128)) == (128, 259)


@pytest.mark.parametrize("kind", ["holdout", "disjoint"])
def test_no_example_trains_and_validates(digits, kind):
    for number in range(5):
        split = make_split(digits, replace(DIGITS, split_kind=kind, split=number))
        drawn = np.concatenate([split.train_index, split.val_index])
        assert len(set(drawn.tolist())) == len(drawn)
        assert drawn.min() >= 0
        assert drawn.max() < POOL


def test_disjoint_splits_share_nothing_and_end_where_the_pool_ends(digits):
    config = replace(DIGITS, split_kind="disjoint", train_size=209)  # 5 x (209 + 50) = 1295
    assert max_splits(POOL, config) == 5
    splits = [make_split(digits, replace(config, split=number)) for number in range(5)]
    drawn = np.concatenate([index for split in splits for index in (split.train_index, split.val_index)])
    assert len(set(drawn.tolist())) == 1295
    with pytest.raises(DataError, match="split = 5: the pool of 1297 examples holds 5 disjoint splits of 209 \\+ 50"):
        make_split(digits, replace(config, split=5))


def test_holdout_splits_have_no_limit_and_differ(digits):
    assert max_splits(POOL, DIGITS) is None
    assert not same(make_split(digits, DIGITS), make_split(digits, replace(DIGITS, split=1)))
    assert len(make_split(digits, replace(DIGITS, split=999)).train_index) == 200


OTHER_ARMS = [{"alpha": 8.0}, {"width": 0.25}, {"epochs": 3}, {"dropout": 0.5}, {"weight_decay": 0.0}, {"repeat": 7}]


@pytest.mark.parametrize("changes", OTHER_ARMS, ids=str)
def test_every_arm_and_repeat_meets_the_same_split(digits, changes):
    config = replace(DIGITS, label_noise=0.3)
    assert same(make_split(digits, config), make_split(digits, replace(config, **changes)))


@pytest.mark.parametrize("kind", ["holdout", "disjoint"])
def test_seeds_decide_the_split(digits, kind):
    config = replace(DIGITS, split_kind=kind, label_noise=0.5)
    assert same(make_split(digits, config), make_split(digits, config))
    assert not same(make_split(digits, config), make_split(digits, replace(config, seed=1)))


def test_a_split_is_the_same_in_another_process():
    code = ("import numpy as np; from trainable.config import TrialConfig;"
            "from trainable.data.source import Raw, make_source; from trainable.data.splits import make_split;"
            "images = np.arange(6000, dtype=np.uint8).reshape(-1, 1, 2, 2); labels = np.arange(1500) % 7;"
            "raw = Raw(place='', images_NCHW=images, labels_N=labels, test_images_NCHW=images, test_labels_N=labels,"
            "          class_names=tuple('abcdefg'));"
            "s = make_split(make_source('', raw), TrialConfig(label_noise=0.2, split=3));"
            "shown = [a.tolist() for a in (s.train_index, s.val_index, s.train_labels, s.corrupted)], s.realised_noise;")
    text = subprocess.run([sys.executable, "-c", code + "print(shown)"], capture_output=True, text=True, check=True).stdout
    here: dict[str, object] = {}
    exec(code, here)
    assert text.strip() == str(here["shown"])


def test_another_training_size_keeps_the_validation_set_and_the_first_examples(digits):
    small, large = (make_split(digits, replace(DIGITS, train_size=size)) for size in (200, 900))
    assert np.array_equal(small.val_index, large.val_index)
    assert np.array_equal(small.train_index, large.train_index[:200])


def test_without_noise_the_labels_are_the_true_ones(digits):
    split = make_split(digits, DIGITS)
    assert np.array_equal(split.train_labels, digits.labels[split.train_index])
    assert split.train_labels.dtype == split.train_index.dtype == split.val_index.dtype == np.int64
    assert not split.corrupted.any()
    assert split.realised_noise == 0


@pytest.mark.parametrize("share", [0.001, 0.2, 0.5, 0.8, 1.0])
def test_exactly_the_nominal_share_is_replaced_and_only_that(digits, share):
    split = make_split(digits, TrialConfig(label_noise=share, train_size=1000))
    truth = digits.labels[split.train_index]
    assert split.corrupted.sum() == round(share * 1000)
    assert np.array_equal(split.train_labels[~split.corrupted], truth[~split.corrupted])
    assert split.realised_noise == (split.train_labels != truth).mean()


def test_replaced_labels_are_uniform_over_all_classes_the_true_one_included():
    labels = np.repeat(np.arange(10), 2000)
    images = np.random.default_rng(0).integers(256, size=(20_000, 1, 1, 1), dtype=np.uint8)
    source = make_source("many", Raw(place="many", images_NCHW=images, labels_N=labels, test_images_NCHW=images,
                                     test_labels_N=labels, class_names=tuple("0123456789")))
    split = make_split(source, TrialConfig(label_noise=0.8, val_size=100))
    num_replaced = int(split.corrupted.sum())
    truth = labels[split.train_index]
    hits = (split.train_labels == truth)[split.corrupted].mean()
    assert hits == pytest.approx(0.1, abs=5 * np.sqrt(0.09 / num_replaced))  # one in ten draws is the true class
    counts = np.bincount(split.train_labels[split.corrupted], minlength=10)
    assert ((counts - num_replaced / 10) ** 2).sum() / (num_replaced / 10) < 33.7  # chi2, 9 d.f., p = 1e-4
    assert split.realised_noise == pytest.approx(0.72, abs=0.01)


def test_more_noise_replaces_the_same_labels_and_more(digits):
    less, more = (make_split(digits, TrialConfig(label_noise=share)) for share in (0.2, 0.5))
    assert more.corrupted[less.corrupted].all()
    assert np.array_equal(more.train_labels[less.corrupted], less.train_labels[less.corrupted])


def test_the_noise_of_two_splits_is_drawn_apart(digits):
    one, two = (make_split(digits, replace(DIGITS, label_noise=0.5, split=number)) for number in (0, 1))
    assert not np.array_equal(one.corrupted, two.corrupted)


def test_a_training_part_of_one_class_is_refused():
    labels = np.array([0] * 99 + [1])
    images = np.random.default_rng(0).integers(256, size=(100, 1, 2, 2), dtype=np.uint8)
    source = make_source("rare", Raw(place="rare", images_NCHW=images, labels_N=labels, test_images_NCHW=images,
                                     test_labels_N=labels, class_names=("common", "rare")))
    with pytest.raises(DataError, match="rare: all 2 training examples of split 0 are of class 0; raise train_size"):
        make_split(source, TrialConfig(train_size=2, val_size=2, batch_size=2))

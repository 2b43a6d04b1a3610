"""Order, minibatches, pairings, lambdas; and mixing, held against torchvision's own MixUp."""

import dataclasses

import numpy as np
import pytest

from trainable.config import TrialConfig
from trainable.seeding import numpy_stream
from trainable.vicinity import Examples, batch_bounds, draw_epoch

CONFIG = TrialConfig(alpha=0.4, batch_size=16)


LABELS = np.arange(100) % 7


def draw(seed=0, epoch=1, examples=None, **changes):
    examples = examples or Examples(LABELS, height=8, width=8)
    return draw_epoch(dataclasses.replace(CONFIG, **changes), examples, epoch, lambda name: numpy_stream(seed, name))


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
    drawn = draw(alpha=0.0)
    assert drawn.plain
    assert drawn.lam_N is None
    np.testing.assert_array_equal(drawn.partner_N, drawn.order_N)


@pytest.mark.parametrize("pairing", ["permutation", "roll"])
def test_partners_are_a_rearrangement_of_the_minibatch(pairing):
    drawn = draw(pairing=pairing)
    for start, stop in drawn.bounds:
        np.testing.assert_array_equal(np.sort(drawn.local_N[start:stop]), np.arange(stop - start))


@pytest.mark.parametrize("pairing", ["permutation", "roll"])
def test_partners_in_the_split_are_those_within_the_minibatch(pairing):
    drawn = draw(pairing=pairing)
    expected = np.concatenate([drawn.order_N[start:stop][drawn.local_N[start:stop]] for start, stop in drawn.bounds])
    np.testing.assert_array_equal(drawn.partner_N, expected)


def test_methods_of_one_replicate_meet_the_same_minibatches_pairs_and_uniforms():
    mixed, tilted, cut = draw(alpha=1.0), draw(alpha=1.0, method="label_free_mixup"), draw(alpha=1.0, method="cutmix")
    for other in (tilted, cut):
        np.testing.assert_array_equal(mixed.order_N, other.order_N)
        np.testing.assert_array_equal(mixed.partner_N, other.partner_N)
    np.testing.assert_array_equal(mixed.lam_N, cut.lam_N)
    np.testing.assert_allclose(mixed.lam_N, tilted.lam_N**2, rtol=1e-12)  # at alpha 1: the CDFs are lam and lam^2


@pytest.mark.parametrize(("method", "expected"), [
    ("mixup", lambda drawn: drawn.lam_N), ("manifold_mixup", lambda drawn: drawn.lam_N),
    ("input_mixup", lambda drawn: drawn.lam_N >= 0.5), ("label_free_mixup", lambda _: None),
])
def test_the_weight_of_the_own_label_is_what_the_method_learns(method, expected):
    drawn = draw(method=method, alpha=1.0)
    np.testing.assert_array_equal(drawn.own_N, expected(drawn))


@pytest.mark.parametrize("lam_per", ["batch", "sample"])
def test_boxes_lie_in_the_image_and_labels_follow_their_area(lam_per):
    drawn = draw(method="cutmix", alpha=1.0, lam_per=lam_per, examples=Examples(LABELS, height=9, width=14))
    top, bottom, left, right = drawn.box_N4.T
    assert min(top.min(), left.min()) >= 0
    assert bottom.max() <= 9
    assert right.max() <= 14
    np.testing.assert_allclose(drawn.own_N, 1 - (bottom - top) * (right - left) / (9 * 14))
    assert (drawn.own_N >= drawn.lam_N).all()  # rounding down and cutting at the border only take area away
    groups = 100 if lam_per == "sample" else len(drawn.bounds)
    assert len(np.unique(drawn.lam_N)) == groups


def test_the_mean_area_of_a_box_is_its_closed_form():
    config = dataclasses.replace(CONFIG, method="cutmix", alpha=1e6, lam_per="sample", batch_size=5000)  # lambda is 1/2
    height, width = 32, 20
    drawn = draw_epoch(config, Examples(np.zeros(40_000, int), height, width), 1, lambda name: numpy_stream(0, name))
    half_h, half_w = int(0.5 * np.sqrt(0.5) * height), int(0.5 * np.sqrt(0.5) * width)
    a, b = half_h / height, half_w / width
    assert 1 - drawn.own_N.mean() == pytest.approx((2 * a - a**2) * (2 * b - b**2), abs=5 * drawn.own_N.std() / 200)


def test_layers_are_drawn_a_step_each_alike():
    drawn = draw(method="manifold_mixup", alpha=1.0, batch_size=1, examples=Examples(np.zeros(3000, int), layers=(0, 2, 3)))
    values, counts = np.unique(drawn.layer_S, return_counts=True)
    np.testing.assert_array_equal(values, [0, 2, 3])
    assert (np.abs(counts - 1000) < 5 * np.sqrt(1000)).all()


def test_a_second_order_step_looks_toward_any_example_of_the_split():
    config = dataclasses.replace(CONFIG, method="approximate_mixup", alpha=1.0, num_directions=3)
    drawn = draw_epoch(config, Examples(LABELS), 1, lambda name: numpy_stream(0, name))
    assert drawn.others_DN.shape == (3, 100)
    assert drawn.others_DN.min() >= 0
    assert drawn.others_DN.max() < 100
    assert len(np.unique(drawn.others_DN)) > 80

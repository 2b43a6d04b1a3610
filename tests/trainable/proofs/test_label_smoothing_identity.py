"""Mixup's label part is label smoothing by epsilon, toward the empirical marginal: uniform only if classes are balanced.

Axes: N example, K class, M node.
"""

import numpy as np
import pytest
import torch

from tests.trainable.proofs.quadrature import theta_nodes
from trainable.moments import epsilon, theta_bar
from trainable.objective import class_shares, target_rows

ALPHAS = [0.1, 0.4, 1.0, 8.0, 32.0]
BALANCED, UNBALANCED = np.array([2, 0, 1, 1, 0, 2]), np.array([0, 0, 0, 2, 1, 0, 0])
K = 3
CPU = torch.device("cpu")


def one_hot(labels_N):
    return np.eye(K)[labels_N]


def shrunk(labels_NK, alpha):
    return labels_NK.mean(0) + theta_bar(alpha) * (labels_NK - labels_NK.mean(0))


@pytest.mark.parametrize("alpha", [0.0, *ALPHAS, np.inf])
@pytest.mark.parametrize("labels", [BALANCED, UNBALANCED])
def test_shrunk_labels_are_smoothed_toward_the_marginal(labels, alpha):
    labels_NK = one_hot(labels)
    smoothed_NK = (1 - epsilon(alpha)) * labels_NK + epsilon(alpha) * np.bincount(labels, minlength=K) / len(labels)
    np.testing.assert_allclose(shrunk(labels_NK, alpha), smoothed_NK, rtol=0, atol=1e-15)


@pytest.mark.parametrize("alpha", ALPHAS)
@pytest.mark.parametrize("labels", [BALANCED, UNBALANCED])
def test_the_mixed_label_seen_from_its_heavier_side_is_the_smoothed_one_on_average(labels, alpha):
    labels_NK, (theta_M, weight_M) = one_hot(labels), theta_nodes(alpha)
    mixed = theta_M[:, None, None, None] * labels_NK[:, None] + (1 - theta_M)[:, None, None, None] * labels_NK[None]
    mean_NK = np.einsum("m,mijk->ik", weight_M, mixed) / len(labels)
    smoothed_NK = (1 - epsilon(alpha)) * labels_NK + epsilon(alpha) * labels_NK.mean(0)
    np.testing.assert_allclose(mean_NK, smoothed_NK, rtol=0, atol=1e-13)


@pytest.mark.parametrize("alpha", ALPHAS)
@pytest.mark.parametrize(("labels", "distance"), [(BALANCED, 0.0), (UNBALANCED, 5 / 7 - 1 / 3)])
def test_uniform_smoothing_is_the_same_only_for_balanced_classes(labels, distance, alpha):
    uniform_NK = target_rows(K, epsilon(alpha), CPU).numpy()[labels]
    farthest = np.abs(shrunk(one_hot(labels), alpha) - uniform_NK).max()
    assert farthest == pytest.approx(epsilon(alpha) * distance, abs=1e-7)  # rows of targets are float32


@pytest.mark.parametrize("alpha", ALPHAS)
@pytest.mark.parametrize("labels", [BALANCED, UNBALANCED])
def test_smoothing_toward_the_class_shares_is_the_same_for_any_classes(labels, alpha):
    marginal_NK = target_rows(K, epsilon(alpha), CPU, class_shares(labels, K)).numpy()[labels]
    np.testing.assert_allclose(marginal_NK, shrunk(one_hot(labels), alpha), rtol=0, atol=1e-7)

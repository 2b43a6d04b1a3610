"""Excess loss is zero at the optimum and nowhere else: it is the divergence of the prediction from the mixed target.

Axes: B example, K class, M node.
"""

import math

import numpy as np
import pytest
import torch
from scipy.special import digamma, rel_entr

from tests.trainable.proofs.quadrature import beta_nodes
from trainable.objective import mixed_cross_entropy, target_entropy

B, K = 24, 5
STREAM = np.random.default_rng(5)
LABELS, OTHERS, LAM = STREAM.integers(K, size=B), STREAM.integers(K, size=B), STREAM.beta(0.4, 0.4, size=B)


EVENLY, MARGINAL = np.full(K, 1 / K), np.array([0.6, 0.3, 0.1, 0.0, 0.0])  # the marginal lacks two of the classes
SMOOTHINGS = [(0.0, EVENLY), (0.1, EVENLY), (1.0, EVENLY), (0.1, MARGINAL), (1.0, MARGINAL)]


def floor(labels_B, others_B, lam_B, smoothing, spread_K=EVENLY):
    return target_entropy(labels_B, others_B, lam_B, num_classes=K, smoothing=smoothing, spread_K=spread_K)


def rows(smoothing, spread_K):
    return (1 - smoothing) * np.eye(K) + smoothing * spread_K


def targets(smoothing, spread_K):
    rows_KK = rows(smoothing, spread_K)
    return LAM[:, None] * rows_KK[LABELS] + (1 - LAM[:, None]) * rows_KK[OTHERS]


def excess(logits_BK, smoothing, spread_K):
    labels, others, lam = (torch.from_numpy(one) for one in (LABELS, OTHERS, LAM))
    loss = mixed_cross_entropy(logits_BK, torch.from_numpy(rows(smoothing, spread_K)), labels, others, lam)
    return loss - floor(LABELS, OTHERS, LAM, smoothing, spread_K).mean()


@pytest.mark.parametrize("scale", [0.0, 0.1, 1.0, 10.0])
@pytest.mark.parametrize(("smoothing", "spread"), SMOOTHINGS)
def test_excess_loss_is_the_divergence_from_the_target(smoothing, spread, scale):
    logits_BK = scale * torch.from_numpy(np.random.default_rng(0).normal(size=(B, K)))
    divergence = rel_entr(targets(smoothing, spread), logits_BK.softmax(1).numpy()).sum(1).mean()
    assert excess(logits_BK, smoothing, spread).item() == pytest.approx(divergence, rel=1e-12, abs=1e-14)
    assert divergence > 1e-3 or (scale == 0.0 and smoothing == 1.0 and spread is EVENLY)  # there, the optimum itself


@pytest.mark.parametrize("smoothing", [0.05, 0.2, 1.0])
def test_minimising_over_logits_ends_at_zero_excess(smoothing):
    logits_BK = torch.zeros(B, K, dtype=torch.float64, requires_grad=True)
    optimiser = torch.optim.LBFGS([logits_BK], max_iter=500, tolerance_grad=1e-12, tolerance_change=0.0,
                                  line_search_fn="strong_wolfe")

    def closure():
        optimiser.zero_grad()
        loss = excess(logits_BK, smoothing, EVENLY)
        loss.backward()
        return loss

    optimiser.step(closure)
    assert excess(logits_BK, smoothing, EVENLY).item() == pytest.approx(0.0, abs=1e-10)
    np.testing.assert_allclose(logits_BK.softmax(1).detach().numpy(), targets(smoothing, EVENLY), atol=1e-5)


@pytest.mark.parametrize(("smoothing", "spread"), SMOOTHINGS)
def test_the_log_of_the_target_is_a_stationary_point_without_excess(smoothing, spread):
    logits_BK = torch.from_numpy(targets(smoothing, spread)).clamp_min(1e-300).log().requires_grad_()
    reached = excess(logits_BK, smoothing, spread)
    (gradient_BK,) = torch.autograd.grad(reached, logits_BK)
    assert reached.item() == pytest.approx(0.0, abs=1e-14)
    assert gradient_BK.abs().max().item() < 1e-15


@pytest.mark.parametrize("margin", [1.0, 5.0, 20.0])
def test_a_whole_label_is_reached_only_in_the_limit(margin):
    labels = np.arange(K)
    loss = mixed_cross_entropy(margin * torch.eye(K, dtype=torch.float64), torch.eye(K, dtype=torch.float64),
                               torch.arange(K), torch.arange(K), 0.3)
    expected = math.log1p((K - 1) * math.exp(-margin))
    assert loss.item() - floor(labels, labels, np.full(K, 0.3), 0.0).mean() == pytest.approx(expected, abs=1e-14)


@pytest.mark.parametrize(("alpha", "tolerance"), [(0.4, 1e-7), (1.0, 1e-9), (8.0, 1e-12), (32.0, 1e-12)])
def test_the_floor_of_a_pair_of_two_classes_is_known_in_closed_form(alpha, tolerance):
    # E of the binary entropy of lam; its kink in slope at 0 and 1 is what limits the quadrature at a small alpha
    lam_M, weight_M = beta_nodes(alpha, alpha, 400)
    differ, agree = (floor(np.zeros(400, int), np.full(400, other), lam_M, 0.0) for other in (1, 0))
    assert weight_M @ differ == pytest.approx(digamma(2 * alpha + 1) - digamma(alpha + 1), abs=tolerance)
    assert (agree == 0).all()

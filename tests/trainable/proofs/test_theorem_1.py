"""Theorem 1 of On Mixup Regularization (arXiv 2006.06049): mixup is ERM on shrunk data with structured noise, exactly.

Mixup's side takes lam over [0, 1] and the product's own mixing, the other side theta over [1/2, 1] and the formulas of the
theorem written out; the two rules share no node. theta_bar cancels in x_i' + delta, so that identity alone would not
notice a wrong moment: the mean and the covariance of the noise do.

Axes: N example, I J example of a pair, D input, K class, M node, F E features of two noises.
"""

import numpy as np
import pytest
import torch

from tests.trainable.proofs.problem import LOSSES, expected_pair_losses, random_problem
from tests.trainable.proofs.quadrature import beta_nodes, theta_nodes
from trainable.moments import gamma2, sigma2, theta_bar

ALPHAS = [0.1, 0.4, 1.0, 8.0, 32.0]


def shrunk(values_NF, alpha):
    """x_i' = x_bar + theta_bar (x_i - x_bar); the labels likewise."""
    mean_F = values_NF.mean(0)
    return mean_F + theta_bar(alpha) * (values_NF - mean_F)


def noise(values_NF, alpha, theta):
    """delta for each pair at one theta, (I, J, F); with labels in place of inputs it is eps."""
    own = (theta - theta_bar(alpha)) * values_NF[:, None]
    partner = (1 - theta) * values_NF[None]
    return own + partner - (1 - theta_bar(alpha)) * values_NF.mean(0)


def mean_noise_product(first_NF, second_NE, alpha):
    """E over theta and j of the outer product of two noises of the same example, (I, F, E)."""
    total = 0.0
    for theta, weight in zip(*theta_nodes(alpha), strict=True):
        one, other = noise(first_NF, alpha, theta), noise(second_NE, alpha, theta)
        total = total + weight * np.einsum("ijf,ije->ife", one, other) / len(first_NF)
    return total


@pytest.mark.parametrize("alpha", ALPHAS)
@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("num_examples", [6, 8])
def test_mixup_is_erm_on_shrunk_data_with_noise(num_examples, loss, alpha):
    case = random_problem(num_examples, seed=num_examples)
    mixup = expected_pair_losses(case, loss, beta_nodes(alpha, alpha)).mean()
    inputs_ND, labels_NK = shrunk(case.inputs_ND, alpha), shrunk(case.labels_NK, alpha)
    noisy_erm = 0.0
    for theta, weight in zip(*theta_nodes(alpha), strict=True):
        noisy_inputs = inputs_ND[:, None] + noise(case.inputs_ND, alpha, theta)
        noisy_labels = labels_NK[:, None] + noise(case.labels_NK, alpha, theta)
        noisy_erm += weight * loss(noisy_labels.flatten(0, 1), case.net(noisy_inputs.flatten(0, 1))).mean()
    torch.testing.assert_close(noisy_erm, mixup, rtol=0, atol=1e-12)


@pytest.mark.parametrize("alpha", ALPHAS)
@pytest.mark.parametrize("values", ["inputs_ND", "labels_NK"])
def test_the_noise_of_every_example_has_mean_zero(values, alpha):
    values_NF = getattr(random_problem(7), values).numpy()
    mean_IF = sum(weight * noise(values_NF, alpha, theta).mean(1) for theta, weight in zip(*theta_nodes(alpha), strict=True))
    np.testing.assert_allclose(mean_IF, 0.0, atol=1e-12)


@pytest.mark.parametrize("alpha", ALPHAS)
@pytest.mark.parametrize(("first", "second"), [
    ("inputs_ND", "inputs_ND"), ("labels_NK", "inputs_ND"), ("labels_NK", "labels_NK"),
])
def test_the_covariance_of_the_noise_is_the_theorems(first, second, alpha):
    case = random_problem(7)
    first_NF, second_NE = getattr(case, first).numpy(), getattr(case, second).numpy()
    centred_NF, centred_NE = first_NF - first_NF.mean(0), second_NE - second_NE.mean(0)
    own = np.einsum("nf,ne->nfe", centred_NF, centred_NE)
    expected = sigma2(alpha) * own + gamma2(alpha) * own.mean(0)
    np.testing.assert_allclose(mean_noise_product(first_NF, second_NE, alpha), expected, rtol=0, atol=1e-12)

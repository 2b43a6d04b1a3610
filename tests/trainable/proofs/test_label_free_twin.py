"""Mixup without mixed labels: for a loss linear in the label, lam ~ Beta(alpha + 1, alpha) and each example's own label.

Why: swapping i and j turns (1 - lam) loss(y_j) into lam loss(y_i), and 2 lam times the density of Beta(alpha, alpha) is the
density of Beta(alpha + 1, alpha). A loss that is not linear in the label misses by its curvature, known in closed form.
"""

import numpy as np
import pytest
from scipy import stats

from tests.trainable.proofs.problem import expected_pair_losses, random_problem, soft_cross_entropy, squared_error
from tests.trainable.proofs.quadrature import beta_nodes, theta_nodes
from trainable.moments import tilted_lam_from_uniform

ALPHAS = [0.1, 0.4, 1.0, 8.0, 32.0]


def twin_minus_mixup(loss, alpha, twin_nodes):
    case = random_problem(7, seed=1)
    mixup = expected_pair_losses(case, loss, beta_nodes(alpha, alpha)).mean()
    twin = expected_pair_losses(case, loss, twin_nodes, own_label=True).mean()
    return (twin - mixup).item()


@pytest.mark.parametrize("alpha", ALPHAS)
def test_mixup_of_cross_entropy_needs_no_mixed_label(alpha):
    difference = twin_minus_mixup(soft_cross_entropy, alpha, beta_nodes(alpha + 1, alpha))
    assert difference == pytest.approx(0.0, abs=1e-12)


@pytest.mark.parametrize("alpha", ALPHAS)
@pytest.mark.parametrize("law", [lambda alpha: beta_nodes(alpha, alpha), theta_nodes], ids=["unfolded", "heavier"])
def test_keeping_one_label_under_mixups_own_law_is_another_risk(law, alpha):
    assert abs(twin_minus_mixup(soft_cross_entropy, alpha, law(alpha))) > 1e-5  # least at alpha 32, where lam is near 1/2


@pytest.mark.parametrize("alpha", ALPHAS)
def test_squared_error_has_no_such_twin_and_misses_by_the_spread_of_the_labels(alpha):
    # E lam (1 - lam) ||y_i - y_j||^2, with E lam (1 - lam) = alpha / (2 (2 alpha + 1)) and a mean of 2 tr Syy
    labels_NK = random_problem(7, seed=1).labels_NK
    spread = labels_NK.var(0, correction=0).sum().item()
    difference = twin_minus_mixup(squared_error, alpha, beta_nodes(alpha + 1, alpha))
    assert difference == pytest.approx(alpha / (2 * alpha + 1) * spread, abs=1e-12)
    assert difference > 0.01


@pytest.mark.parametrize("alpha", ALPHAS)
def test_the_law_drawn_for_the_twin_is_this_one(alpha):
    u = (np.arange(2000) + 0.5) / 2000
    lam = tilted_lam_from_uniform(u, alpha)
    below = lam < 0.9  # above, one unit in the last place of lam is many of its distribution function
    np.testing.assert_allclose(stats.beta.cdf(lam[below], alpha + 1, alpha), u[below], rtol=1e-10)
    lam_M, weight_M = beta_nodes(alpha + 1, alpha)
    assert [lam.mean(), (lam**2).mean()] == pytest.approx([weight_M @ lam_M, weight_M @ lam_M**2], abs=1e-4)

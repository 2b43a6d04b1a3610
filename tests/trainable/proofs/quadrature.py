"""Expectations over lam to the last digits: Gauss-Jacobi nodes for Beta laws, and for theta = max(lam, 1 - lam).

Owns two rules that share no node, so a proof can take its two sides by different ones. Nothing comes from `trainable`:
the weights are scipy's and each rule is normalised by its own sum. Refuses to know of data, nets and losses.

Axes: M node.
"""

import numpy as np
from scipy.special import roots_jacobi

NUM_NODES = 32
"""Enough for 1e-12 on the proofs' net at every alpha; from 48 on, scipy's own rounding costs digits at alpha 0.1."""


def beta_nodes(a: float, b: float, num_nodes: int = NUM_NODES) -> tuple[np.ndarray, np.ndarray]:
    """(lam_M, weight_M) of Beta(a, b) on [0, 1]: exact for polynomials in lam up to degree 2 num_nodes - 1."""
    x_M, weight_M = roots_jacobi(num_nodes, b - 1.0, a - 1.0)  # weight (1 - x)^(b-1) (1 + x)^(a-1) on [-1, 1]
    return (1.0 + x_M) / 2.0, weight_M / weight_M.sum()


def theta_nodes(alpha: float, num_nodes: int = NUM_NODES) -> tuple[np.ndarray, np.ndarray]:
    """(theta_M, weight_M) of theta = max(lam, 1 - lam) on [1/2, 1] for lam ~ Beta(alpha, alpha).

    Folding the nodes of the whole interval would integrate across the kink at 1/2 and lose all but a few digits. Here the
    end at 1 is the rule's own weight and theta^(alpha-1), which is smooth on [1/2, 1], goes into the sum.
    """
    x_M, weight_M = roots_jacobi(num_nodes, alpha - 1.0, 0.0)
    theta_M = (3.0 + x_M) / 4.0
    weight_M = weight_M * theta_M ** (alpha - 1.0)
    return theta_M, weight_M / weight_M.sum()

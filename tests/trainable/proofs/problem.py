"""The problem that the proofs share: a few points with soft labels, a nonlinear net with random weights, two losses.

Owns data, net, losses and the expected loss of every ordered pair (i, j), mixed by `trainable.mixing.mix`. Refuses to
know of the laws of lam: nodes and weights arrive as arrays. Float64 throughout.

Axes: N example, P ordered pair (i, j) at i N + j, B any of these, D input, H hidden, K class, M node.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from trainable.mixing import mix

Loss = Callable[[Tensor, Tensor], Tensor]  # (labels_BK, outputs_BK) -> loss_B


@dataclass(frozen=True, eq=False)
class Problem:
    """inputs_ND (not centred), labels_NK (each row on the simplex, classes unbalanced), net (B, D) -> (B, K)."""

    inputs_ND: Tensor
    labels_NK: Tensor
    net: Callable[[Tensor], Tensor]


def random_problem(num_examples: int, seed: int = 0) -> Problem:
    """A problem of `num_examples` points in four dimensions and three classes, and a tanh net with six hidden units."""
    stream = torch.Generator().manual_seed(seed)

    def normal(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=stream, dtype=torch.float64)

    in_DH, bias_H, out_HK = normal(4, 6) / 2, normal(6) / 2, normal(6, 3)
    labels_NK = (2 * normal(num_examples, 3) + torch.tensor([1.0, 0.0, -1.0])).softmax(1)
    return Problem(normal(num_examples, 4) + 0.7, labels_NK, lambda x_BD: torch.tanh(x_BD @ in_DH + bias_H) @ out_HK)


def soft_cross_entropy(labels_BK: Tensor, logits_BK: Tensor) -> Tensor:
    """Cross-entropy in nats against soft targets, by example: linear in the label."""
    return -(labels_BK * logits_BK.log_softmax(1)).sum(1)


def squared_error(labels_BK: Tensor, outputs_BK: Tensor) -> Tensor:
    """Squared distance, by example: not linear in the label."""
    return ((labels_BK - outputs_BK) ** 2).sum(1)


LOSSES = [soft_cross_entropy, squared_error]


def mixed_pairs(values_ND: Tensor, lam: float) -> Tensor:
    """lam v_i + (1 - lam) v_j for every ordered pair, i = j included: (P, D) with pair (i, j) in row i N + j."""
    num_examples = len(values_ND)
    partner_P = torch.arange(num_examples).repeat(num_examples) * num_examples
    return mix(values_ND.repeat_interleave(num_examples, 0), partner_P, lam)


def expected_pair_losses(problem: Problem, loss: Loss, nodes: tuple[np.ndarray, np.ndarray], *,
                         own_label: bool = False) -> Tensor:
    """E_lam of the loss at each ordered pair, (N, N). `own_label`: only inputs are mixed, pair (i, j) keeps y_i."""
    num_examples = len(problem.inputs_ND)
    total_P = torch.zeros(num_examples**2, dtype=torch.float64)
    for lam, weight in zip(*nodes, strict=True):
        labels_PK = mixed_pairs(problem.labels_NK, 1.0 if own_label else lam)
        total_P += weight * loss(labels_PK, problem.net(mixed_pairs(problem.inputs_ND, lam)))
    return total_P.view(num_examples, num_examples)

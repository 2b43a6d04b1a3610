"""The loss that training minimises, and the part of it that no model can remove.

Owns cross-entropy against plain, smoothed and mixed targets, and the entropy of those targets. Refuses to know of
models, pairings and alphas: labels and weights arrive as tensors.

Axes: B example of a minibatch, K class, N any number of examples.
"""

import numpy as np
import torch
import torch.nn.functional as F
from scipy.special import entr
from torch import Tensor


def cross_entropy(logits_BK: Tensor, labels_B: Tensor, smoothing: float = 0.0) -> Tensor:
    """Mean cross-entropy in nats against whole labels: the objective of ERM. In float32 whatever the logits."""
    return F.cross_entropy(logits_BK.float(), labels_B, label_smoothing=smoothing)


def mixed_cross_entropy(logits_BK: Tensor, rows_KK: Tensor, labels_B: Tensor, partner_labels_B: Tensor,
                        lam: float | Tensor) -> Tensor:
    """Mean cross-entropy in nats against lam y_i + (1 - lam) y_j; `lam` is one number, or one a sample (B,).

    `rows_KK` is `target_rows(...)`: row k is the target of class k. Linear in the target, so this is
    lam CE(y_i) + (1 - lam) CE(y_j) as the paper's code has it, from one log-softmax in place of two.
    """
    weight = lam.unsqueeze(1) if isinstance(lam, Tensor) else lam
    targets_BK = torch.lerp(rows_KK.index_select(0, partner_labels_B), rows_KK.index_select(0, labels_B), weight)
    log_probabilities_BK = F.log_softmax(logits_BK.to(rows_KK.dtype), dim=1)
    return torch.dot(log_probabilities_BK.flatten(), targets_BK.flatten()) / -len(labels_B)


def target_rows(num_classes: int, smoothing: float, device: torch.device) -> Tensor:
    """Float32 (K, K): each class's target, a share `smoothing` of it spread over ALL classes, its own included.

    That is what torch's `label_smoothing` does; spreading over the other classes only would make it K/(K-1) stronger.
    """
    rows_KK = torch.full((num_classes, num_classes), smoothing / num_classes, device=device)
    return rows_KK.fill_diagonal_(1.0 - smoothing + smoothing / num_classes)


def target_entropy(labels_N: np.ndarray, partner_labels_N: np.ndarray, lam_N: np.ndarray, *, num_classes: int,
                   smoothing: float = 0.0) -> np.ndarray:
    """Entropy in nats of each mixed and smoothed target, float64 (N,): the floor under its cross-entropy.

    Without smoothing it is the binary entropy of lam where the two labels differ, and 0 where they agree. Losses of
    different alphas can be compared only after it is subtracted (the excess loss, whose minimum is 0 for each alpha).
    """
    spread = smoothing / num_classes
    agree_N = labels_N == partner_labels_N
    own_N = np.where(agree_N, 1.0, lam_N) * (1.0 - smoothing) + spread
    partner_N = np.where(agree_N, 0.0, 1.0 - lam_N) * (1.0 - smoothing) + spread
    return entr(own_N) + entr(partner_N) + (num_classes - 2) * entr(spread)

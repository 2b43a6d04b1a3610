"""The loss that training minimises, and the part of it that no model can remove.

Owns cross-entropy against plain, smoothed and mixed targets, what targets are smoothed toward, and the entropy of those
targets. Refuses to know of models, pairings and inputs: labels and weights arrive as tensors.

Axes: B example of a minibatch, K class, N any number of examples, T training example.
"""

import numpy as np
import torch
import torch.nn.functional as F
from scipy.special import entr
from torch import Tensor

from trainable.config import TrialConfig
from trainable.methods import METHODS
from trainable.moments import epsilon


def cross_entropy(logits_BK: Tensor, labels_B: Tensor, smoothing: float = 0.0) -> Tensor:
    """Mean cross-entropy in nats against whole labels: the objective of ERM. In float32 whatever the logits."""
    return F.cross_entropy(logits_BK.float(), labels_B, label_smoothing=smoothing)


def mixed_cross_entropy(logits_BK: Tensor, rows_KK: Tensor, labels_B: Tensor, partner_labels_B: Tensor,
                        lam: float | Tensor) -> Tensor:
    """Mean cross-entropy in nats against lam y_i + (1 - lam) y_j; `lam` is one number, or one a sample (B,).

    `rows_KK` is `target_rows(...)` on the device: row k is the target of class k. Linear in the target, so this is
    lam CE(y_i) + (1 - lam) CE(y_j) as the paper's code has it, from one log-softmax in place of two.
    """
    weight = lam.unsqueeze(1) if isinstance(lam, Tensor) else lam
    targets_BK = torch.lerp(rows_KK.index_select(0, partner_labels_B), rows_KK.index_select(0, labels_B), weight)
    log_probabilities_BK = F.log_softmax(logits_BK.to(rows_KK.dtype), dim=1)
    return torch.dot(log_probabilities_BK.flatten(), targets_BK.flatten()) / -len(labels_B)


def class_shares(labels_T: np.ndarray, num_classes: int) -> np.ndarray:
    """Share of each class among the labels, float64 (K,): the empirical marginal, y_bar of Carratino et al."""
    return np.bincount(labels_T, minlength=num_classes) / len(labels_T)


def smoothing_of(config: TrialConfig) -> float:
    """The share of each target that is spread over the classes: as given, or 1 - theta_bar(alpha).

    The second is exactly what mixup does to labels on average (Carratino et al., arXiv 2006.06049, theorem 1), when it is
    spread toward the empirical marginal.
    """
    if METHODS[config.method].shrinks or config.smoothing_from == "alpha":
        return epsilon(config.alpha)
    return config.label_smoothing


def spread_of(config: TrialConfig, labels_T: np.ndarray, num_classes: int) -> np.ndarray:
    """What targets are smoothed toward, float64 (K,), summing to 1: all classes alike, or their shares in the labels."""
    if METHODS[config.method].shrinks or config.smoothing_toward == "marginal":
        return class_shares(labels_T, num_classes)
    return evenly(num_classes)


def evenly(num_classes: int) -> np.ndarray:
    """All classes alike, float64 (K,)."""
    return np.full(num_classes, 1.0 / num_classes)


def target_rows(num_classes: int, smoothing: float, device: torch.device, spread_K: np.ndarray | None = None) -> Tensor:
    """Float32 (K, K): each class's target, a share `smoothing` of it spread as `spread_K` (evenly), its own class included.

    Evenly, that is what torch's `label_smoothing` does; spreading over the other classes only would make it K/(K-1)
    stronger.
    """
    spread_K = evenly(num_classes) if spread_K is None else spread_K
    rows_KK = (1.0 - smoothing) * np.eye(num_classes) + smoothing * spread_K
    return torch.from_numpy(rows_KK.astype(np.float32)).to(device)


def target_entropy(labels_N: np.ndarray, partner_labels_N: np.ndarray, own_N: np.ndarray, *, num_classes: int,
                   smoothing: float = 0.0, spread_K: np.ndarray | None = None) -> np.ndarray:
    """Entropy in nats of each mixed and smoothed target, float64 (N,): the floor under its cross-entropy.

    `own_N` is the weight of the example's own label. Without smoothing it is the binary entropy of that weight where the
    two labels differ, and 0 where they agree. Losses of different alphas can be compared only after it is subtracted (the
    excess loss, whose minimum is 0 for each alpha).
    """
    base_K = smoothing * (evenly(num_classes) if spread_K is None else spread_K)
    agree_N = labels_N == partner_labels_N
    own_base_N, partner_base_N = base_K[labels_N], base_K[partner_labels_N]
    own = entr(np.where(agree_N, 1.0, own_N) * (1.0 - smoothing) + own_base_N) - entr(own_base_N)
    partner = entr(np.where(agree_N, 0.0, 1.0 - own_N) * (1.0 - smoothing) + partner_base_N) - entr(partner_base_N)
    return entr(base_K).sum() + own + partner

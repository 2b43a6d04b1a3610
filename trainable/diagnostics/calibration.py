"""Calibration: do predicted probabilities mean what they say?

Owns proper scores and calibration errors of a table of log-probabilities. Refuses to know how predictions were made;
numpy only, so that stored ones can be judged again without a network.

Axes: N test example, K class.
"""

import numpy as np

NUM_BINS = 15


def brier(log_probabilities_NK: np.ndarray, labels_N: np.ndarray) -> float:
    """Mean over examples of the squared distance of probabilities and truth, summed over classes: in [0, 2].

    The multi-class form of Brier (1950); some libraries divide it by the number of classes.
    """
    probabilities_NK = np.exp(log_probabilities_NK, dtype=np.float64)
    of_truth_N = probabilities_NK[np.arange(len(labels_N)), labels_N]
    return float(np.mean((probabilities_NK**2).sum(axis=1) - 2.0 * of_truth_N + 1.0))


def ece(log_probabilities_NK: np.ndarray, labels_N: np.ndarray, num_bins: int = NUM_BINS) -> float:
    """Expected calibration error of the top prediction, in [0, 1]: sum over bins of share x |accuracy - confidence|.

    Bins of equal width over (0, 1], closed on the right (Guo et al., arXiv 1706.04599). Biased upward: a perfectly
    calibrated network of typical confidence shows about .04 with 300 examples, .02 with 1,000, .007 with 10,000.
    """
    confidence_N = np.exp(log_probabilities_NK.max(axis=1).astype(np.float64))
    right_N = log_probabilities_NK.argmax(axis=1) == labels_N
    bin_N = np.clip(np.ceil(confidence_N * num_bins).astype(np.int64) - 1, 0, num_bins - 1)
    gaps = np.bincount(bin_N, weights=right_N - confidence_N, minlength=num_bins)
    return float(np.abs(gaps).sum() / len(labels_N))


def entropy(log_probabilities_NK: np.ndarray) -> float:
    """Mean entropy of the predictions in nats, from 0 (certain) to log K (uniform)."""
    log_probabilities_NK = log_probabilities_NK.astype(np.float64)
    return float(np.mean(-(np.exp(log_probabilities_NK) * log_probabilities_NK).sum(axis=1)))

"""Bias and variance of predictions on one test set, for two losses that decompose exactly, with components.

Both are Bregman losses, so one scheme serves both: with phi the generator, a 'sum of squares' is
sum phi(x_m) - M phi(mean x).
- squared error on probabilities (Yang et al. 2020): x = p, phi(x) = ||x||^2;
- cross-entropy (Gupta et al. 2022, Adlam et al. 2022): x = log p, phi(x) = logsumexp(x), so that the plain variance of
  M models is mean phi(x_m) - phi(mean x) = mean KL(p_bar || p_m), p_bar their normalised geometric mean.
The sums are divided by their degrees of freedom as in an unbalanced nested analysis of variance (splits, and seeds
within splits). With one seed each this multiplies the plain variance by M/(M-1); without it the KL variance comes out
too small by a factor of about .49 .66 .78 .89 .95 at M = 2 3 5 10 20 (measured on Gaussian logits, see the test).

Refuses to know trials, alphas or files. The bias contains the noise of the test labels; no error-rate decomposition is
offered, since the 0-1 loss has none.

Axes: M models, N test examples, K classes, S splits, J = S + 1 subsets of splits (all, then each left out once).
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from sweeps.analysis.intervals import LEVEL, jackknife
from sweeps.analysis.results import Estimate

FLOOR = -104.0
"""Lowest log-probability taken as it is: the log of float32's smallest number. Half precision may have stored -inf."""

BLOCK_NUMBERS = 2_000_000
"""Numbers held at once, over all models: test examples are read in blocks of so many, so a memory map stays on disk."""


Phi = Callable[[np.ndarray], np.ndarray]
"""A generator: reduces the last axis."""


@dataclass(frozen=True, kw_only=True)
class Decomposition:
    """Bias and variance of one loss, per test example on average; intervals are over splits and need three of them.

    `variance` is that over training splits and seeds, None with fewer than two splits. `init` (seeds on one split) and
    `data` (splits) are its parts, unclipped, so `data` may come out negative; None where seeds or splits do not repeat.
    """

    bias: Estimate | None
    variance: Estimate | None
    init: Estimate | None
    data: Estimate | None
    num_splits: int
    num_models: int


@dataclass(frozen=True)
class Sums:
    """What the blocks add up: per split (S) and per subset of splits (J)."""

    counts_S: np.ndarray
    single_S: np.ndarray
    centre_S: np.ndarray
    loss_S: np.ndarray
    grand_J: np.ndarray


def decompose(
    splits: Sequence[int], log_probs: Sequence[np.ndarray], labels_N: np.ndarray, *, overlap: float = 0.0,
    level: float = LEVEL,
) -> tuple[Decomposition, Decomposition]:
    """(squared error, cross-entropy) decompositions of models trained on `splits`, each with (N, K) log-probabilities.

    Arrays may be half precision, and memory maps: only a block of examples is read at a time. Raises ValueError when an
    array holds NaN, or shapes and labels do not fit each other.
    """
    check(log_probs, labels_N)
    ids = np.unique(np.asarray(splits, dtype=np.int64))
    member_SM = (np.asarray(splits)[None, :] == ids[:, None]).astype(np.float64)
    num_examples = max(1, len(labels_N))
    squared, entropic = _empty(member_SM), _empty(member_SM)
    for z_MNK, target_N in blocks(log_probs, labels_N):
        true_MN = np.take_along_axis(z_MNK, target_N[None, :, None], axis=2)[:, :, 0]
        p_MNK = np.exp(z_MNK)
        brier_MN = square(p_MNK) - 2 * np.exp(true_MN) + 1
        _add(squared, member_SM, p_MNK, square, brier_MN)
        _add(entropic, member_SM, z_MNK, logsumexp, -true_MN)
    return (_finish(squared, num_examples, overlap, level), _finish(entropic, num_examples, overlap, level))


def check(log_probs: Sequence[np.ndarray], labels_N: np.ndarray) -> None:
    """Raises ValueError unless all arrays are (N, K), one row per label, and the labels lie in [0, K)."""
    shapes = {array.shape for array in log_probs}
    shape = next(iter(shapes), (0, 0))
    if len(shapes) > 1 or len(shape) != 2 or shape[0] != len(labels_N):
        raise ValueError(f"predictions of shape {', '.join(map(str, sorted(shapes)))} for {len(labels_N)} test labels")
    if len(labels_N) and not 0 <= labels_N.min() <= labels_N.max() < shape[1]:
        raise ValueError(f"test labels {labels_N.min()} to {labels_N.max()} for {shape[1]} classes")


def blocks(log_probs: Sequence[np.ndarray], labels_N: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Normalised log-probabilities of all models and the labels, a block of test examples at a time."""
    if not len(log_probs):
        return
    size = max(1, BLOCK_NUMBERS // max(1, len(log_probs) * log_probs[0].shape[1]))
    for start in range(0, len(labels_N), size):
        stop = start + size
        z_MNK = np.stack([np.asarray(array[start:stop], dtype=np.float64) for array in log_probs])
        if np.isnan(z_MNK).any():
            raise ValueError("predictions hold NaN")
        z_MNK = np.clip(z_MNK, FLOOR, None)
        yield z_MNK - logsumexp(z_MNK)[..., None], np.asarray(labels_N[start:stop], dtype=np.int64)


def square(x: np.ndarray) -> np.ndarray:
    """||x||^2 over the last axis."""
    out: np.ndarray = np.einsum("...k,...k->...", x, x)
    return out


def logsumexp(x: np.ndarray) -> np.ndarray:
    """log sum exp over the last axis."""
    top = x.max(axis=-1, keepdims=True)
    out: np.ndarray = np.log(np.exp(x - top).sum(axis=-1)) + top[..., 0]
    return out


def _empty(member_SM: np.ndarray) -> Sums:
    num_splits = len(member_SM)
    zeros_S = np.zeros(num_splits)
    return Sums(member_SM.sum(axis=1), zeros_S, zeros_S.copy(), zeros_S.copy(), np.zeros(num_splits + 1))


def _add(sums: Sums, member_SM: np.ndarray, x_MNK: np.ndarray, phi: Phi, loss_MN: np.ndarray) -> None:
    """Adds one block to `sums`, in place."""
    counts_S = sums.counts_S
    total_SNK = np.tensordot(member_SM, x_MNK, axes=1)
    sums.single_S[:] += member_SM @ phi(x_MNK).sum(axis=1)
    sums.centre_S[:] += counts_S * phi(total_SNK / counts_S[:, None, None]).sum(axis=1)
    sums.loss_S[:] += member_SM @ loss_MN.sum(axis=1)
    all_NK, num_models = total_SNK.sum(axis=0), counts_S.sum()
    sums.grand_J[0] += num_models * phi(all_NK / num_models).sum()
    if len(counts_S) > 1:
        for left_out, count in enumerate(counts_S):
            rest = num_models - count
            sums.grand_J[left_out + 1] += rest * phi((all_NK - total_SNK[left_out]) / rest).sum()


def _finish(sums: Sums, num_examples: int, overlap: float, level: float) -> Decomposition:
    """The decomposition of all splits, with jackknife intervals from leaving each out."""
    num_splits = len(sums.counts_S)
    everything = np.ones(num_splits, dtype=bool)
    full = _components(sums, everything, sums.grand_J[0]) / num_examples
    partial = [_components(sums, np.arange(num_splits) != left_out, sums.grand_J[left_out + 1]) / num_examples
               for left_out in range(num_splits if num_splits > 2 else 0)]
    found: list[Estimate | None] = []
    for column, value in enumerate(full.tolist()):
        left_out = [row[column] for row in partial]
        found.append(None if np.isnan(value) else jackknife(value, left_out, overlap=overlap, level=level))
    bias, variance, init, data = found
    return Decomposition(bias=bias, variance=variance, init=init, data=data, num_splits=num_splits,
                         num_models=int(sums.counts_S.sum()))


def _components(sums: Sums, chosen_S: np.ndarray, grand: float) -> np.ndarray:
    """(bias, variance, init, data) summed over examples, NaN where not identified (unbalanced nested design)."""
    counts = sums.counts_S[chosen_S]
    num_models, num_splits = counts.sum(), len(counts)
    within_df, between_df = num_models - num_splits, num_splits - 1
    single, centre = sums.single_S[chosen_S].sum(), sums.centre_S[chosen_S].sum()
    init = (single - centre) / within_df if within_df > 0 else np.nan
    if between_df < 1:
        return np.array([np.nan, np.nan, init, np.nan])
    between = (centre - grand) / between_df
    effective = (num_models - (counts**2).sum() / num_models) / between_df
    data = (between - init) / effective if within_df > 0 else np.nan
    variance = init + data if within_df > 0 else between
    return np.array([sums.loss_S[chosen_S].sum() / num_models - variance, variance, init, data])

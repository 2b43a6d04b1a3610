"""Bias and variance of predictions on one test set, for two losses that decompose exactly, with components and by class.

Both are Bregman losses, so one scheme serves both: with phi the generator, a 'sum of squares' is
sum phi(x_m) - M phi(mean x).
- squared error on probabilities (Yang et al. 2020): x = p, phi(x) = ||x||^2;
- cross-entropy (Gupta et al. 2022, Adlam et al. 2022): x = log p, phi(x) = logsumexp(x), so that the plain variance of
  M models is mean phi(x_m) - phi(mean x) = mean KL(p_bar || p_m), p_bar their normalised geometric mean.
The sums become components as in an unbalanced nested analysis of variance (sweeps.analysis.nested). With one seed each
this multiplies the plain variance by M/(M-1); without it the KL variance comes out too small by a factor of about
.49 .66 .78 .89 .95 at M = 2 3 5 10 20 (measured on Gaussian logits, see the test).

Models are read one at a time, twice where there are intervals: what is kept is a running total of the seed, of the split
and of all, so memory does not grow with the number of models.

Intervals leave each split out once (jackknife, Student's t), not bootstraps: of Gaussian models of 5 and 50 dimensions on 4
and 8 splits x 2 seeds x 2 redraws, V = (1, 1/2, 0.3), nominal 95 % intervals hold the truth in 90 to 96 % of 400 draws;
percentiles of a bootstrap over splits in 44 to 88 %, and of one over splits, seeds and redraws in 0 to 38 % for V_mixing,
since a model drawn twice does not vary from itself (see test_nested). The overlap of splits widens them (Nadeau and Bengio
2003).

Refuses to know trials, alphas or files. The bias contains the noise of the test labels; no error-rate decomposition is
offered, since the 0-1 loss has none.

Axes: L losses, N test examples, K classes, S splits, R rows of sums, Q quantities (bias, variance, data, init, mixing).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from sweeps.analysis.intervals import LEVEL, jackknife
from sweeps.analysis.nested import Sums, components
from sweeps.analysis.results import ClassParts, Decomposition, Estimate

FLOOR = -104.0
"""Lowest log-probability taken as it is: the log of float32's smallest number. Half precision may have stored -inf."""

LogProbs = Sequence["np.ndarray | None"]
"""(N, K) of each model, also read anew at each access; None where there are none."""
Design = list[list[list[int]]]
"""Positions of the models, by split and by seed."""


@dataclass(frozen=True)
class Bregman:
    """One loss: where its means are taken, its generator, and what a model pays for each example."""

    point: Callable[[np.ndarray], np.ndarray]
    phi: Callable[[np.ndarray], np.ndarray]
    loss: Callable[[np.ndarray, np.ndarray], np.ndarray]


def square(x: np.ndarray) -> np.ndarray:
    """||x||^2 over the last axis."""
    out: np.ndarray = np.einsum("...k,...k->...", x, x)
    return out


def logsumexp(x: np.ndarray) -> np.ndarray:
    """log sum exp over the last axis."""
    top = x.max(axis=-1, keepdims=True)
    out: np.ndarray = np.log(np.exp(x - top).sum(axis=-1)) + top[..., 0]
    return out


def _brier(p_NK: np.ndarray, true_N: np.ndarray) -> np.ndarray:
    return square(p_NK) - 2 * np.take_along_axis(p_NK, true_N[:, None], axis=1)[:, 0] + 1


def _nll(z_NK: np.ndarray, true_N: np.ndarray) -> np.ndarray:
    out: np.ndarray = -np.take_along_axis(z_NK, true_N[:, None], axis=1)[:, 0]
    return out


LOSSES = (Bregman(np.exp, square, _brier), Bregman(lambda z_NK: z_NK, logsumexp, _nll))


class Running:
    """What is kept of the models read so far, for one loss.

    Running totals (N, K) of the open seed, the open split and all; `counts` of models by split and seed; and of each split
    `sums_SRK`, by class: phi of its models, of its seeds' means, of its own mean (each weighted by its models), and the loss.
    """

    def __init__(self, loss: Bregman, labels_N: np.ndarray, num_classes: int) -> None:
        self.loss, self.labels_N, self.num_classes = loss, labels_N, num_classes
        self.seed_NK, self.split_NK, self.all_NK = np.zeros((3, len(labels_N), num_classes))
        self.num_of_seed, self.split_counts = 0, list[int]()
        self.counts: list[list[int]] = []
        self.sums_SRK: list[np.ndarray] = []
        self._open_RK = np.zeros((4, num_classes))

    @property
    def num_models(self) -> int:
        return sum(map(sum, self.counts))

    def add(self, z_NK: np.ndarray) -> None:
        """One more model of the open seed, by its normalised log-probabilities."""
        x_NK = self.loss.point(z_NK)
        self._open_RK[0] += self.by_class(self.loss.phi(x_NK))
        self._open_RK[3] += self.by_class(self.loss.loss(x_NK, self.labels_N))
        self.seed_NK += x_NK
        self.num_of_seed += 1

    def close_seed(self) -> None:
        if not self.num_of_seed:
            return
        self._open_RK[1] += self.centre(self.seed_NK, self.num_of_seed)
        self.split_NK += self.seed_NK
        self.split_counts.append(self.num_of_seed)
        self.seed_NK[:], self.num_of_seed = 0.0, 0

    def close_split(self) -> None:
        if not self.split_counts:
            return
        self._open_RK[2] += self.centre(self.split_NK, sum(self.split_counts))
        self.all_NK += self.split_NK
        self.counts.append(self.split_counts)
        self.sums_SRK.append(self._open_RK.copy())
        self.split_NK[:], self.split_counts = 0.0, []
        self._open_RK[:] = 0.0

    def by_class(self, values_N: np.ndarray) -> np.ndarray:
        """Sums over the test examples of each true class, (K,)."""
        return np.bincount(self.labels_N, weights=values_N, minlength=self.num_classes)

    def centre(self, total_NK: np.ndarray, count: int) -> np.ndarray:
        """`count` times phi of the mean of so many models, by class."""
        return count * self.by_class(self.loss.phi(total_NK / count))

    def quantities(self, chosen: Sequence[int], all_K: np.ndarray) -> np.ndarray:
        """(bias, variance, data, init, mixing) of some splits, summed over the examples of each class: (Q, K).

        `all_K` is the centre of all their models.
        """
        models_K, seeds_K, splits_K, loss_K = np.sum([self.sums_SRK[split] for split in chosen], axis=0)
        counts = [self.counts[split] for split in chosen]
        data_K, init_K, mixing_K, variance_K = components(counts, Sums(models_K, seeds_K, splits_K, all_K))
        return np.stack([loss_K / sum(map(sum, counts)) - variance_K, variance_K, data_K, init_K, mixing_K])


def decompose(
    splits: Sequence[int], log_probs: LogProbs, labels_N: np.ndarray, *, repeats: Sequence[int] | None = None,
    overlap: float = 0.0, level: float = LEVEL,
) -> tuple[Decomposition, Decomposition]:
    """(squared error, cross-entropy) decompositions of models trained on `splits`, each with (N, K) log-probabilities.

    `repeats` names each model's seed on its split: models that share both are redraws of the mixing alone; without it
    every model has its own seed. Models that are None are left out, and a split or seed with none left is not there.
    Arrays may be half precision. Raises ValueError when one holds NaN, or shapes and labels do not fit each other.
    """
    labels_N = np.asarray(labels_N, dtype=np.int64)
    runs: list[Running] = []
    kept: list[list[int]] = []
    for split in design_of(splits, range(len(splits)) if repeats is None else repeats):
        there = [place for seed in split for place in _read_seed(seed, log_probs, labels_N, runs)]
        kept += [there] if there else []
        for run in runs:
            run.close_split()
    if not runs:
        nothing = Decomposition(bias=None, variance=None, init=None, data=None, num_splits=0, num_models=0)
        return nothing, nothing
    rests = _without_each(kept, log_probs, runs) if len(kept) > 2 else [[], []]
    first, second = (_finish(run, rest, overlap, level) for run, rest in zip(runs, rests, strict=True))
    return first, second


def design_of(splits: Sequence[int], repeats: Sequence[int]) -> Design:
    """The positions of the models by split and seed, in ascending order."""
    found: dict[int, dict[int, list[int]]] = {}
    for place in sorted(range(len(splits)), key=lambda place: (splits[place], repeats[place])):
        found.setdefault(splits[place], {}).setdefault(repeats[place], []).append(place)
    return [list(seeds.values()) for seeds in found.values()]


def normalised(array: np.ndarray, labels_N: np.ndarray) -> np.ndarray:
    """Log-probabilities (N, K) in double precision that sum to 1. Raises ValueError (see `decompose`)."""
    if array.ndim != 2 or len(array) != len(labels_N):
        raise ValueError(f"predictions of shape {array.shape} for {len(labels_N)} test labels")
    if len(labels_N) and not 0 <= labels_N.min() <= labels_N.max() < array.shape[1]:
        raise ValueError(f"test labels {labels_N.min()} to {labels_N.max()} for {array.shape[1]} classes, "
                         f"predictions of shape {array.shape}")
    z_NK = np.asarray(array, dtype=np.float64)
    if np.isnan(z_NK).any():
        raise ValueError("predictions hold NaN")
    z_NK = np.clip(z_NK, FLOOR, None)
    return z_NK - logsumexp(z_NK)[:, None]


def _read_seed(seed: list[int], log_probs: LogProbs, labels_N: np.ndarray, runs: list[Running]) -> list[int]:
    """Adds the models of one seed; the positions of those that were there."""
    there = []
    for place in seed:
        if (array := log_probs[place]) is None:
            continue
        z_NK = normalised(array, labels_N)
        if not runs:
            runs += [Running(loss, labels_N, z_NK.shape[1]) for loss in LOSSES]
        if z_NK.shape[1] != runs[0].num_classes:
            raise ValueError(f"predictions of shape {z_NK.shape} beside {runs[0].num_classes} classes")
        for run in runs:
            run.add(z_NK)
        there.append(place)
    for run in runs:
        run.close_seed()
    return there


def _without_each(kept: list[list[int]], log_probs: LogProbs, runs: list[Running]) -> list[list[np.ndarray]]:
    """The centre of all models but those of one split, by class, for each loss and split: reads every model again."""
    found: list[list[np.ndarray]] = [[] for _ in runs]
    for places in kept:
        rests_LNK = np.stack([run.all_NK for run in runs])
        for place in places:
            if (array := log_probs[place]) is None:
                raise ValueError("predictions vanished while they were read")
            z_NK = normalised(array, runs[0].labels_N)
            for number, run in enumerate(runs):
                rests_LNK[number] -= run.loss.point(z_NK)
        for run, rest_NK, own in zip(runs, rests_LNK, found, strict=True):
            own.append(run.centre(rest_NK, run.num_models - len(places)))
    return found


def _finish(run: Running, rests: list[np.ndarray], overlap: float, level: float) -> Decomposition:
    """The decomposition of all splits, with jackknife intervals from leaving each out."""
    splits = range(len(run.counts))
    full_QK = run.quantities(splits, run.centre(run.all_NK, run.num_models))
    partial = [run.quantities([split for split in splits if split != left_out], rest_K) for left_out, rest_K in enumerate(rests)]

    def mean(of: np.ndarray, quantity: int) -> Estimate | None:
        """Over the examples of some classes, chosen and weighted by `of` (K)."""
        value = float(full_QK[quantity] @ of)
        return None if np.isnan(value) else jackknife(value, [float(found_QK[quantity] @ of) for found_QK in partial],
                                                      overlap=overlap, level=level)

    examples_K = np.bincount(run.labels_N, minlength=run.num_classes)
    whole_K = np.full(run.num_classes, 1 / max(1, len(run.labels_N)))
    bias, variance, data, init, mixing = (mean(whole_K, quantity) for quantity in range(5))
    alone_KK = np.eye(run.num_classes) / np.maximum(1, examples_K)[:, None]
    by_class = tuple(ClassParts(label=label, num_examples=int(examples_K[label]), bias=mean(alone_KK[label], 0),
                                variance=mean(alone_KK[label], 1)) for label in np.flatnonzero(examples_K).tolist())
    return Decomposition(bias=bias, variance=variance, init=init, data=data, mixing=mixing, num_splits=len(splits),
                         num_seeds=sum(map(len, run.counts)), num_models=run.num_models, by_class=by_class)

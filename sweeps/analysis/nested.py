"""Variance components of a nested design, splits > seeds > redraws, from its sums of squares.

Owns the arithmetic of an unbalanced three-level nested analysis of variance (Searle, Casella and McCulloch, Variance
Components, 1992, chapter 5: Henderson's method I). Knows only counts and four sums; refuses to know what was measured.

Axes: C any further axes (classes, say), for which everything is computed apart.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

Counts = Sequence[Sequence[int]]
"""Models by seed, by split: ((2, 1), (2, 1)) are two splits of two seeds, whose first was redrawn once."""


@dataclass(frozen=True)
class Sums:
    """Sums of phi over a design, each (C,): of the models, and of the means of seeds, of splits and of all, weighted by
    how many models each stands for. With phi(x) = x^2 their differences are the sums of squares of every textbook."""

    models_C: np.ndarray
    seeds_C: np.ndarray
    splits_C: np.ndarray
    all_C: np.ndarray


@dataclass(frozen=True)
class Components:
    """Unclipped, each (C,); all NaN where the design does not identify it."""

    data_C: np.ndarray
    init_C: np.ndarray
    mixing_C: np.ndarray
    total_C: np.ndarray

    def __iter__(self) -> Iterator[np.ndarray]:
        return iter((self.data_C, self.init_C, self.mixing_C, self.total_C))


def components(counts: Counts, sums: Sums) -> Components:
    """V_data, V_init, V_mixing and their total.

    With n_ij models of seed j on split i, n_i and N their sums, S splits and C seeds in all,
        SS_mixing = models - seeds     E = (N - C) V_mixing
        SS_init = seeds - splits       E = (C - S) V_mixing + (N - a) V_init              a = sum_ij n_ij^2 / n_i
        SS_data = splits - all         E = (S - 1) V_mixing + (a - b) V_init + (N - c) V_data
                                       b = sum_ij n_ij^2 / N,   c = sum_i n_i^2 / N
    and the estimates solve these three equations: unbiased for phi(x) = ||x||^2 whatever the distribution, and in the limit
    of small noise for any other phi. M seeds with R redraws each give the balanced form V_mixing = MS_mixing, V_init =
    (MS_init - MS_mixing) / R, V_data = (MS_data - MS_init) / (M R).

    Without redraws V_mixing is no unknown: init holds it as well. With one seed a split, V_data + V_init is one unknown,
    and data and init are NaN. One split gives no total.
    """
    of_seed = [count for split in counts for count in split]
    num, num_seeds, num_splits = sum(of_seed), len(of_seed), len(counts)
    a = sum(count**2 / sum(split) for split in counts for count in split)
    b, c = sum(count**2 for count in of_seed) / num, sum(sum(split) ** 2 for split in counts) / num
    redrawn, reseeded = num > num_seeds, num_seeds > num_splits
    unknown_C = np.full_like(sums.models_C, np.nan)
    mixing_C = (sums.models_C - sums.seeds_C) / (num - num_seeds) if redrawn else unknown_C
    noise_C = mixing_C if redrawn else np.zeros_like(unknown_C)
    init_C = (sums.seeds_C - sums.splits_C - (num_seeds - num_splits) * noise_C) / (num - a) if reseeded else unknown_C
    if num_splits < 2:
        return Components(unknown_C, init_C, mixing_C, unknown_C)
    between_C = sums.splits_C - sums.all_C - (num_splits - 1) * noise_C
    if not reseeded:
        return Components(unknown_C, unknown_C, mixing_C, between_C / (num - c) + noise_C)
    data_C = (between_C - (a - b) * init_C) / (num - c)
    return Components(data_C, init_C, mixing_C, data_C + init_C + noise_C)

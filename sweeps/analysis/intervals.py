"""Intervals from a handful of splits: Student's t on per-split numbers, and the jackknife.

Knows only arrays. Refuses to know what the numbers mean or where they come from.
"""

import math
from collections.abc import Sequence

import numpy as np
from scipy.special import stdtrit

from sweeps.analysis.results import Estimate

LEVEL = 0.95


def t_quantile(probability: float, df: float) -> float:
    """Quantile of Student's t with `df` degrees of freedom."""
    return float(stdtrit(df, probability))


def mean_estimate(values: Sequence[float] | np.ndarray, *, overlap: float = 0.0, level: float = LEVEL,
                  within: tuple[float, float] = (-math.inf, math.inf)) -> Estimate:
    """Mean with a t interval; NaN values are left out, one value has no interval, none at all gives NaN.

    `overlap` is n_val/n_train where the splits overlap, else 0: the variance of the mean is s^2 (1/n + overlap)
    (Nadeau and Bengio 2003). Values that do not differ say nothing about their spread, so they get no interval.
    `within` is what the quantity can be: a side of the interval beyond it is put on it.
    """
    array = np.asarray(values, dtype=np.float64)
    array = array[np.isfinite(array)]
    n = len(array)
    if n == 0:
        return Estimate(math.nan)
    mean = float(array.mean())
    if n == 1 or np.ptp(array) <= 1e-12 * max(1.0, abs(mean)):
        return Estimate(mean)
    half = t_quantile((1 + level) / 2, n - 1) * float(array.std(ddof=1)) * math.sqrt(1 / n + overlap)
    return Estimate(mean, max(mean - half, within[0]), min(mean + half, within[1]))


def jackknife(
    value: float, left_out: Sequence[float], *, overlap: float = 0.0, level: float = LEVEL,
) -> Estimate:
    """`value` with a t interval from the same statistic with each of the n >= 3 groups left out once.

    The statistic must be near unbiased already: the jackknife gives the spread here, not a bias correction.
    """
    n = len(left_out)
    if n < 3 or not np.isfinite([value, *left_out]).all():
        return Estimate(value)
    spread = float(np.var(left_out)) * (n - 1)
    half = t_quantile((1 + level) / 2, n - 1) * math.sqrt(spread * (1 + n * overlap))
    return Estimate(value, value - half, value + half)

"""How bias and variance move with epsilon, and where their slopes cancel: the bottom of their sum.

Slopes are least squares over the rungs. The place where they cancel is that of two quadratics, one for bias and one for
variance; its interval comes from redrawing every rung within its own error. Rungs share their splits, which makes neighbours
move together; here they count as independent, so intervals are rather too wide than too narrow. On test predictions, which
choose nothing: validation decides where alpha* is.

Axes: A rungs, D draws.
"""

import math
from collections.abc import Sequence

import numpy as np

from sweeps.analysis.intervals import LEVEL, t_quantile
from sweeps.analysis.results import AlphaPoint, Estimate, Slopes
from trainable.moments import alpha_from_epsilon

FEWEST_RUNGS, NUM_DRAWS = 4, 2000
NOT_WITHIN = "within the ladder the slopes of bias and variance do not cancel"


def bias_variance_slopes(points: Sequence[AlphaPoint], objective: str, *, level: float = LEVEL) -> Slopes | None:
    """The slopes of the decomposition that belongs to the objective; None with fewer than four rungs that have both."""
    names = ("kl_bias", "kl_variance") if objective == "val/loss" else ("bias2", "variance")
    both = [(point, getattr(point, names[0]), getattr(point, names[1])) for point in points]
    known = [(point, bias, variance) for point, bias, variance in both if bias and variance]
    if len(known) < FEWEST_RUNGS:
        return None
    t_A = np.array([point.epsilon for point, _, _ in known])
    parts: list[list[Estimate]] = [[bias for _, bias, _ in known], [variance for _, _, variance in known]]
    values = [np.array([each.value for each in part]) for part in parts]
    errors = [_errors(part, [point.num_splits for point, _, _ in known], level) for part in parts]
    slopes = [_slope(value_A, error_A, t_A, level) for value_A, error_A in zip(values, errors, strict=True)]
    cancel, text = _cancel(values[0] + values[1], errors, t_A, level)
    return Slopes(bias=slopes[0], variance=slopes[1], cancel=cancel, text=text)


def _errors(found: Sequence[Estimate], num_splits: Sequence[int], level: float) -> np.ndarray | None:
    """Standard errors from Student's t intervals; None where a rung has none."""
    if any(each.low is None or each.high is None for each in found):
        return None
    return np.array([((each.high or 0.0) - (each.low or 0.0)) / 2 / t_quantile((1 + level) / 2, count - 1)
                     for each, count in zip(found, num_splits, strict=True)])


def _slope(value_A: np.ndarray, error_A: np.ndarray | None, t_A: np.ndarray, level: float) -> Estimate:
    weight_A = (t_A - t_A.mean()) / ((t_A - t_A.mean()) ** 2).sum()
    value = float(weight_A @ value_A)
    if error_A is None:
        return Estimate(value)
    half = t_quantile((1 + level) / 2, len(t_A) - 2) * math.sqrt(float(weight_A**2 @ error_A**2))
    return Estimate(value, value - half, value + half)


def _cancel(total_A: np.ndarray, errors: Sequence[np.ndarray | None], t_A: np.ndarray, level: float) -> tuple[Estimate | None, str]:
    """Alpha at the bottom of the sum with its interval, cut to the ladder, and the sentence for it; None where it has none."""
    ends = (float(t_A[0]), float(t_A[-1]))
    bottom = float(_bottoms(total_A[None], t_A)[0])
    if not ends[0] < bottom < ends[1]:
        return None, f"{NOT_WITHIN}."
    alpha = float(alpha_from_epsilon(bottom))
    bias, variance = errors
    if bias is None or variance is None:
        return Estimate(alpha), f"The slopes of bias and variance cancel at alpha {alpha:.3g}; an interval needs three splits."
    noise_DA = np.random.default_rng(0).standard_normal((NUM_DRAWS, len(t_A))) * np.sqrt(bias**2 + variance**2)
    drawn_D = _bottoms(total_A + noise_DA, t_A)
    # a curve without a bottom says nothing of where it is: it counts at both sides
    low, high = (float(np.quantile(np.where(np.isnan(drawn_D), aside, drawn_D), share))
                 for aside, share in ((-1.0, (1 - level) / 2), (1.0, (1 + level) / 2)))
    low, high = max(low, ends[0]), min(high, ends[1])
    found = Estimate(alpha, float(alpha_from_epsilon(low)), float(alpha_from_epsilon(high)))
    open_end = " (it reaches an end of the ladder)" if low == ends[0] or high == ends[1] else ""
    return found, (f"The slopes of bias and variance cancel at alpha {alpha:.3g} "
                   f"[{found.low:.3g}, {found.high:.3g}]{open_end}.")


def _bottoms(total_DA: np.ndarray, t_A: np.ndarray) -> np.ndarray:
    """Lowest points of the fitted quadratics, (D,); NaN where one bends the other way."""
    square_D, line_D, _ = np.linalg.lstsq(np.vander(t_A, 3), total_DA.T, rcond=None)[0]
    out: np.ndarray = np.where(square_D > 0, -line_D / np.where(square_D > 0, 2 * square_D, 1.0), np.nan)
    return out

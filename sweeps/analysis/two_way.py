"""Least squares of risk = arm + split + noise, for many tables at once, and how noisy each difference of two arms is.

Three estimates of the variance of a difference are averaged, a third each: that of the paired differences themselves, the
sum of the two arms' own variances (from their residuals), and twice the pooled residual. The first two follow arms of
unequal noise and noise that neighbours share; the third steadies them where splits are few. Student's t then has
2 (S-1)(A-1)/A degrees of freedom: S-1 for two arms, where all three are one, and below 2 (S-1) always. Weights and degrees
were chosen by simulation (`python -m benchmarks coverage`); the pooled residual alone covers 86 to 92 % where arms differ.

Owns the arithmetic. Refuses to know which arms are worth comparing and what a risk is.

Axes: D tables, S splits, A arms.
"""

from dataclasses import dataclass

import numpy as np

FEW_DEGREES = 0.5
"""Arms whose residuals have fewer degrees of freedom than this are taken to be as noisy as the average."""


@dataclass(frozen=True, kw_only=True)
class Fits:
    """`noise_DAA`: variance of one cell as the difference of two arms sees it; `factor_DAA`: what multiplies it.

    For a full table the factor is 1/S + 1/S. `residual_df_D` belongs to `mean_square_D`, `df_D` to the standard errors.
    """

    effect_DA: np.ndarray
    factor_DAA: np.ndarray
    noise_DAA: np.ndarray
    own_DA: np.ndarray
    mean_square_D: np.ndarray
    residual_df_D: np.ndarray
    df_D: np.ndarray


def fit(risk_DSA: np.ndarray) -> Fits:
    """The fits of tables in which NaN marks missing cells.

    Every row and column must have a result and all must be linked (see arms.comparable), with a residual degree of freedom.
    """
    filled = np.isfinite(risk_DSA)
    weight, (_, num_splits, num_arms) = filled.astype(np.float64), risk_DSA.shape
    count_D = weight.sum(axis=(1, 2))
    centre_D = np.where(filled, risk_DSA, 0.0).sum(axis=(1, 2)) / count_D
    risk = np.where(filled, risk_DSA - centre_D[:, None, None], 0.0)  # centring keeps the digits of small differences
    g = np.linalg.inv(_normal(weight))
    known = np.concatenate([risk.sum(axis=1), risk.sum(axis=2)[:, 1:]], axis=1)
    solution = (g @ known[..., None])[..., 0]
    split_DS = np.concatenate([np.zeros_like(solution[:, :1]), solution[:, num_arms:]], axis=1)
    residual = weight * (risk - solution[:, None, :num_arms] - split_DS[:, :, None])
    df_D = count_D - num_splits - num_arms + 1
    mean_square_D = (residual**2).sum(axis=(1, 2)) / df_D
    own_DA = _own(residual, weight, _leverage(g, num_arms), mean_square_D)
    arm = g[:, :num_arms, :num_arms]
    own = arm.diagonal(axis1=1, axis2=2)
    factor = np.maximum(own[:, :, None] + own[:, None, :] - 2 * arm, 0.0)
    return Fits(effect_DA=solution[:, :num_arms] + centre_D[:, None], factor_DAA=factor, own_DA=own_DA,
                noise_DAA=_noise(residual, weight, own_DA, mean_square_D), mean_square_D=mean_square_D,
                residual_df_D=df_D, df_D=2 * df_D / num_arms)


def _normal(weight: np.ndarray) -> np.ndarray:
    """Normal equations: one unknown an arm, one a split but the first."""
    draws, num_splits, num_arms = weight.shape
    out = np.zeros((draws, num_arms + num_splits - 1, num_arms + num_splits - 1))
    arms, splits = np.arange(num_arms), np.arange(num_arms, num_arms + num_splits - 1)
    out[:, arms, arms] = weight.sum(axis=1)
    out[:, splits, splits] = weight.sum(axis=2)[:, 1:]
    out[:, num_arms:, :num_arms] = weight[:, 1:]
    out[:, :num_arms, num_arms:] = weight[:, 1:].transpose(0, 2, 1)
    return out


def _leverage(g: np.ndarray, num_arms: int) -> np.ndarray:
    """How far each cell pulls its own fit, (D, S, A)."""
    own = g.diagonal(axis1=1, axis2=2)
    rest = own[:, num_arms:, None] + 2 * g[:, num_arms:, :num_arms]
    first = np.zeros_like(own[:, None, :num_arms])
    out: np.ndarray = own[:, None, :num_arms] + np.concatenate([first, rest], axis=1)
    return out


def _own(residual: np.ndarray, weight: np.ndarray, leverage: np.ndarray, mean_square_D: np.ndarray) -> np.ndarray:
    """Each arm's own variance: of its residuals' mean square, (A-2) parts in A-1 are its own and one is the average's."""
    num_arms = residual.shape[2]
    degrees = (weight * (1 - leverage)).sum(axis=1)
    if num_arms == 2:
        return np.broadcast_to(mean_square_D[:, None], degrees.shape)
    mean = (residual**2).sum(axis=1) / np.maximum(degrees, FEW_DEGREES)
    own = np.maximum(((num_arms - 1) * mean - mean_square_D[:, None]) / (num_arms - 2), 0.0)
    return np.where(degrees < FEW_DEGREES, mean_square_D[:, None], own)


def _noise(residual: np.ndarray, weight: np.ndarray, own_DA: np.ndarray, mean_square_D: np.ndarray) -> np.ndarray:
    """The mean of the three estimates; of the last two where a pair shares fewer than two splits."""
    across = weight.transpose(0, 2, 1)
    shared = across @ weight
    squares = (residual**2).transpose(0, 2, 1) @ weight
    squares = squares + squares.transpose(0, 2, 1) - 2 * residual.transpose(0, 2, 1) @ residual
    total = residual.transpose(0, 2, 1) @ weight
    total = total - total.transpose(0, 2, 1)
    paired = (squares - total**2 / np.maximum(shared, 1)) / np.maximum(shared - 1, 1) / 2
    others = (own_DA[:, :, None] + own_DA[:, None, :]) / 2 + mean_square_D[:, None, None]
    out: np.ndarray = np.where(shared >= 2, (np.maximum(paired, 0.0) + others) / 3, others / 2)
    return out

"""What alpha means: moments of theta = max(lam, 1 - lam) for lam ~ Beta(alpha, alpha), and lam from a uniform number.

Owns the mathematics of the mixing distribution (Carratino et al., On Mixup Regularization, arXiv 2006.06049). Refuses
to know about tensors, random streams and training. Valid for every alpha from 0 (ERM: lam is 0 or 1, theta always 1)
to infinity (lam always 1/2); a negative alpha or one that is not a number raises ValueError.
"""

import math

import numpy as np
from scipy.optimize import brentq
from scipy.special import betainc, betaincinv, betaln


def theta_bar(alpha: float) -> float:
    """Mean of theta, from 1 at alpha = 0 down to 1/2 at infinity: mixup shrinks data to their mean by this factor."""
    return 1.0 - epsilon(alpha)


def epsilon(alpha: float) -> float:
    """1 - theta_bar = E min(lam, 1 - lam), from 0 at alpha = 0 up to 1/2 at infinity: mixup's own label smoothing.

    The coordinate in which alpha is searched: bounded, strictly increasing, and nearly linear in what mixup does.
    """
    _check(alpha)
    if alpha == 0.0:
        return 0.0
    return 0.5 if math.isinf(alpha) else float(betainc(alpha + 1.0, alpha, 0.5))


def sigma2(alpha: float) -> float:
    """Variance of theta: weight of an example's own direction in mixup's input noise. Peaks near alpha 0.49."""
    _check(alpha)
    if alpha == 0.0 or math.isinf(alpha):
        return 0.0
    second_moment = (alpha + 1.0) / (2.0 * alpha + 1.0) * (1.0 - float(betainc(alpha + 2.0, alpha, 0.5)))
    return max(0.0, second_moment - theta_bar(alpha) ** 2)  # below alpha 1e-15 the difference is rounding


def gamma2(alpha: float) -> float:
    """sigma2 + epsilon^2: weight of the data covariance in mixup's input noise, rising from 0 to 1/4."""
    return sigma2(alpha) + epsilon(alpha) ** 2


def alpha_from_epsilon(value: float) -> float:
    """The alpha whose epsilon is `value`, in [0, 1/2]: exactly 0 at 0, infinity at 1/2. Raises ValueError outside.

    Solved in log alpha, to a relative 1e-12 up to alpha = 1e6 (then the curve is too flat for more), so a caller with
    bounds on alpha clips to them: 32 may come back as 32.000000000002.
    """
    if not 0.0 <= value <= 0.5:
        raise ValueError(f"epsilon = {value!r}: must be in [0, 0.5]")
    if value == 0.0:
        return 0.0
    low, high = value, 1.0  # epsilon(alpha) < alpha log 2, so the root lies above `value`
    while epsilon(high) < value:
        low, high = high, high * 16.0
    if epsilon(high) == 0.5:  # the curve has rounded to its end
        return math.inf
    root = brentq(lambda log_alpha: epsilon(math.exp(log_alpha)) - value, math.log(low), math.log(high),
                  xtol=1e-14, rtol=1e-14)
    return math.exp(root)


def lam_from_uniform(u: np.ndarray, alpha: float) -> np.ndarray:
    """lam for uniforms in [0, 1]: the inverse CDF of Beta(alpha, alpha), float64, same shape. Never changes `u`.

    Computed on the lower half and reflected, so lam(1 - u) = 1 - lam(u) exactly. At one u a larger alpha brings lam
    closer to 1/2 and never across it: draws of different alphas are coupled as tightly as they can be.
    alpha = 0 gives all ones (no example is mixed), not the coin of the limit, whose zeros would only swap the partners.
    """
    _check(alpha)
    u = np.asarray(u, dtype=np.float64)
    if alpha == 0.0:
        return np.ones_like(u)
    if math.isinf(alpha):
        return np.full_like(u, 0.5)
    folded = np.minimum(u, 1.0 - u)
    lower_half = _quantile(folded, alpha, alpha)
    lower_half = np.where(folded == 0.5, 0.5, np.minimum(lower_half, 0.5))  # the median, to the last bit
    return np.where(u > 0.5, 1.0 - lower_half, lower_half)


def tilted_lam_from_uniform(u: np.ndarray, alpha: float) -> np.ndarray:
    """lam for uniforms in [0, 1]: the inverse CDF of Beta(alpha + 1, alpha), float64, same shape. Never changes `u`.

    The law under which mixing inputs alone, each example keeping its label, has mixup's expected cross-entropy: mixup's
    label weight lam is taken into the density. Its mean is (alpha + 1) / (2 alpha + 1). alpha = 0 gives all ones.
    """
    _check(alpha)
    u = np.asarray(u, dtype=np.float64)
    if alpha == 0.0:
        return np.ones_like(u)
    if math.isinf(alpha):
        return np.full_like(u, 0.5)
    below = _quantile(np.minimum(u, 0.5), alpha + 1.0, alpha)
    above = 1.0 - _quantile(np.minimum(1.0 - u, 0.5), alpha, alpha + 1.0)  # from the nearer end, where digits are left
    return np.where(u > 0.5, above, below)


def _quantile(u: np.ndarray, a: float, b: float) -> np.ndarray:
    """Inverse CDF of Beta(a, b) for u <= 1/2; the leading term of the far tail, where scipy's is NaN."""
    with np.errstate(divide="ignore"):
        tail = np.exp((np.log(u) + math.log(a) + betaln(a, b)) / a)
    found = betaincinv(a, b, u)
    return np.where(np.isnan(found), tail, found)


def _check(alpha: float) -> None:
    if not alpha >= 0.0:
        raise ValueError(f"alpha = {alpha!r}: must be in [0, inf]")

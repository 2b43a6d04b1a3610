"""alpha* between the rungs: a curve in epsilon through the ladder, believed only where it fits and only inside the set.

A quadratic first: one a split, its lowest point with Fieller's interval over splits (the ratio of two means, Student's t,
S-1 degrees of freedom). It is dismissed where the means of the rungs bend otherwise: a lack-of-fit F test at 10 %. Then a
Gaussian process on those means (noise term: the noise of a mean), dismissed where left-out rungs fall outside of its
predictions (chi square at 10 %).

Passing such a test is not enough: a curve that falls steeply and then stays flat passes for a quadratic in half of all studies
with four splits, and Fieller's interval then holds its lowest point in 0 to 3 % of them (simulated). So the interval is widened
by every lowest point that a lopsided curve leaves possible (`lopsided`), and is cut to the hull of the confidence set, which
remains the answer. Nor does a curve exclude an end of the ladder that the set holds: a curve that falls to the very end shows a
lowest point before it in 4 to 7 % of studies, and the end is missed in up to a fifth of those (simulated; all of it is `python
-m benchmarks refined`). So the interval keeps such an end, and where the set holds both there is none. The curve goes with its
band, an interval of the mean risk at each place (Student's t over splits, S-1 degrees of freedom). Refuses to know where risks
come from.

Axes: S splits, A rungs, G places of a grid, V bends tried, D draws.
"""

import math
import warnings
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import chdtrc, fdtrc, fdtri

from sweeps.analysis.arms import PairedArms, compare
from sweeps.analysis.intervals import LEVEL, t_quantile
from sweeps.analysis.results import Curve, Refined, SweetSpot
from trainable.moments import alpha_from_epsilon, epsilon

if TYPE_CHECKING:
    from sklearn.gaussian_process import GaussianProcessRegressor

FEWEST_SPLITS, FEWEST_RUNGS = 4, 5
LACK_OF_FIT = 0.10
"""A curve is dismissed below this p value: ten good curves in a hundred are, for few bad ones to pass."""
QUADRATIC, PROCESS = "quadratic, Fieller interval", "Gaussian process"
NUM_DRAWS, NUM_POINTS, NUM_BENDS, NUM_PLACES = 400, 101, 41, 61


def with_refinement(spot: SweetSpot, risk_SA: np.ndarray, alphas: Sequence[float], *, overlap: float = 0.0) -> SweetSpot:
    """The sweet spot with `refined`, or with the reason why there is none."""
    if not spot.power:
        return spot
    found = refine(np.asarray(risk_SA, dtype=np.float64), alphas, (spot.low, spot.high), overlap=overlap, level=spot.level)
    return replace(spot, refined=found) if isinstance(found, Refined) else replace(spot, why_not_refined=found)


def refine(risk_SA: np.ndarray, alphas: Sequence[float], hull: tuple[float, float], *, overlap: float = 0.0,
           level: float = LEVEL) -> Refined | str:
    """alpha* within `hull`, or why no curve gives one."""
    arms = compare(risk_SA, overlap)
    if arms is None or arms.mean_square == 0.0 or len(arms.kept_A) < FEWEST_RUNGS or arms.num_splits < FEWEST_SPLITS:
        return f"a curve needs {FEWEST_RUNGS} rungs on {FEWEST_SPLITS} splits"
    table_SA = risk_SA[:, arms.kept_A]
    table_SA = table_SA[np.isfinite(table_SA).all(axis=1)]
    if len(table_SA) < FEWEST_SPLITS:
        return f"a curve needs {FEWEST_SPLITS} splits on which no result is missing"
    t_A = np.array([epsilon(alphas[place]) for place in arms.kept_A.tolist()])
    inside = (float(epsilon(hull[0])), float(epsilon(hull[1])))
    first, last = inside[0] <= t_A[0], inside[1] >= t_A[-1]
    if first and last:
        return "the confidence set holds both ends of the ladder"
    is_quadratic = misfit(table_SA, t_A) >= LACK_OF_FIT
    model = None if is_quadratic else process(arms, t_A)
    span = fieller(table_SA, t_A, overlap, level) if is_quadratic else lowest(model, inside, level) if model else None
    possible = lopsided(table_SA, t_A, inside, overlap, level)
    if span is None:
        return ("the fitted quadratic has no lowest point that the splits agree on" if is_quadratic else
                "neither a quadratic nor a Gaussian process fits the rungs")
    if not possible:
        return "no curve with a single lowest point inside the confidence set fits the rungs"
    low, high = min(span[1], *possible), max(span[2], *possible)
    wide = (span[0], inside[0] if first else low, inside[1] if last else high)
    cut = _cut(wide, inside)
    if cut is None:
        return "the lowest point of the fitted curve lies outside the confidence set"
    curve = quadratic_curve(table_SA, t_A, overlap, level) if model is None else process_curve(model, table_SA, t_A, overlap, level)
    return Refined(alpha=cut[0], low=cut[1], high=cut[2], method=QUADRATIC if is_quadratic else PROCESS, curve=curve)


def misfit(risk_SA: np.ndarray, t_A: np.ndarray) -> float:
    """p value of the F test that the means of the rungs lie on one quadratic, against the residual of the two-way table."""
    num_splits, num_arms = risk_SA.shape
    mean_A = risk_SA.mean(axis=0)
    basis = np.vander(t_A, 3)
    off_A = mean_A - basis @ np.linalg.lstsq(basis, mean_A, rcond=None)[0]
    residual = risk_SA - mean_A - risk_SA.mean(axis=1, keepdims=True) + mean_A.mean()
    df, free = (num_splits - 1) * (num_arms - 1), num_arms - 3
    ratio = num_splits * float(off_A @ off_A) / free / (float((residual**2).sum()) / df)
    return float(fdtrc(free, df, ratio))


def lopsided(risk_SA: np.ndarray, t_A: np.ndarray, inside: tuple[float, float], overlap: float, level: float) -> list[float]:
    """The points v of a grid over the hull at which a + b max(v-t, 0)^q + c max(t-v, 0)^q, b and c >= 0, q 1 or 2, fits.

    Fits: not dismissed by the lack-of-fit test at `level`; so the true lowest point of such a curve is among them that often.
    """
    num_splits, num_arms = risk_SA.shape
    mean_A = risk_SA.mean(axis=0)
    residual = risk_SA - mean_A - risk_SA.mean(axis=1, keepdims=True) + mean_A.mean()
    df, free = (num_splits - 1) * (num_arms - 1), num_arms - 3
    allowed = float(fdtri(free, df, level)) * free * float((residual**2).sum()) / df * (1 / num_splits + overlap)
    bends_V = np.linspace(*inside, NUM_BENDS)
    left_VA, right_VA = np.maximum(bends_V[:, None] - t_A, 0), np.maximum(t_A - bends_V[:, None], 0)
    least_V = np.min([_squares(mean_A, left_VA**power, right_VA**power) for power in (1, 2)], axis=0)
    return [float(v) for v in bends_V[least_V <= allowed]]


def _squares(mean_A: np.ndarray, left_VA: np.ndarray, right_VA: np.ndarray) -> np.ndarray:
    """Least sums of squares of a level and two sides that do not fall away from the bend, (V,)."""
    least_V = np.full(len(left_VA), np.inf)
    for sides in ((left_VA, right_VA), (left_VA,), (right_VA,)):
        basis = np.stack([np.ones_like(left_VA), *sides], axis=2)
        found = np.linalg.pinv(basis) @ mean_A
        squares_V = ((mean_A - (basis @ found[:, :, None])[:, :, 0]) ** 2).sum(axis=1)
        least_V = np.where((found[:, 1:] >= -1e-9).all(axis=1), np.minimum(least_V, squares_V), least_V)
    return least_V


def fieller(risk_SA: np.ndarray, t_A: np.ndarray, overlap: float, level: float) -> tuple[float, float, float] | None:
    """(lowest point, low, high) of the mean quadratic in t; None where its curvature may be none or negative."""
    num_splits = len(risk_SA)
    coefficients = np.linalg.lstsq(np.vander(t_A, 3), risk_SA.T, rcond=None)[0]
    top, bottom = -coefficients[1], 2 * coefficients[0]
    spread = np.cov(top, bottom) * (1 / num_splits + overlap)
    square = t_quantile((1 + level) / 2, num_splits - 1) ** 2
    n, d = float(top.mean()), float(bottom.mean())
    a, b, c = d * d - square * spread[1, 1], n * d - square * spread[0, 1], n * n - square * spread[0, 0]
    inner = b * b - a * c
    if d <= 0 or a <= 0 or inner < 0:
        return None
    return n / d, (b - math.sqrt(inner)) / a, (b + math.sqrt(inner)) / a


def quadratic_curve(risk_SA: np.ndarray, t_A: np.ndarray, overlap: float, level: float) -> Curve:
    """The mean of one quadratic a split, with Student's t interval over splits at each place."""
    places_G = np.linspace(t_A[0], t_A[-1], NUM_PLACES)
    risk_SG = risk_SA @ (np.vander(places_G, 3) @ np.linalg.pinv(np.vander(t_A, 3))).T
    half_G = _critical(risk_SA, level) * np.sqrt(risk_SG.var(axis=0, ddof=1) * (1 / len(risk_SA) + overlap))
    return _curve(places_G, risk_SG.mean(axis=0), half_G)


def process(arms: PairedArms, t_A: np.ndarray) -> "GaussianProcessRegressor | None":
    """A Gaussian process through the effects about their mean; None where left-out rungs fall outside of it."""
    from sklearn.gaussian_process import GaussianProcessRegressor
    from sklearn.gaussian_process.kernels import RBF, ConstantKernel
    y_A = arms.effect_A - arms.effect_A.mean()
    noise = arms.mean_square * (1 / arms.num_splits + arms.overlap)
    size = max(float(y_A.var()), noise)
    kernel = ConstantKernel(size, (size / 100, 100 * size)) * RBF(0.15, (0.05, 1.0))
    model = GaussianProcessRegressor(kernel, alpha=noise, optimizer=_optimise, random_state=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of a hyperparameter at its bound: that is what bounds are for
        model.fit(t_A[:, None], y_A)
    covariance_AA = model.kernel_(t_A[:, None]) + noise * np.eye(len(t_A))
    return None if chdtrc(len(y_A), _left_out(covariance_AA, y_A)) < LACK_OF_FIT else model


def lowest(model: "GaussianProcessRegressor", inside: tuple[float, float], level: float) -> tuple[float, float, float]:
    """(lowest point of the mean, low, high of the lowest point of drawn curves) within the hull."""
    grid_G = np.linspace(*inside, NUM_POINTS)
    drawn_GD = model.sample_y(grid_G[:, None], NUM_DRAWS, random_state=0)
    low, high = np.quantile(grid_G[drawn_GD.argmin(axis=0)], [(1 - level) / 2, (1 + level) / 2])
    return float(grid_G[model.predict(grid_G[:, None]).argmin()]), float(low), float(high)


def process_curve(model: "GaussianProcessRegressor", risk_SA: np.ndarray, t_A: np.ndarray, overlap: float, level: float) -> Curve:
    """The mean of the process about the mean risk; its band holds the doubt about both."""
    places_G = np.linspace(t_A[0], t_A[-1], NUM_PLACES)
    value_G, sd_G = model.predict(places_G[:, None], return_std=True)
    level_variance = float(risk_SA.mean(axis=1).var(ddof=1)) * (1 / len(risk_SA) + overlap)
    return _curve(places_G, value_G + float(risk_SA.mean()), _critical(risk_SA, level) * np.sqrt(sd_G**2 + level_variance))


def _critical(risk_SA: np.ndarray, level: float) -> float:
    return t_quantile((1 + level) / 2, len(risk_SA) - 1)


def _curve(places_G: np.ndarray, value_G: np.ndarray, half_G: np.ndarray) -> Curve:
    columns = (places_G, value_G, value_G - half_G, value_G + half_G)
    return Curve(**dict(zip(("epsilons", "values", "lows", "highs"), (tuple(each.tolist()) for each in columns), strict=True)))


def _optimise(target, start, bounds):  # type: ignore[no-untyped-def]
    """scikit-learn's own optimiser complains where it stops at a bound; this one is its plain best of a grid and start."""
    from scipy.optimize import minimize
    found = minimize(target, start, method="L-BFGS-B", jac=True, bounds=bounds)
    return found.x, found.fun


def _left_out(covariance_AA: np.ndarray, y_A: np.ndarray) -> float:
    """Sum of squares of each rung's distance from what the others predict of it, in their standard deviations."""
    inverse = np.linalg.inv(covariance_AA)
    return float(((inverse @ y_A) ** 2 / inverse.diagonal()).sum())


def _cut(span: tuple[float, float, float], inside: tuple[float, float]) -> tuple[float, float, float] | None:
    """(lowest point, low, high) within the hull, as alphas; None where they lie outside it."""
    best, low, high = span
    if high < inside[0] or low > inside[1]:
        return None
    best, low, high = (float(alpha_from_epsilon(min(max(each, inside[0]), inside[1]))) for each in (best, low, high))
    return best, low, high

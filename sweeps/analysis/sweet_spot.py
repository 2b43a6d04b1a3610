"""Where alpha's sweet spot lies, how sure that is, and what to do next: the confidence set of the best rung.

Source: multiple comparisons with the best (Hsu 1981), on per-split risks that are paired by common random numbers, with
Bonferroni over the A-1 rivals. A rung is left out of the set only if some other rung beats it by more than
t(1 - (1-level)/(A-1), df) standard errors of their difference; how noisy a difference is, is judged in two_way, so that
rungs of unequal noise cost no coverage. Refuses to know where risks come from. A bootstrap of a fitted curve's vertex is
not used: it covers far less than it says (`python -m benchmarks coverage`).

Axes: S splits, A rungs of the ladder, D tables.
"""

import math
from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from scipy.special import stdtr, stdtrit

from sweeps.analysis.arms import PairedArms, compare
from sweeps.analysis.intervals import LEVEL, t_quantile
from sweeps.analysis.power import MOST_SPLITS, describe, power
from sweeps.analysis.results import NO_LADDER, Estimate, Power, SweetSpot
from trainable.moments import alpha_from_epsilon, epsilon

BRACKETED, EDGE, FLAT, NOT_ENOUGH = "bracketed", "edge", "flat", "not enough data"


def sweet_spot(
    risk_SA: np.ndarray, alphas: Sequence[float], *, overlap: float = 0.0, level: float = LEVEL,
) -> SweetSpot:
    """The sweet spot of a ladder from per-split risks (seeds already averaged), NaN where a result is missing.

    `alphas` ascend and name the columns. `overlap` is n_val/n_train for splits drawn afresh from one pool, 0 for
    disjoint ones. The interval and P speak of the randomness that differs between splits, and of no other.
    """
    risk_SA = np.asarray(risk_SA, dtype=np.float64).reshape(-1, len(alphas))
    arms = compare(risk_SA, overlap)
    if arms is None or arms.mean_square == 0.0:
        return undecided(risk_SA, alphas, level)
    ladder = [float(alphas[position]) for position in arms.kept_A]
    in_set_A = confidence_set(arms, level)
    best = int(arms.effect_A.argmin())
    low, high = hull(ladder, in_set_A)
    verdict = judge(in_set_A)
    gain, p_beats = gain_over_erm(arms, ladder, best, level)
    needed = power(arms, in_set_A, level)
    return SweetSpot(
        alpha=ladder[best], alphas_in_set=tuple(np.asarray(ladder)[in_set_A].tolist()), low=low, high=high,
        verdict=verdict, level=level, gain_over_erm=gain, p_beats_erm=p_beats, num_splits=arms.num_splits,
        power=needed, advice=advise(verdict, needed, overlap, ladder, in_set_A))


def critical(num_arms: int, df_D: np.ndarray, level: float) -> np.ndarray:
    """How many standard errors a rival must lead by: one-sided, shared between the A-1 rivals (Bonferroni)."""
    bound_D: np.ndarray = stdtrit(df_D, 1 - (1 - level) / (num_arms - 1))
    return bound_D


def confidence_set(arms: PairedArms, level: float = LEVEL) -> np.ndarray:
    """Which arms cannot be told from the best: contains the truly best one with probability `level` or more."""
    errors_AA = np.stack([arms.standard_errors(rival) for rival in range(len(arms.effect_A))])
    in_set_A: np.ndarray = best_rungs(arms.effect_A[None], errors_AA[None], np.array([arms.df]), level)[0]
    return in_set_A


def best_rungs(effect_DA: np.ndarray, errors_DAA: np.ndarray, df_D: np.ndarray, level: float = LEVEL) -> np.ndarray:
    """The confidence sets of many tables, (D, A): no rival leads by more than the bound of standard errors."""
    bound_D = critical(effect_DA.shape[1], df_D, level)
    lag_DAA = effect_DA[:, :, None] - effect_DA[:, None, :]
    inside: np.ndarray = (lag_DAA <= bound_D[:, None, None] * errors_DAA).all(axis=2)
    return inside


def judge(in_set_A: np.ndarray) -> str:
    """bracketed: both ends of the ladder are out of the set; edge: one is; flat: none is."""
    return (BRACKETED, EDGE, FLAT)[int(in_set_A[0]) + int(in_set_A[-1])]


def hull(ladder: Sequence[float], in_set_A: np.ndarray) -> tuple[float, float]:
    """Smallest and largest alpha of the set, each reaching halfway (in epsilon) to its neighbour outside the set."""
    inside = np.flatnonzero(in_set_A)
    first, last = int(inside[0]), int(inside[-1])
    low = ladder[0] if first == 0 else halfway(ladder[first - 1], ladder[first])
    high = ladder[-1] if last == len(ladder) - 1 else halfway(ladder[last], ladder[last + 1])
    return low, high


@lru_cache(maxsize=1024)
def halfway(alpha: float, other: float) -> float:
    """The alpha whose epsilon lies midway between those of the two."""
    return float(alpha_from_epsilon((float(epsilon(alpha)) + float(epsilon(other))) / 2))


def gain_over_erm(
    arms: PairedArms, ladder: Sequence[float], best: int, level: float,
) -> tuple[Estimate | None, float | None]:
    """risk(ERM) - risk(best) with its interval, and P(best beats ERM); None where ERM was not measured.

    The interval is two-sided and holds for all A-1 rungs against ERM at once (Bonferroni), so that picking the best one
    does not spoil it. P is Student's t at the difference over its standard error: the posterior probability, under a
    flat prior, that this rung's risk is below ERM's. It is not corrected for the rung having been picked as the best,
    so it flatters where nothing matters. When ERM itself is the best, the gain is 0 without an interval, P is None.
    """
    if ladder[0] != 0.0:
        return None, None
    if best == 0:
        return Estimate(0.0), None
    value, se = arms.difference(0, best)
    half = t_quantile(1 - (1 - level) / (2 * (len(ladder) - 1)), arms.df) * se
    return Estimate(value, value - half, value + half), float(stdtr(arms.df, value / se))


def advise(verdict: str, needed: Power, overlap: float, ladder: Sequence[float], in_set_A: np.ndarray) -> str:
    """One or two sentences: what the verdict means for the next run."""
    if verdict == FLAT:
        return advise_flat(needed, overlap)
    if verdict == BRACKETED:
        low, high = hull(ladder, in_set_A)
        text = f"The sweet spot lies between alpha {low:.3g} and {high:.3g}; rungs inside that range would narrow it."
        return text + (f" To tell its rungs apart takes {describe(needed.single)}." if needed.single else "")
    if in_set_A[-1]:
        text = f"The best alpha may lie above {ladder[-1]:g}: extend the ladder upwards"
    elif ladder[0] == 0.0:
        text = f"Plain training (alpha 0) cannot be excluded: add rungs between 0 and {ladder[1]:g}, or splits"
    else:
        text = f"The best alpha may lie below {ladder[0]:g}: extend the ladder downwards"
    return f"{text}; to exclude that end as it is takes {describe(needed.bracketed)}." if needed.bracketed else f"{text}."


def advise_flat(needed: Power, overlap: float) -> str:
    """How many splits would settle a flat verdict, were the observed differences the true ones."""
    start = "No bracketed sweet spot at this budget: "
    if needed.one_end is None or needed.one_end.value is None:
        cure = "disjoint splits or more data would" if overlap else f"not even {MOST_SPLITS} splits would"
        return start + f"{cure} settle it, were the observed differences the true ones."
    text = f"{describe(needed.one_end)} would exclude one end of the ladder"
    if needed.bracketed is not None:
        text += f" and {describe(needed.bracketed)} would bracket it"
    return start + text + ", were the observed differences the true ones."


def no_ladder(num_splits: int, level: float = LEVEL) -> SweetSpot:
    """The answer where only alpha = 0 was to be measured, as the baseline of named arms."""
    return SweetSpot(alpha=math.nan, alphas_in_set=(), low=math.nan, high=math.nan, verdict=NO_LADDER, level=level,
                     gain_over_erm=None, p_beats_erm=None, num_splits=num_splits, advice="")


def undecided(risk_SA: np.ndarray, alphas: Sequence[float], level: float) -> SweetSpot:
    """The answer where the data cannot give one: every measured rung is in the set. No result at all: alpha is NaN."""
    filled = np.isfinite(risk_SA)
    measured = np.flatnonzero(filled.any(axis=0))
    ladder = [float(alphas[position]) for position in measured.tolist()]
    num_splits = int(filled.any(axis=1).sum())
    advice = "The splits share too few alphas, or do not differ, so their noise cannot be judged: add splits."
    if num_splits < 2 or len(ladder) < 2:
        advice = (f"At least two alphas on at least two splits are needed; "
                  f"there are results of {len(ladder)} on {num_splits}.")
    best = int(np.nanmean(risk_SA[:, measured], axis=0).argmin()) if ladder else 0
    ladder = ladder or [math.nan]
    return SweetSpot(alpha=ladder[best], alphas_in_set=tuple(ladder) if num_splits else (), low=ladder[0],
                     high=ladder[-1], verdict=NOT_ENOUGH, level=level, gain_over_erm=None, p_beats_erm=None,
                     num_splits=num_splits, advice=advice)

"""How many splits would settle it, were the observed differences the true ones, and how sure that number is.

Closed form: a rung leaves the confidence set once its lead is found with probability 0.8, at the noise that was measured.
The interval comes from truths that fit the data: effects and noise are redrawn within their own errors, and the number is
computed for each. Refuses to know alphas and verdicts.

Axes: D drawn truths, A rungs, N numbers of splits.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.special import stdtrit

from sweeps.analysis.arms import PairedArms
from sweeps.analysis.results import Power, SplitsNeeded

CHANCE = 0.8
"""Of finding a lead of the assumed size; also the level of the interval of the number of splits."""
MOST_SPLITS = 200
"""No number of splits beyond this is advised: it stands for 'splits will not settle it'."""
NUM_DRAWS = 400
MORE = MOST_SPLITS + 1


@dataclass(frozen=True)
class Truths:
    """Effects and noises taken for true: those observed (one draw), or those that fit the data as well."""

    effect_DA: np.ndarray
    noise_DAA: np.ndarray


def power(arms: PairedArms, in_set_A: np.ndarray, level: float) -> Power:
    """Splits at which one end leaves the set, both do, and the best rung stands alone; None where that is so already."""
    observed = Truths(arms.effect_A[None], arms.noise_AA[None])
    drawn = redraw(arms)
    ends = int(in_set_A[0]) + int(in_set_A[-1])
    at_DA, around_DA = (splits_to_leave(truths, arms, level) for truths in (observed, drawn))

    def told(needed: Callable[[np.ndarray], np.ndarray], is_open: bool) -> SplitsNeeded | None:
        if not is_open:
            return None
        value, low, high = (int(needed(at_DA)[0]), *(int(each) for each in np.quantile(
            needed(around_DA), [(1 - CHANCE) / 2, (1 + CHANCE) / 2], method="nearest")))
        return SplitsNeeded(*(_told(each, arms.num_splits) for each in (value, low, high)))

    return Power(one_end=told(lambda needed_DA: needed_DA[:, [0, -1]].min(axis=1), ends == 2),
                 bracketed=told(lambda needed_DA: needed_DA[:, [0, -1]].max(axis=1), ends > 0),
                 single=told(lambda needed_DA: needed_DA.max(axis=1), bool(in_set_A.sum() > 1)))


def splits_to_leave(truths: Truths, arms: PairedArms, level: float) -> np.ndarray:
    """Splits at which each rung is told from the best one, (D, A); the best itself never has to leave, and counts 0.

    A best rung that is an end of the ladder can never be bracketed: as an end it counts as more than can be advised.
    """
    best_D = truths.effect_DA.argmin(axis=1)
    rows = np.arange(len(best_D))
    lead_DA = truths.effect_DA - truths.effect_DA[rows, best_D, None]
    needed_DA = splits_to_tell(lead_DA, truths.noise_DAA[rows, best_D], arms, level)
    inner = (best_D > 0) & (best_D < needed_DA.shape[1] - 1)
    needed_DA[rows, best_D] = np.where(inner, 0, MORE)
    return needed_DA


def splits_to_tell(lead: np.ndarray, noise: np.ndarray, arms: PairedArms, level: float) -> np.ndarray:
    """Fewest splits that find a true lead over cells of this noise with probability 0.8; 201 where 200 would not do."""
    num_arms = len(arms.effect_A)
    splits_N = np.arange(2, MOST_SPLITS + 1)
    df_N = 2 * (splits_N - 1) * (num_arms - 1) / num_arms
    bound_N = stdtrit(df_N, 1 - (1 - level) / (num_arms - 1)) + stdtrit(df_N, CHANCE)
    reach_N = bound_N * np.sqrt(2 * (1 / splits_N + arms.overlap))
    ratio = lead / np.sqrt(np.maximum(noise, 1e-300))
    found: np.ndarray = 2 + np.searchsorted(-reach_N, -ratio, side="left")
    return found


def redraw(arms: PairedArms) -> Truths:
    """Truths that the data do not rule out: effects within their errors, noise within its own, from a fixed stream."""
    stream = np.random.default_rng([arms.num_splits, len(arms.effect_A)])
    inflation_D = arms.df / stream.chisquare(arms.df, NUM_DRAWS)
    own_A = (arms.own_A + arms.mean_square) / 2
    error_DA = np.sqrt(own_A * (1 / arms.num_splits + arms.overlap) * inflation_D[:, None])
    effect_DA = arms.effect_A + error_DA * stream.standard_normal((NUM_DRAWS, len(own_A)))
    return Truths(effect_DA, arms.noise_AA * inflation_D[:, None, None])


def _told(value: int, num_splits: int) -> int | None:
    """At least one split more than now; None for more than can be advised."""
    return None if value > MOST_SPLITS else max(value, num_splits + 1)


def describe(needed: SplitsNeeded) -> str:
    """`about 12 splits (80 % interval 7 to more than 200)`."""
    many = f"more than {MOST_SPLITS}"
    if needed.value is None and needed.low is None:
        return f"{many} splits"
    low, high = (many if each is None else str(each) for each in (needed.low, needed.high))
    start = f"{many} splits" if needed.value is None else f"about {needed.value} splits"
    return f"{start} ({100 * CHANCE:g} % interval {low} to {high})"

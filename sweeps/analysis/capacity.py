"""Does more capacity make training less sensitive to alpha? Slopes of clean training error, and their interaction.

`change_along` serves any moderator of a ladder; the one of epochs is judged in training.

The conjecture of Zhang et al. (arXiv 1710.09412, section 5): with more capacity, training error on real data rises less
with alpha. Here: the slope d(clean training error)/d(epsilon) per capacity and split, and its change per tenfold
parameters, split by split, since a split is the same data at every capacity. Refuses to know trials and files.

Axes: C capacities, S splits, A rungs of the ladder.
"""

import math
from collections.abc import Callable, Sequence

import numpy as np

from sweeps.analysis.intervals import LEVEL, mean_estimate
from sweeps.analysis.results import NO_LADDER, CapacityResult, Conjecture, Estimate
from sweeps.analysis.sweet_spot import NOT_ENOUGH
from trainable.moments import epsilon

SUPPORTED, CONTRADICTED, UNDECIDED = "supported", "contradicted", "undecided"


def rectangle(filled_SA: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Masks of splits and rungs between which every cell is filled: the row or column with most gaps goes first.

    Slopes over different rungs are not comparable where the curve bends, so gaps cost whole rows or columns.
    """
    splits, rungs = np.asarray(filled_SA.any(axis=1)), np.asarray(filled_SA.any(axis=0))
    while splits.any() and rungs.any():
        gaps_S = np.where(splits, 1 - filled_SA[:, rungs].mean(axis=1), -1.0)
        gaps_A = np.where(rungs, 1 - filled_SA[splits].mean(axis=0), -1.0)
        if max(gaps_S.max(), gaps_A.max()) <= 0:
            break
        if gaps_S.max() > gaps_A.max():
            splits[gaps_S.argmax()] = False
        else:
            rungs[gaps_A.argmax()] = False
    return splits, rungs


def slope(values: np.ndarray, x: np.ndarray) -> np.ndarray:
    """Least-squares slope of `values` against `x` along the last axis."""
    centred = x - x.mean()
    out: np.ndarray = values @ centred / (centred @ centred)
    return out


def clean_error_slope(
    error_SA: np.ndarray, alphas: Sequence[float], *, overlap: float = 0.0, level: float = LEVEL,
) -> Estimate | None:
    """Slope of clean training error in epsilon (error fraction per unit of epsilon), t interval over splits.

    NaN marks missing cells; None when fewer than two rungs are complete on some split.
    """
    splits, rungs = rectangle(np.isfinite(error_SA))
    x = np.array([epsilon(alpha) for alpha in alphas])
    if not splits.any() or rungs.sum() < 2:
        return None
    return mean_estimate(slope(error_SA[np.ix_(splits, rungs)], x[rungs]), overlap=overlap, level=level)


def interaction(
    error_CSA: np.ndarray, alphas: Sequence[float], num_parameters_C: Sequence[int | None], *,
    overlap: float = 0.0, level: float = LEVEL,
) -> Estimate | None:
    """Change of that slope per tenfold parameters, t interval over splits; negative supports the conjecture.

    Capacities without a parameter count, or with results in fewer than half of the cells, are left out; None when fewer
    than two sizes, two rungs or one split remain.
    """
    return change_along(error_CSA, alphas, num_parameters_C, slope, overlap=overlap, level=level)


def change_along(
    value_CSA: np.ndarray, alphas: Sequence[float], moderator_C: Sequence[int | None],
    statistic: Callable[[np.ndarray, np.ndarray], np.ndarray], *, overlap: float = 0.0, level: float = LEVEL,
) -> Estimate | None:
    """Change of `statistic` (of values and epsilons along the rungs) per tenfold moderator: parameters, or epochs."""
    filled_CSA = np.isfinite(value_CSA)
    kept = [place for place, count in enumerate(moderator_C) if count and 2 * filled_CSA[place].mean() >= 1]
    size_C = np.array([math.log10(moderator_C[place] or 1) for place in kept])
    if len(set(size_C.tolist())) < 2:
        return None
    splits, rungs = rectangle(filled_CSA[kept].all(axis=0))
    if not splits.any() or rungs.sum() < 2:
        return None
    x = np.array([epsilon(alpha) for alpha in alphas])[rungs]
    found_CS = statistic(value_CSA[kept][:, splits][:, :, rungs], x)
    return mean_estimate(slope(found_CS.T, size_C), overlap=overlap, level=level)


def judge_conjecture(change: Estimate | None, capacities: Sequence[CapacityResult], objective: str) -> Conjecture:
    """The verdict with its sentence, and where alpha's sweet spot went with capacity."""
    if capacities and all(result.sweet(objective).verdict == NO_LADDER for result in capacities):
        return Conjecture(interaction=None, verdict=UNDECIDED, text="There is no ladder of alphas to see it on.")
    verdict = UNDECIDED
    if change is not None and change.low is not None and change.high is not None:
        verdict = SUPPORTED if change.high < 0 else CONTRADICTED if change.low > 0 else UNDECIDED
    text = f"{describe_change(change)} That more capacity makes training error less sensitive to alpha is {verdict}"
    text += " at this budget. " if verdict == UNDECIDED else ". "
    text += describe_trend([(result, result.num_parameters) for result in capacities if result.num_parameters], objective)
    return Conjecture(interaction=change, verdict=verdict, text=text.strip())


def describe_change(change: Estimate | None) -> str:
    if change is None:
        return "The change of the slope with capacity needs two capacities measured at two alphas on one split."
    text = "Per tenfold parameters the slope of clean training error in epsilon changes by "
    text += f"{100 * change.value:+.1f} points"
    if change.low is None or change.high is None:
        return text + "; an interval needs at least two splits."
    return text + f" (interval {100 * change.low:+.1f} to {100 * change.high:+.1f})."


def describe_trend(steps: Sequence[tuple[CapacityResult, int]], objective: str, moderator: str = "capacity") -> str:
    """How alpha* moves from the least to the most of the moderator; a move is claimed only where their sets are disjoint.

    Both sets hold their truth with probability 2 level - 1 or more.
    """
    known = [(size, result) for result, size in steps if result.sweet(objective).verdict not in (NOT_ENOUGH, NO_LADDER)]
    if len(known) < 2:
        return ""
    known.sort(key=lambda step: step[0])
    path = ", ".join(f"{result.sweet(objective).alpha:g} ({result.capacity})" for _, result in known)
    small, large = (result.sweet(objective).alphas_in_set for _, result in (known[0], known[-1]))
    ends = "smallest and largest" if moderator == "capacity" else "shortest and longest"
    move = (f"it rises with {moderator}: the sets of the {ends} do not meet" if max(small) < min(large) else
            f"it falls with {moderator}: the sets of the {ends} do not meet" if min(small) > max(large) else
            f"a shift is not shown: the sets of the {ends} meet")
    return f"alpha* is {path}; {move}."

"""Does the best value of an axis depend on alpha? Each axis times alpha, beyond what the two add up to, with an interval.

A small linear model of the search trials of a capacity: all axes on their own scale from 0 to 1 (alpha in epsilon, as it is
searched), and one product of alpha with one axis, each about its mean. What is reported is how much the objective changes
from the low to the high half of both, beyond the sum; an interval, by a bootstrap over trials, that holds 0 shows nothing.
A search is no designed experiment: few trials, drawn where the sampler hoped; so fewer trials than twice the unknowns give no
answer. Refuses to know spaces: scales are handed in.

Axes: N trials, P unknowns, B resamples.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from sweeps.analysis.intervals import LEVEL
from sweeps.analysis.results import Estimate, StudyResults
from sweeps.records import FINISHED

ToUnit = Mapping[str, Callable[[Any], float]]
"""Axis -> its value on a scale from 0 to 1. Axes that are no numbers are left out."""

NUM_DRAWS = 200
TRIALS_PER_UNKNOWN = 2
HALF = 0.5
"""From the middle of the low half of an axis to that of the high half, as a share of the axis."""


def with_interactions(results: StudyResults, to_unit: ToUnit, *, seed: int = 0) -> StudyResults:
    """The results with the interactions of alpha per capacity, from finished search trials only."""
    found = {}
    for capacity in dict.fromkeys(trial.capacity for trial in results.search):
        known = [(trial.setting, trial.value) for trial in results.search
                 if trial.capacity == capacity and trial.state == FINISHED and trial.value is not None]
        found[capacity] = interactions([setting for setting, _ in known], [value for _, value in known], to_unit, seed=seed)
    return replace(results, interactions={capacity: axes for capacity, axes in found.items() if axes})


def interactions(settings: Sequence[Mapping[str, Any]], values: Sequence[float], to_unit: ToUnit, *, seed: int = 0,
                 level: float = LEVEL) -> dict[str, Estimate]:
    """Axis -> its interaction with alpha in units of the objective; {} where trials are too few or alpha was not searched.

    Trials without a finite value, or in whose setting an axis is missing (it exists only beside another), are left out.
    """
    kept = [(setting, value) for setting, value in zip(settings, values, strict=True)
            if np.isfinite(value) and all(axis in setting for axis in to_unit)]
    if "alpha" not in to_unit or len(kept) < TRIALS_PER_UNKNOWN * (len(to_unit) + 2):
        return {}
    unit = {axis: np.array([scale(setting[axis]) for setting, _ in kept]) for axis, scale in to_unit.items()}
    moving = {axis: x_N - x_N.mean() for axis, x_N in unit.items() if np.ptp(x_N) > 0}
    if "alpha" not in moving:
        return {}
    value_N = np.array([value for _, value in kept])
    places_BN = np.random.default_rng([seed, len(kept)]).integers(len(kept), size=(NUM_DRAWS, len(kept)))
    return {axis: _estimate(np.stack([np.ones(len(kept)), *moving.values(), moving["alpha"] * x_N], axis=1), value_N, places_BN,
                            level) for axis, x_N in moving.items() if axis != "alpha"}


def _estimate(basis_NP: np.ndarray, value_N: np.ndarray, places_BN: np.ndarray, level: float) -> Estimate:
    """The last coefficient with a percentile interval, times the distance between halves on both axes."""
    drawn = [float(np.linalg.lstsq(basis_NP[places_N], value_N[places_N], rcond=None)[0][-1])
             for places_N in places_BN if np.linalg.matrix_rank(basis_NP[places_N]) == basis_NP.shape[1]]
    value = float(np.linalg.lstsq(basis_NP, value_N, rcond=None)[0][-1]) * HALF**2
    if 2 * len(drawn) < len(places_BN):
        return Estimate(value)
    low, high = (float(each) * HALF**2 for each in np.quantile(drawn, [(1 - level) / 2, (1 + level) / 2]))
    return Estimate(value, low, high)

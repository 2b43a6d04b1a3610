"""How much each axis of the space matters to the objective, with an interval: a bootstrap over search trials.

Owns the resampling. Refuses to know how importance is computed: the evaluator is handed in, so no sampler library is
needed here.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from sweeps.analysis.intervals import LEVEL
from sweeps.analysis.results import Estimate, StudyResults
from sweeps.records import FINISHED

Evaluator = Callable[[list[dict[str, Any]], list[float]], dict[str, float]]
"""(settings, objective values) -> share of each axis. May raise ValueError or RuntimeError where it cannot tell."""

MIN_TRIALS = 8
NUM_DRAWS = 20


def importance(
    settings: Sequence[dict[str, Any]], values: Sequence[float], evaluator: Evaluator, *, rough: Evaluator | None = None,
    num_draws: int = NUM_DRAWS, seed: int = 0,
) -> dict[str, Estimate]:
    """Importance per axis with a percentile interval over resampled trials; empty below 8 trials or for equal values.

    `rough`, where given, is a cheaper evaluator for the resamples: its own noise widens the interval. A resample repeats
    trials, which some evaluators take for agreement: read the intervals as a lower bound on doubt.
    The interval is None where the evaluator fails on more than half of the resamples.
    """
    usable = [place for place, value in enumerate(values) if np.isfinite(value)]
    kept_settings, kept_values = [dict(settings[place]) for place in usable], [float(values[place]) for place in usable]
    if len(usable) < MIN_TRIALS or len(set(kept_values)) < 2:
        return {}
    full = attempt(evaluator, kept_settings, kept_values)
    stream = np.random.default_rng([seed, len(usable)])
    drawn = []
    for _ in range(num_draws if full else 0):
        places = stream.integers(len(usable), size=len(usable))
        found = attempt(rough or evaluator, [kept_settings[place] for place in places], [kept_values[place] for place in places])
        if found:
            drawn.append(found)
    return {axis: interval(value, [one[axis] for one in drawn if axis in one], num_draws)
            for axis, value in full.items()}


def attempt(evaluator: Evaluator, settings: list[dict[str, Any]], values: list[float]) -> dict[str, float]:
    """The evaluator's answer, or nothing where it cannot tell the axes apart."""
    if len(set(values)) < 2:
        return {}
    try:
        found = evaluator(settings, values)
    except (ValueError, RuntimeError):
        return {}
    return {axis: float(value) for axis, value in found.items() if np.isfinite(value)}


def interval(value: float, drawn: list[float], num_draws: int) -> Estimate:
    if not drawn or 2 * len(drawn) < num_draws:
        return Estimate(value)
    low, high = np.quantile(drawn, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Estimate(value, float(low), float(high))


def with_importance(results: StudyResults, evaluator: Evaluator, *, rough: Evaluator | None = None,
                    num_draws: int = NUM_DRAWS) -> StudyResults:
    """The results with the importance of the searched axes per capacity filled in, from finished search trials only."""
    found = {}
    for capacity in dict.fromkeys(trial.capacity for trial in results.search):
        known = [(trial.setting, trial.value) for trial in results.search
                 if trial.capacity == capacity and trial.state == FINISHED and trial.value is not None]
        found[capacity] = importance([setting for setting, _ in known], [value for _, value in known], evaluator,
                                     rough=rough, num_draws=num_draws)
    return replace(results, importance={capacity: axes for capacity, axes in found.items() if axes})

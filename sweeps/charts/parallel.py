"""Where the values of a search lie on parallel axes: one axis per knob that varied, each scaled to [0, 1].

Owns the choice of scale and of ticks, and the ranking of trials. Refuses to know how axes and lines are drawn.
"""

import math
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

from sweeps.analysis.results import SearchTrial
from sweeps.quantities import Quantity
from sweeps.theme import alpha_text, known
from trainable.moments import epsilon

LOG_RATIO = 20.0
"""A positive axis is read on a log scale when it spans this ratio and its values fill a log scale more evenly."""

BANDS = (("best tenth", 0.1), ("best third", 1 / 3), ("the others", 1.0))
"""Trials are ranked within their capacity: which share of the ranking each band ends at."""


@dataclass(frozen=True)
class ParallelAxis:
    """One axis. `options` holds the texts of an axis of names, in order; `scale` is names, epsilon, log or linear."""

    name: str
    scale: str
    low: float = 0.0
    high: float = 1.0
    options: tuple[str, ...] = ()

    def place(self, value: Any) -> float | None:
        """Where on [0, 1] this value lies; None for a value that cannot be placed."""
        if self.scale == "names":
            return (self.options.index(str(value)) + 0.5) / len(self.options) if str(value) in self.options else None
        if not _is_number(value) or (self.scale == "log" and value <= 0):
            return None
        return (_coordinate(value, self.scale) - self.low) / (self.high - self.low)

    def ticks(self) -> tuple[tuple[float, str], ...]:
        """(place, text) of a few readable marks."""
        if self.scale == "names":
            return tuple(((index + 0.5) / len(self.options), text) for index, text in enumerate(self.options))
        if self.scale == "epsilon":
            values = [value for value in (0, 0.1, 0.3, 1, 3, 10, 32, 100, 1000)
                      if self.low - 1e-9 <= epsilon(value) <= self.high + 1e-9]
            return tuple((place, alpha_text(value)) for value in values if (place := self.place(value)) is not None)
        if self.scale == "log":
            values = [10.0 ** power for power in range(math.ceil(self.low - 1e-9), math.floor(self.high + 1e-9) + 1)]
            values = values if len(values) > 1 else [10.0 ** self.low, 10.0 ** self.high]
            return tuple(((math.log10(value) - self.low) / (self.high - self.low), f"{value:.2g}") for value in values)
        steps = round_steps(self.low, self.high)
        return tuple(((value - self.low) / (self.high - self.low), f"{value:.4g}") for value in steps)


def round_steps(low: float, high: float) -> list[float]:
    """Multiples of 1, 2 or 5 times a power of ten inside [low, high]: two to seven of them."""
    power = 10.0 ** math.floor(math.log10(high - low))
    step = next(step for step in (power / 5, power / 2, power, 2 * power, 5 * power) if (high - low) / step <= 6)
    return [index * step for index in range(math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9) + 1)]


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _coordinate(value: float, scale: str) -> float:
    return epsilon(value) if scale == "epsilon" else math.log10(value) if scale == "log" else float(value)


def axis_of(name: str, values: Sequence[Any]) -> ParallelAxis | None:
    """The axis on which these values lie; None when they do not vary."""
    present = [value for value in values if value is not None]
    if not present or not all(_is_number(value) for value in present):
        options = tuple(dict.fromkeys(map(str, present)))
        return ParallelAxis(name, "names", options=options) if len(options) > 1 else None
    smallest, largest = min(present), max(present)
    if smallest == largest:
        return None
    scale = "epsilon" if name == "alpha" and smallest >= 0 else "log" if _fills_log(present) else "linear"
    low, high = _coordinate(smallest, scale), _coordinate(largest, scale)
    return ParallelAxis(name, scale, low, high) if high > low else None


def _fills_log(values: Sequence[float]) -> bool:
    smallest, middle, largest = min(values), median(values), max(values)
    if smallest <= 0 or largest / smallest < LOG_RATIO:
        return False
    linear = (middle - smallest) / (largest - smallest)
    log = math.log(middle / smallest) / math.log(largest / smallest)
    return abs(log - 0.5) < abs(linear - 0.5)


def axes_of(trials: Sequence[SearchTrial], objective: Quantity) -> tuple[ParallelAxis, ...]:
    """The axes that vary: capacity, then each searched knob in order of appearance, then the objective."""
    names = dict.fromkeys(name for trial in trials for name in trial.setting)
    columns: dict[str, Sequence[Any]] = {
        "capacity": [trial.capacity for trial in trials],
        **{name: [trial.setting.get(name) for trial in trials] for name in names},
        objective.heading: [scaled(trial, objective) for trial in trials]}
    found = (axis_of(name, values) for name, values in columns.items())
    return tuple(axis for axis in found if axis is not None)


def values_of(trial: SearchTrial, objective: Quantity) -> dict[str, Any]:
    """The trial's value on each axis."""
    return {"capacity": trial.capacity, **trial.setting, objective.heading: scaled(trial, objective)}


def scaled(trial: SearchTrial, objective: Quantity) -> float | None:
    """The trial's objective in the unit it is read in; None when it has none."""
    return trial.value * objective.unit.scale if trial.value is not None and known(trial.value) else None


def band_of(trials: Sequence[SearchTrial]) -> list[int | None]:
    """Which of BANDS each trial falls in, ranked within its capacity; None for a trial without a value."""
    ranked: dict[str, list[float]] = {}
    for trial in trials:
        if trial.value is not None and known(trial.value):
            ranked.setdefault(trial.capacity, []).append(trial.value)
    for values in ranked.values():
        values.sort()
    return [_band(trial.value, ranked[trial.capacity]) if trial.value is not None and known(trial.value) else None
            for trial in trials]


def _band(value: float, ranked: list[float]) -> int:
    share = (1 + bisect_left(ranked, value)) / len(ranked)
    return next(index for index, (_, end) in enumerate(BANDS) if share <= max(end, 1 / len(ranked)))

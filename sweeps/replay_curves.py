"""Which curve a trial of a replay follows: its own, where it was recorded, else that of the nearest recorded setting.

Distance is Euclidean over the axes of the space, each on its own scale from 0 to 1 (alpha as epsilon, weight decay by its
logarithm; options that differ are 1 apart), divided by the root of their number, so that it lies in [0, 1]. A surrogate's curve is
read at the same share of its own epochs. A recorded trial that was pruned, and goes on in the replay, goes on as the nearest
finished one does, moved to meet it. Refuses to know sweeps, clocks and rules.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from search_spaces.dimension import Choice, Searched
from search_spaces.space import SearchSpace
from sweeps.records import FINAL_STATES, FINISHED, MEASURE, PRUNED, SEARCH, End, Row, TrialRecord, TrialSpec
from trainable.config import TrialConfig
from trainable.errors import ConfigError, StudyError


@dataclass(frozen=True, kw_only=True)
class Curve:
    """The rows a trial reports, and how it ends. Those past `num_own` are a surrogate's, recorded `distance` away."""

    rows: tuple[Row, ...]
    end: End
    num_own: int = 0
    distance: float = 0.0

    @property
    def last_epoch(self) -> int:
        return self.rows[-1].epoch


@dataclass(frozen=True, kw_only=True)
class Recording:
    """A study's trials and their rows, by trial id. `splits`: where a split of the replay is another one of the record."""

    space: SearchSpace
    trials: Sequence[TrialRecord]
    rows: Mapping[int, Sequence[Row]]
    data_digest: str
    splits: Mapping[int, int] | None = None

    def curve(self, spec: TrialSpec) -> Curve:
        """What the trial of this specification reports. StudyError where nothing near it was recorded."""
        split = (self.splits or {}).get(spec.split, spec.split)
        own = self._by_place.get((spec.stage, spec.arm_key, split, *spec.replicate[1:]))
        if own is None:
            nearest = self.nearest(spec, split)
            return self._as(spec, nearest, distance(self.space, spec.setting, nearest.setting))
        if own.state != PRUNED:
            return Curve(rows=tuple(self.rows[own.id]), end=end_of(own), num_own=len(self.rows[own.id]))
        follower = self.nearest(spec, split)
        rest = self._as(spec, follower, distance(self.space, spec.setting, follower.setting))
        return joined(tuple(self.rows[own.id]), rest)

    def nearest(self, spec: TrialSpec, split: int) -> TrialRecord:
        """The finished trial of the same stage, capacity, split and (in the measure stage) alpha or arm, of the nearest setting.

        Of equals the one recorded first.
        """
        able = [trial for trial in self._finished if (trial.stage, trial.capacity) == (spec.stage, spec.capacity)
                and (spec.stage == SEARCH or (trial.split == split and same_arm(trial, spec)))]
        if not able:
            raise StudyError(f"no trial of the {spec.stage} stage was recorded at {spec.capacity} on split {split}"
                             + (f", alpha {spec.config['alpha']:g}, {spec.origin}" if spec.stage == MEASURE else ""))
        return min(able, key=lambda trial: (distance(self.space, spec.setting, trial.setting), trial.id))

    def _as(self, spec: TrialSpec, trial: TrialRecord, far: float) -> Curve:
        """The curve of `trial`, stretched to the epochs of `spec`."""
        rows, epochs = self.rows[trial.id], int(spec.config["epochs"])
        taken = [rows[max(math.ceil(epoch * len(rows) / epochs), 1) - 1] for epoch in range(1, epochs + 1)]
        return Curve(rows=tuple(replace(row, epoch=epoch) for epoch, row in enumerate(taken, start=1)), end=end_of(trial),
                     distance=far)

    @cached_property
    def _by_place(self) -> dict[tuple[Any, ...], TrialRecord]:
        """Trials that can be followed, by what they are but for the split's number."""
        return {(trial.stage, arm_key(trial), *trial.replicate): trial for trial in self.trials
                if trial.state in FINAL_STATES and self.rows.get(trial.id)}

    @cached_property
    def _finished(self) -> list[TrialRecord]:
        return [trial for trial in self.trials if trial.state == FINISHED and self.rows.get(trial.id)]


def arm_key(trial: TrialRecord) -> str:
    """The key of a recorded trial's arm as it is now: one recorded when there were fewer fields to digest had another."""
    try:
        return TrialConfig.from_dict(trial.config).arm_key()
    except ConfigError:
        return trial.arm_key


def same_arm(trial: TrialRecord, spec: TrialSpec) -> bool:
    """Whether a measured trial is of the same rung of the ladder, or of the same named arm."""
    return trial.origin == spec.origin and trial.config["alpha"] == spec.config["alpha"] and trial.repeat == spec.repeat


def end_of(trial: TrialRecord) -> End:
    """How a recorded trial ended."""
    return End(state=trial.state, failure_class=trial.failure_class, failure_text=trial.failure_text, metrics=trial.metrics,
               num_parameters=trial.num_parameters)


def joined(own: tuple[Row, ...], rest: Curve) -> Curve:
    """A curve as far as it goes, then the rest of another one, moved to meet it; losses and errors stay above 0."""
    last, met = own[-1], rest.rows[own[-1].epoch - 1]
    step = {name: value - met.metrics[name] for name, value in last.metrics.items() if name in met.metrics}
    moved = [replace(row, metrics={name: max(value + step.get(name, 0.0), 0.0) for name, value in row.metrics.items()})
             for row in rest.rows[last.epoch:]]
    return replace(rest, rows=(*own, *moved), num_own=len(own))


def distance(space: SearchSpace, first: Mapping[str, Any], second: Mapping[str, Any]) -> float:
    """How far two settings lie apart, from 0 to 1; an axis that one of them lacks counts 1, one that both lack 0."""
    axes = space.varying
    total = sum(_apart(axis, first.get(axis.name), second.get(axis.name)) ** 2 for axis in axes)
    return math.sqrt(total / len(axes)) if axes else 0.0


def _apart(axis: Searched, first: Any, second: Any) -> float:
    if first is None or second is None:
        return float((first is None) != (second is None))
    if isinstance(axis, Choice):
        return float(first != second)
    return float(min(abs(axis.to_unit(first) - axis.to_unit(second)), 1.0))

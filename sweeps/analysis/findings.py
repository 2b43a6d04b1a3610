"""What the diagnostics of the measure stage found, per capacity and arm: numbers and curves with their spread over splits.

Splits are the independent unit: seeds on one split are averaged first, and n counts splits. Pure; owns the averaging and
who lacks what. Refuses to know what a diagnostic means, and to read the ledger.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np

from sweeps.analysis.comparison import ArmConfig, contenders
from sweeps.analysis.ladder import Ladder, build_ladder
from sweeps.records import FINISHED, MEASURE, TRANSFER, TrialRecord, rung_name
from trainable.diagnostics import DIAGNOSTICS

Curves = Mapping[int, Mapping[str, Any]]
"""What the ledger keeps beside the numbers, by trial id and name."""


class StudyLike(Protocol):
    """What is asked of a study: its ladder and arms, and which diagnostics it wants."""

    @property
    def measure(self) -> Any: ...
    @property
    def diagnostics(self) -> Sequence[str]: ...
    def arm_config(self, capacity: str, chosen: Mapping[str, Any], name: str) -> ArmConfig | None: ...


@dataclass(frozen=True, kw_only=True)
class Spread:
    """A mean over splits and its standard error; None where there is one split. `n` counts splits."""

    mean: float
    error: float | None
    n: int


@dataclass(frozen=True, kw_only=True)
class ArmFindings:
    """One arm at one capacity. `alpha` is None for an arm that is no rung of the ladder.

    `values` by the metric's name; `lines` by `<finding>/<list>`, a Spread a point; `bins` by the finding's name, the
    bins of all trials pooled; `facts` are what a finding holds that is no list, such as its number of examples.
    """

    label: str
    alpha: float | None
    num_trials: int
    values: dict[str, Spread] = field(default_factory=dict)
    lines: dict[str, list[Spread]] = field(default_factory=dict)
    bins: dict[str, dict[str, list[Any]]] = field(default_factory=dict)
    facts: dict[str, Any] = field(default_factory=dict)

    @property
    def num_splits(self) -> int:
        """Of what was found, at most."""
        found = [*self.values.values(), *(point for line in self.lines.values() for point in line)]
        return max((spread.n for spread in found), default=0)


@dataclass(frozen=True, kw_only=True)
class CapacityFindings:
    """The arms of one capacity in the order of its ladder. `overlap` as in the ladder: what overlapping splits cost."""

    capacity: str
    arms: tuple[ArmFindings, ...]
    overlap: float

    def arm(self, alpha: float) -> ArmFindings | None:
        """The rung of this alpha, or None."""
        return next((arm for arm in self.arms if arm.alpha == alpha), None)


@dataclass(frozen=True, kw_only=True)
class StudyFindings:
    """`lacking`: diagnostic -> how many of the `num_trials` finished trials of the measure stage ended without it.

    `transfer` is the source x target matrix as sweeps.transfer makes it, or None.
    """

    capacities: tuple[CapacityFindings, ...]
    lacking: dict[str, int]
    num_trials: int
    transfer: dict[str, Any] | None = None

    @property
    def names(self) -> tuple[str, ...]:
        """The diagnostics that found something, in the order in which they are listed everywhere."""
        found = {name.partition("/")[0] for each in self.capacities for arm in each.arms
                 for name in (*arm.values, *arm.lines, *arm.bins)}
        return tuple(name for name in DIAGNOSTICS if name in found)


def find(labels: Sequence[str], study: StudyLike, trials: Sequence[TrialRecord], curves: Curves,
         whole: Mapping[str, Any]) -> StudyFindings | None:
    """All that was found at the capacities `labels`, or None where there is nothing and nothing was asked for.

    `whole` holds the findings of the study itself, by name.
    """
    measured = [trial for trial in trials if trial.stage == MEASURE and trial.state == FINISHED]
    ladders, asked = [build_ladder(label, trials, study.measure) for label in labels], study.diagnostics
    capacities = tuple(CapacityFindings(capacity=ladder.capacity, overlap=ladder.overlap, arms=tuple(
        arm_findings(label, alpha, own, curves, ladder.overlap) for label, alpha, own in arms_of(ladder, trials, study)))
        for ladder in ladders)
    lacking = {name: sum(not has(trial, name, curves) for trial in measured) for name in asked if name != TRANSFER}
    found = StudyFindings(capacities=capacities, lacking={name: count for name, count in lacking.items() if count},
                          num_trials=len(measured), transfer=whole.get(TRANSFER))
    return found if found.names or found.transfer or (asked and measured) else None


def arms_of(ladder: Ladder, trials: Sequence[TrialRecord], study: StudyLike,
            ) -> list[tuple[str, float | None, Sequence[TrialRecord]]]:
    """(label, alpha, finished trials) of each arm that has any: the rungs, then the named arms, whose alpha is None.

    Redraws of mixing are left out: a seed counts once.
    """
    named = [(one.name, None, one.trials) for one in contenders(ladder, trials, study) if not one.is_rung and one.same_as is None]
    rungs = [(rung_name(alpha) if alpha else f"{rung_name(alpha)} (ERM)", alpha, ladder.trials(alpha)) for alpha in ladder.alphas]
    arms = [(label, alpha, [trial for trial in found if not trial.replicate.redraw]) for label, alpha, found in (*rungs, *named)]
    return [arm for arm in arms if arm[2]]


def has(trial: TrialRecord, name: str, curves: Curves) -> bool:
    """Whether this diagnostic was computed for the trial."""
    return any(one.startswith(f"{name}/") for one in (*trial.metrics, *curves.get(trial.id, ())))


def arm_findings(label: str, alpha: float | None, trials: Sequence[TrialRecord], curves: Curves,
                 overlap: float) -> ArmFindings:
    """One arm from its finished trials."""
    values: dict[str, dict[int, list[float]]] = {}
    points: dict[str, dict[int, list[list[float]]]] = {}
    diagrams: dict[str, list[Mapping[str, Any]]] = {}
    facts: dict[str, Any] = {}
    for trial in trials:
        for name, value in trial.metrics.items():
            if name.partition("/")[0] in DIAGNOSTICS and math.isfinite(value):
                values.setdefault(name, {}).setdefault(trial.split, []).append(value)
        for name, content in curves.get(trial.id, {}).items():
            if isinstance(content, Mapping) and "count" in content:
                diagrams.setdefault(name, []).append(content)
                continue
            parts = content.items() if isinstance(content, Mapping) else [("", content)]
            for part, found in parts:
                place = f"{name}/{part}".rstrip("/")
                if is_line(found):
                    points.setdefault(place, {}).setdefault(trial.split, []).append(found)
                else:
                    facts[place] = found
    return ArmFindings(
        label=label, alpha=alpha, num_trials=len(trials), facts=facts,
        values={name: spread([float(np.mean(of_split)) for of_split in by_split.values()], overlap)
                for name, by_split in values.items()},
        lines={name: line for name, by_split in points.items() if (line := spreads(by_split, overlap))},
        bins={name: pooled(found) for name, found in diagrams.items()})


def is_line(value: Any) -> bool:
    """Whether this is a list of finite numbers."""
    return isinstance(value, list) and bool(value) and all(
        isinstance(item, int | float) and math.isfinite(item) for item in value)


def spread(values: Sequence[float], overlap: float) -> Spread:
    """Mean of per-split numbers, and s sqrt(1/n + overlap): for splits that share examples as Nadeau and Bengio (2003)."""
    n, mean = len(values), float(np.mean(values))
    error = float(np.std(values, ddof=1)) * math.sqrt(1 / n + overlap) if n > 1 else None
    return Spread(mean=mean, error=error, n=n)


def spreads(by_split: Mapping[int, Sequence[Sequence[float]]], overlap: float) -> list[Spread]:
    """Point by point; nothing where the lines do not all have the same points."""
    if len({len(line) for lines in by_split.values() for line in lines}) != 1:
        return []
    means = [np.mean(lines, axis=0) for lines in by_split.values()]
    return [spread([float(value) for value in column], overlap) for column in zip(*means, strict=True)]


def pooled(diagrams: Sequence[Mapping[str, Any]]) -> dict[str, list[Any]]:
    """One diagram of the examples of all: counts added, means weighted by them; None in a bin that stays empty."""
    width = min(len(diagram["count"]) for diagram in diagrams)
    counts = [sum(diagram["count"][index] for diagram in diagrams) for index in range(width)]
    columns: dict[str, list[Any]] = {"count": counts}
    for name in [name for name in diagrams[0] if name != "count"]:
        sums = [sum(diagram["count"][index] * diagram[name][index] for diagram in diagrams if diagram["count"][index])
                for index in range(width)]
        columns[name] = [total / count if count else None for total, count in zip(sums, counts, strict=True)]
    return columns

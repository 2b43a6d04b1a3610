"""One capacity's ladder as tables: which finished trials stand in which cell (rung, split), and what is missing.

Owns the turning of trial records into per-split numbers. Refuses to know statistics, the ledger and files.

Axes: S splits, A rungs (alphas, ascending).
"""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np

from sweeps.analysis.races import Rule
from sweeps.records import FINISHED, MEASURE, Row, TrialRecord, arm_name, rung_name
from trainable.config import REPLICATE_FIELDS

Rows = Mapping[int, Sequence[Row]]
"""The epochs of each trial, by trial id."""

UNKNOWN_OVERLAP = 0.25
"""n_val/n_train of a fifth of the pool for validation and the rest for training: the default sizes of a split."""


class MeasureLike(Protocol):
    """What is asked of a study's measure stage: the planned rungs, splits, seeds per split, and what each named arm sets.

    `num_replicates`: trials of each rung and arm, redraws of mixing included.
    """

    @property
    def alphas(self) -> Sequence[float]: ...
    @property
    def splits(self) -> int: ...
    @property
    def seeds(self) -> int: ...
    @property
    def num_replicates(self) -> int: ...
    @property
    def arms(self) -> Mapping[str, Mapping[str, Any]]: ...
    @property
    def until(self) -> Rule | None: ...


@dataclass(frozen=True, kw_only=True)
class Ladder:
    """The measure stage of one capacity. `cells` hold finished trials only; `strays` were measured at other knobs.

    `asked`: where a race asks for fewer, how many trials it asked of each rung and arm so far, by name.
    """

    capacity: str
    setting: dict[str, Any]
    num_parameters: int | None
    alphas: tuple[float, ...]
    splits: tuple[int, ...]
    cells: dict[tuple[float, int], list[TrialRecord]]
    planned_per_rung: int
    strays: int
    overlap: float
    asked: Mapping[str, int] = field(default_factory=dict)

    def trials(self, alpha: float) -> list[TrialRecord]:
        """Finished trials of a rung, by split, repeat and redraw."""
        return [trial for split in self.splits for trial in self.cells.get((alpha, split), [])]

    def missing(self, alpha: float) -> int:
        return max(0, self.planned(rung_name(alpha)) - len(self.trials(alpha)))

    def planned(self, name: str) -> int:
        """How many trials the rung or arm of this name should have."""
        return self.asked.get(name, self.planned_per_rung)

    def table(self, rows: Rows, metric: str) -> np.ndarray:
        """The metric at the end of the trials, averaged over redraws and then over repeats: (S, A), NaN where a cell has no
        finite result."""
        table_SA = np.full((len(self.splits), len(self.alphas)), math.nan)
        for (alpha, split), trials in self.cells.items():
            table_SA[self.splits.index(split), self.alphas.index(alpha)] = mean_of_seeds(trials, rows, metric)
        return table_SA


def mean_of_seeds(trials: Sequence[TrialRecord], rows: Rows, metric: str) -> float:
    """The metric of one split: each seed counts once, with the mean of its redraws. NaN where no trial has a finite value."""
    by_seed: dict[tuple[int, int], list[float]] = {}
    for trial in trials:
        if (value := final_metric(trial, rows, metric)) is not None:
            by_seed.setdefault(trial.replicate.seed, []).append(value)
    means = [sum(values) / len(values) for values in by_seed.values()]
    return sum(means) / len(means) if means else math.nan


def final_metric(trial: TrialRecord, rows: Rows, metric: str) -> float | None:
    """The metric at a trial's end: from its final metrics, else from its last epoch; None when absent or not finite."""
    value = trial.metrics.get(metric)
    if value is None and (own := rows.get(trial.id)):
        value = max(own, key=lambda row: row.epoch).metrics.get(metric)
    return float(value) if value is not None and math.isfinite(value) else None


def build_ladder(capacity: str, trials: Sequence[TrialRecord], measure: MeasureLike) -> Ladder:
    """The ladder of one capacity from all trials of the study, at any moment of the run.

    Rungs are those planned and those measured; a trial of a named arm is no part of it, unless it is that of a planned
    rung as well. A ladder means one setting of the other knobs: where trials disagree (the best setting changed between
    two runs) the setting of most finished trials counts, of equals the newest, and the others are strays.
    """
    measured = [trial for trial in trials if trial.stage == MEASURE and trial.capacity == capacity]
    mine = [trial for trial in measured if arm_name(trial.origin) is None]
    finished = [trial for trial in mine if trial.state == FINISHED]
    settings = votes(finished or mine)
    newest = {knobs(trial): trial.id for trial in sorted(mine, key=lambda trial: trial.id)}
    chosen = max(settings, key=lambda setting: (settings[setting], newest[setting])) if settings else ()
    same = [trial for trial in finished if set(knobs(trial)) <= set(chosen)]
    strays = len(finished) - len(same)
    same += also_arms(measured, same, measure.alphas)
    cells: dict[tuple[float, int], list[TrialRecord]] = {}
    for trial in sorted(same, key=lambda trial: trial.replicate):
        cells.setdefault((alpha_of(trial), trial.split), []).append(trial)
    parameters = [trial.num_parameters for trial in trials if trial.capacity == capacity and trial.num_parameters]
    return Ladder(
        capacity=capacity, setting=setting_of([trial for trial in mine if knobs(trial) == chosen]), cells=cells,
        alphas=tuple(sorted({float(alpha) for alpha in measure.alphas} | {alpha for alpha, _ in cells})),
        num_parameters=parameters[0] if parameters else None, splits=tuple(sorted({split for _, split in cells})),
        planned_per_rung=measure.num_replicates, strays=strays,
        overlap=overlap_ratio(same[0]) if same else 0.0)


def alpha_of(trial: TrialRecord) -> float:
    return float(trial.config.get("alpha", trial.setting.get("alpha", 0.0)))


def votes(trials: Sequence[TrialRecord]) -> dict[tuple[tuple[str, str], ...], int]:
    """How many trials agree with each setting of the knobs. One that has fewer of them agrees where it has them.

    (An axis may exist only above some alpha, so that alpha = 0 has a shorter setting.)
    """
    counted = Counter(knobs(trial) for trial in trials)
    return {setting: sum(count for other, count in counted.items() if set(other) <= set(setting)) for setting in counted}


def also_arms(measured: Sequence[TrialRecord], ladder: Sequence[TrialRecord], alphas: Sequence[float]) -> list[TrialRecord]:
    """Finished trials of named arms that are rungs of this ladder too: asked for as an arm first, then as a rung."""
    along = [rest(trial) for trial in ladder]
    return [trial for trial in measured if trial.state == FINISHED and arm_name(trial.origin) is not None
            and alpha_of(trial) in alphas and rest(trial) in along]


def rest(trial: TrialRecord) -> dict[str, Any]:
    """The configuration without alpha and the replicate: equal along a ladder."""
    return {name: value for name, value in trial.config.items() if name not in ("alpha", *REPLICATE_FIELDS)}


def knobs(trial: TrialRecord) -> tuple[tuple[str, str], ...]:
    """The searched axes but alpha, in a form that can be counted."""
    return tuple(sorted((name, repr(value)) for name, value in trial.setting.items() if name != "alpha"))


def setting_of(trials: Sequence[TrialRecord]) -> dict[str, Any]:
    return {name: value for name, value in trials[0].setting.items() if name != "alpha"} if trials else {}


def sizes(trial: TrialRecord) -> tuple[int, int] | None:
    """(training, validation) examples of the trial's split, as recorded by the worker or fixed by its config."""
    found = [trial.provenance.get(name) or trial.config.get(name) for name in ("train_size", "val_size")]
    return (int(found[0]), int(found[1])) if found[0] and found[1] else None


def overlap_ratio(trial: TrialRecord) -> float:
    """n_val/n_train where splits are drawn afresh from one pool, so that they overlap; 0 where they share nothing."""
    if trial.config.get("split_kind") == "disjoint":
        return 0.0
    known = sizes(trial)
    return known[1] / known[0] if known else UNKNOWN_OVERLAP


def overlap_of(config: Mapping[str, Any]) -> float:
    """`overlap_ratio`, of a trial that may not have run, by its configuration alone."""
    if config.get("split_kind") == "disjoint":
        return 0.0
    train_size, val_size = config.get("train_size"), config.get("val_size")
    return float(val_size / train_size) if train_size and val_size else UNKNOWN_OVERLAP

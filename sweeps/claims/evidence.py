"""What a study measured, as claims ask for it: one number a split for each capacity, arm and metric.

Seeds on one split are averaged: splits are the independent unit. Owns which trials stand in which cell, and the few metrics that
are read off a whole curve. Refuses to judge, and to read the ledger.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

from sweeps.analysis.comparison import ArmStudy, contenders
from sweeps.analysis.ladder import Ladder, Rows, build_ladder, final_metric
from sweeps.claims.claim import FIRST, Cell
from sweeps.records import TRANSFER, Row, TrialRecord, rung_name

SETTLED = "settled/share"
"""Share of its epochs after which a trial's validation error stays within SETTLED_WITHIN of its last."""
SETTLED_WITHIN = 0.02
Key = tuple[str, str, str]
"""Capacity, arm, metric."""


class StudyLike(ArmStudy, Protocol):
    """What is asked of a study: its ladder and arms, and its capacities in order."""

    @property
    def capacities(self) -> Sequence[Any]: ...


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """`cells`: capacity, arm, metric -> split -> value. `planned` splits of every arm; `overlap` is n_val/n_train, or 0."""

    study: str
    capacities: tuple[str, ...]
    cells: Mapping[Key, Mapping[int, float]]
    planned: int
    overlap: float

    def values(self, cell: Cell) -> Mapping[int, float]:
        """Split -> value; nothing where it was never measured."""
        return self.cells.get((self.capacity(cell), cell.arm, cell.metric), {})

    def capacity(self, cell: Cell) -> str:
        """The label of the step of the ladder that the cell is about."""
        return self.capacities[0 if cell.capacity == FIRST else -1]


def gather(study: StudyLike, name: str, trials: Sequence[TrialRecord], rows: Rows, wanted: Sequence[Cell],
           transfer: Mapping[str, Any] | None = None) -> Evidence:
    """The cells that are `wanted` of this study, from all its trials. A cell without a finished trial is absent."""
    found: dict[Key, dict[int, float]] = {}
    labels = tuple(capacity.label for capacity in study.capacities)
    evidence = Evidence(study=name, capacities=labels, cells=found, planned=study.measure.splits, overlap=0.0)
    overlap = 0.0
    for label in labels:
        ladder = build_ladder(label, trials, study.measure)
        overlap = max(overlap, ladder.overlap)
        arms = arms_of(ladder, trials, study)
        for cell in wanted:
            if evidence.capacity(cell) == label:
                key = (label, cell.arm, cell.metric)
                found[key] = measured(cell, label, arms.get(cell.arm, ()), rows, transfer)
    return replace(evidence, cells={key: values for key, values in found.items() if values}, overlap=overlap)


def arms_of(ladder: Ladder, trials: Sequence[TrialRecord], study: StudyLike) -> dict[str, Sequence[TrialRecord]]:
    """Rungs and named arms of one capacity, each with its finished trials."""
    named = {one.name: one.trials for one in contenders(ladder, trials, study) if not one.is_rung}
    return {**{rung_name(alpha): ladder.trials(alpha) for alpha in ladder.alphas}, **named}


def measured(cell: Cell, label: str, trials: Sequence[TrialRecord], rows: Rows, transfer: Mapping[str, Any] | None,
             ) -> dict[int, float]:
    """Split -> value of one cell, averaged over repeats."""
    if cell.metric.startswith(f"{TRANSFER}/"):
        return transferred(transfer, cell.metric, label, cell.arm)
    by_split: dict[int, list[float]] = {}
    for trial in trials:
        value = settled(rows.get(trial.id, ())) if cell.metric == SETTLED else final_metric(trial, rows, cell.metric)
        if value is not None:
            by_split.setdefault(trial.split, []).append(value)
    return {split: sum(values) / len(values) for split, values in sorted(by_split.items())}


def settled(rows: Sequence[Row]) -> float | None:
    """Share of the epochs, in (0, 1], after which validation error stays within SETTLED_WITHIN of its last value."""
    errors = [row.metrics["val/error"] for row in sorted(rows, key=lambda row: row.epoch) if "val/error" in row.metrics]
    if not errors:
        return None
    unsettled = [place for place, error in enumerate(errors) if abs(error - errors[-1]) > SETTLED_WITHIN + 1e-9]
    return ((unsettled[-1] + 1 if unsettled else 0) + 1) / len(errors)


def transferred(matrix: Mapping[str, Any] | None, metric: str, capacity: str, arm: str) -> dict[int, float]:
    """Error of an arm under attacks that were made on another, `transfer/<attack>/<attacker>`: of one replicate only."""
    _, attack, attacker = metric.split("/", 2)
    labels = [model["label"] for model in matrix["models"]] if matrix else []
    made, judged = f"{capacity}, {attacker}", f"{capacity}, {arm}"
    if matrix is None or made not in labels or judged not in labels or attack not in matrix["attacks"]:
        return {}
    error = matrix["attacks"][attack][labels.index(made)][labels.index(judged)]
    return {} if error is None else {int(matrix["split"]): float(error)}

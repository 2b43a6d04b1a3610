"""Ledger records for tests of the analysis, made by hand."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from sweeps.records import FINISHED, MEASURE, AttemptRecord, Row, TrialRecord
from trainable.moments import epsilon

ALPHAS = (0.0, 0.1, 1.0, 10.0)
SIZES = {"width=0.25": 10_000, "width=1": 150_000}
LABELS_N = np.arange(30) % 3
CURVES = {"width=0.25": (0.15, 0.10, 0.13, 0.20), "width=1": (0.15, 0.12, 0.08, 0.10)}


@dataclass
class Measure:
    alphas: tuple[float, ...] = ALPHAS
    splits: int = 4
    seeds: int = 1
    arms: dict[str, dict[str, Any]] = field(default_factory=dict)
    redraws: int = 1
    until: Any = None

    @property
    def num_replicates(self) -> int:
        return self.splits * (self.seeds + self.redraws - 1)


@dataclass
class Capacity:
    label: str
    fields: dict[str, Any] = field(default_factory=dict)


@dataclass
class Study:
    name: str = "digits"
    objective: str = "val/error"
    capacities: tuple[Capacity, ...] = (Capacity("width=0.25"), Capacity("width=1"))
    measure: Measure = field(default_factory=Measure)


def trial(number: int, **changes: Any) -> TrialRecord:
    """A finished measure trial; every field can be changed."""
    fields: dict[str, Any] = {
        "id": number, "study_id": 1, "key": f"key{number}", "stage": MEASURE, "number": number, "capacity": "width=1",
        "arm_key": "arm", "split": 1, "repeat": 0, "config": {"alpha": 0.0, "split_kind": "disjoint"},
        "setting": {"alpha": 0.0, "dropout": 0.1}, "origin": "ladder", "brain": {}, "state": FINISHED,
        "failure_class": None, "failure_text": None, "metrics": {}, "num_parameters": 150_000, "predictions_path": None,
        "predictions_digest": None, "provenance": {"code": "abc", "versions": {"torch": "2.5"}, "host": f"h{number}"},
        "last_epoch": 3, "created_at": 0.0, "started_at": 1.0, "ended_at": 2.0, "revision": number}
    return TrialRecord(**{**fields, **changes})


def rung(number: int, capacity: str, alpha: float, split: int, **changes: Any) -> TrialRecord:
    """A finished trial of the ladder with metrics on the capacity's curve, a little noise from its number."""
    stream = np.random.default_rng(number)
    error = CURVES[capacity][ALPHAS.index(alpha)] + 0.01 * split + 0.002 * stream.standard_normal()
    clean = (0.02 + (0.3 if capacity == "width=0.25" else 0.1) * epsilon(alpha) + 0.001 * stream.standard_normal())
    metrics = {"val/error": error, "val/loss": 3 * error, "test/error": error + 0.01, "test/loss": 3 * error + 0.02,
               "train_clean/error": clean, "train_clean/loss": 2 * clean, "gap/error": error - clean}
    own = {"capacity": capacity, "split": split, "num_parameters": SIZES[capacity], "metrics": metrics,
           "config": {"alpha": alpha, "split_kind": "disjoint"}, "setting": {"alpha": alpha, "dropout": 0.1}}
    return trial(number, **{**own, **changes})


def whole_ladder(seeds: int = 1) -> list[TrialRecord]:
    cells = [(capacity, alpha, split, repeat) for capacity in SIZES for alpha in ALPHAS for split in range(1, 5)
             for repeat in range(seeds)]
    return [rung(number, capacity, alpha, split, repeat=repeat)
            for number, (capacity, alpha, split, repeat) in enumerate(cells, start=1)]


def predictions(record: TrialRecord) -> np.ndarray:
    logits_NK = np.random.default_rng(record.id).standard_normal((len(LABELS_N), 3)) + 3 * np.eye(3)[LABELS_N]
    return (logits_NK - np.log(np.exp(logits_NK).sum(axis=1, keepdims=True))).astype(np.float16)


def row(epoch: int, at: float = 0.0, **metrics: float) -> Row:
    return Row(epoch=epoch, at=at, seconds=1.0, eval_seconds=0.1,
               metrics={name.replace("__", "/"): value for name, value in metrics.items()})


def attempt(number: int, trial_id: int, **changes: Any) -> AttemptRecord:
    fields: dict[str, Any] = {"id": number, "trial_id": trial_id, "number": 1, "token": f"t{number}", "worker": "h:1",
                              "node": "n", "device": "cpu", "state": "ENDED", "started_at": 10.0, "ended_at": 20.0}
    return AttemptRecord(**{**fields, **changes})

"""What the parent run says once a study has an answer: metrics, a table of numbers, a description, files. Pure.

Owns names and columns for MLflow; the sentences are those of the report. Never imports mlflow.
"""

import json
import math
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from typing import Any

from sweeps.analysis.results import CapacityResult, Estimate, StudyResults, SweetSpot
from sweeps.records import FINISHED
from sweeps.redaction import redact
from sweeps.tables import markdown_headline, markdown_table
from sweeps.tracking.content import legal_part
from sweeps.variance_tables import component_columns

TABLE_FILE = "sweet_spots.json"
ARMS_FILE = "arms.json"
PRUNING_FILE = "pruning.json"
COMPONENTS_FILE = "variance_components.json"
_MAX_DESCRIPTION = 5000  # a tag of MLflow; its server cuts nothing but refuses what is longer
_RISKS = ("val_error", "val_loss", "test_error", "test_loss", "train_clean_error")


@dataclass(frozen=True, kw_only=True)
class Summary:
    """What is put on the parent run when a sweep ends: `table` of sweet spots, `arms` compared, `pruning` audited,
    `components` of the variance.

    `files` are (path, folder among the artifacts or None).
    """

    state: str = FINISHED
    metrics: dict[str, float] = field(default_factory=dict)
    table: dict[str, list[Any]] = field(default_factory=dict)
    arms: dict[str, list[Any]] = field(default_factory=dict)
    pruning: dict[str, list[Any]] = field(default_factory=dict)
    components: dict[str, list[Any]] = field(default_factory=dict)
    description: str = ""
    files: tuple[tuple[str, str | None], ...] = ()

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "Summary":
        return cls(**{**values, "files": tuple((path, folder) for path, folder in values.get("files", ()))})


def describe(results: StudyResults, files: Iterable[tuple[str, str | None]] = (), state: str = FINISHED) -> Summary:
    """The answer for the parent run, with `files` as its artifacts."""
    return Summary(state=state, metrics=sweet_spot_metrics(results), table=sweet_spot_table(results), arms=arms_table(results),
                   pruning=pruning_table(results), components=component_columns(results),
                   description=description(results), files=tuple(files))


def sweet_spot_metrics(results: StudyResults) -> dict[str, float]:
    """`sweet_spot/<capacity>/{alpha,low,high}`, where they are finite; `width=0.25` is written `width_0.25`.

    `refined`, `refined_low` and `refined_high` too where a curve fits.
    """
    found: dict[str, float] = {}
    for name, capacity in zip(capacity_keys(results), results.capacities, strict=True):
        spot = capacity.sweet(results.objective)
        values = {"alpha": spot.alpha, "low": spot.low, "high": spot.high}
        if curve := spot.refined:
            values |= {"refined": curve.alpha, "refined_low": curve.low, "refined_high": curve.high}
        found |= {f"sweet_spot/{name}/{what}": float(value) for what, value in values.items() if _is_number(value)}
    return found


def capacity_keys(results: StudyResults) -> list[str]:
    """Each capacity's label as a part of a metric's key; labels that MLflow cannot tell apart get a number."""
    keys: list[str] = []
    for capacity in results.capacities:
        key, number = legal_part(capacity.capacity), 2
        while key in keys:
            key, number = f"{legal_part(capacity.capacity)}_{number}", number + 1
        keys.append(key)
    return keys


def sweet_spot_table(results: StudyResults) -> dict[str, list[Any]]:
    """Numbers by column, a row a capacity: the sweet spot, and risks, bias2 and variance there and under ERM."""
    rows = [_table_row(capacity, results.objective) for capacity in results.capacities]
    return {name: [row[name] for row in rows] for name in (rows[0] if rows else {})}


def arms_table(results: StudyResults) -> dict[str, list[Any]]:
    """Numbers by column, a row a capacity and arm; nothing where the study names no arms."""
    rows = [{"capacity": found.capacity, "arm": arm.name, "is_rung": arm.is_rung, "sets": json.dumps(arm.sets),
             "in_best_set": arm.in_set, "num_splits": arm.num_splits, "num_trials": arm.num_trials, "missing": arm.missing,
             "same_as": arm.same_as or None, **_estimate("difference", arm.difference), **_estimate("val_error", arm.val_error),
             **_estimate("val_loss", arm.val_loss), **_estimate("test_error", arm.test_error)}
            for found in results.capacities for arm in found.arms]
    return {name: [row[name] for row in rows] for name in (rows[0] if rows else {})}


def pruning_table(results: StudyResults) -> dict[str, list[Any]]:
    """Numbers by column, a row a group of the audit and a percentage of a trial's epochs; nothing where nothing is pruned."""
    if results.pruning is None:
        return {}
    audit = results.pruning
    rows = [{"group": each.name, "percent_of_epochs": percent, "is_rung": percent in audit.rungs, "num_pairs": counted.n,
             **_estimate("rank_correlation", counted.estimate), "num_trials": each.num_trials, "num_stopped": each.num_stopped,
             "num_audited": each.wrong.n, **_estimate("wrongly_stopped", each.wrong.estimate),
             "epochs_planned": each.epochs_planned, "epochs_saved": each.epochs_saved, "epochs_audited": each.epochs_audited}
            for each in (*audit.groups, *audit.terciles) for percent, counted in each.correlations.items()]
    return {name: [row[name] for row in rows] for name in (rows[0] if rows else {})}


def description(results: StudyResults) -> str:
    """The answer in Markdown, as long as a tag may be."""
    counts = ", ".join(f"{count} {name.lower()}" for name, count in results.counts.items() if count)
    parts = [markdown_headline(results), markdown_table(results),
             f"Trials: {counts}." if counts else "", "\n".join(f"- {note}" for note in results.notes),
             f"All numbers: `{TABLE_FILE}` and the report among this run's artifacts."]
    text = redact("\n\n".join(part for part in parts if part))
    return text if len(text) <= _MAX_DESCRIPTION else text[:_MAX_DESCRIPTION].rsplit("\n", 1)[0]


def _table_row(capacity: CapacityResult, objective: str) -> dict[str, Any]:
    spot = capacity.sweet(objective)
    row: dict[str, Any] = {"capacity": capacity.capacity, "parameters": capacity.num_parameters,
                           "alpha": _number(spot.alpha), "alpha_low": _number(spot.low),
                           "alpha_high": _number(spot.high), "level": spot.level, "verdict": spot.verdict,
                           "num_splits": spot.num_splits, "refined_by": spot.refined.method if spot.refined else None,
                           "why_not_refined": spot.why_not_refined or None, **_power(spot)}
    for where, point in (("", capacity.point(spot.alpha)), ("erm_", capacity.point(0.0))):
        for name in (*_RISKS, "bias2", "variance"):
            row |= _estimate(f"{where}{name}", getattr(point, name) if point else None)
    return row | _estimate("gain_over_erm", spot.gain_over_erm)


def _power(spot: SweetSpot) -> dict[str, int | None]:
    """Splits that would settle it, with the interval; None where it is settled, or where 200 would not do."""
    goals = {"exclude_one_end": "one_end", "bracket": "bracketed", "tell_best": "single"}
    found = {name: getattr(spot.power, field) if spot.power else None for name, field in goals.items()}
    return {f"splits_to_{name}{side}": getattr(each, part) if each else None for name, each in found.items()
            for side, part in (("", "value"), ("_low", "low"), ("_high", "high"))}


def _estimate(name: str, found: Estimate | None) -> dict[str, float | None]:
    values = (found.value, found.low, found.high) if found else (None, None, None)
    return dict(zip((name, f"{name}_low", f"{name}_high"), map(_number, values), strict=True))


def _number(value: float | None) -> float | None:
    """A value JSON can hold."""
    return value if _is_number(value) else None


def _is_number(value: float | None) -> bool:
    return value is not None and math.isfinite(value)

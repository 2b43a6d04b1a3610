"""What a report does to a trial: the rule that keeps rows whole and finished trials finished. Pure.

Owns who may still report (fencing by attempt token), which rows are new, and the trial's next state. Knows no database.
"""

from dataclasses import dataclass, field
from typing import Any

from sweeps.ledger.schema import as_json, encode, plain_text
from sweeps.records import FAILED, FINAL_STATES, FINISHED, RUNNING, AttemptRecord, End, Report, Row, TrialRecord
from trainable.errors import LedgerError

CLOCK_SKEW_SECONDS = 60.0
"""How far the clocks of two nodes may differ before an attempt is taken for an older one than it is."""


@dataclass(frozen=True, kw_only=True)
class Intake:
    """The consequences of a report: `refused` says why nothing is taken, else `changes` are the trial's new fields."""

    refused: str | None = None
    opens_attempt: bool = False
    attempt_number: int = 0
    new_rows: tuple[Row, ...] = ()
    replayed_rows: tuple[Row, ...] = ()
    changes: dict[str, Any] = field(default_factory=dict)


def judge(trial: TrialRecord, attempts: list[AttemptRecord], report: Report, at: float) -> Intake:
    """What to write for `report`, given the trial and its attempts, oldest first.

    LedgerError when an epoch is missing between the rows recorded and those reported, or the end is none a worker may
    report: both are our own mistakes, and recording either would be a hole nobody could fill later.
    """
    mine = next((attempt for attempt in attempts if attempt.token == report.token), None)
    refused = _refusal(trial, attempts, mine, report)
    if refused:
        return Intake(refused=refused)
    new_rows = tuple(row for row in report.rows if row.epoch > trial.last_epoch)
    _check_no_gap(trial, new_rows)
    changes: dict[str, Any] = {"state": RUNNING}
    if trial.started_at is None:
        changes["started_at"] = report.started_at
    if new_rows:
        changes["last_epoch"] = new_rows[-1].epoch
    if report.end:
        if report.end.state not in (FINISHED, FAILED):
            raise LedgerError(f"trial {trial.key}: a worker ends a trial FINISHED or FAILED, not {report.end.state!r}")
        changes |= end_fields(report.end, at)
    return Intake(
        opens_attempt=mine is None,
        attempt_number=mine.number if mine else len(attempts) + 1,
        new_rows=new_rows,
        replayed_rows=tuple(row for row in report.rows if row.epoch <= trial.last_epoch),
        changes=changes,
    )


def _refusal(
    trial: TrialRecord, attempts: list[AttemptRecord], mine: AttemptRecord | None, report: Report
) -> str | None:
    if trial.state in FINAL_STATES:
        return f"the trial is {trial.state}"
    if mine:
        return None if mine.state == RUNNING else f"attempt {mine.number} is {mine.state}"
    newest = attempts[-1] if attempts else None
    if newest:
        # One node's clock orders its attempts; between nodes only a clear difference counts, because refusing the
        # true attempt for a slow clock would leave the trial without any.
        skew = 0.0 if newest.node == report.node else CLOCK_SKEW_SECONDS
        if report.started_at < newest.started_at - skew:
            return f"it started before attempt {newest.number}"
    return None


def _check_no_gap(trial: TrialRecord, new_rows: tuple[Row, ...]) -> None:
    for expected, row in enumerate(new_rows, start=trial.last_epoch + 1):
        if row.epoch != expected:
            raise LedgerError(f"trial {trial.key}: epoch {row.epoch} reported where {expected} was due")


def end_fields(end: End, at: float) -> dict[str, Any]:
    """The trial's fields once it has ended so, at unix time `at`."""
    return {
        "state": end.state,
        "failure_class": end.failure_class,
        "failure_text": plain_text(end.failure_text),
        "metrics": {name: float(value) for name, value in end.metrics.items()},
        "num_parameters": end.num_parameters,
        "predictions_path": plain_text(end.predictions_path),
        "predictions_digest": end.predictions_digest,
        "provenance": as_json(end.provenance),
        "ended_at": at,
    }


def contradictions(known: list[Row], replayed: tuple[Row, ...]) -> list[int]:
    """Epochs whose replayed metrics differ from the recorded ones (NaN equals NaN)."""
    recorded = {row.epoch: row.metrics for row in known}
    return [row.epoch for row in replayed if row.epoch in recorded and not _same(recorded[row.epoch], row.metrics)]


def _same(left: dict[str, float], right: dict[str, float]) -> bool:
    return left.keys() == right.keys() and all(
        left[name] == right[name] or encode(left[name]) == encode(float(right[name])) for name in left
    )

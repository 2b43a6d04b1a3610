"""The single statements of which the ledger's transactions are made. Each function runs inside one.

Owns how records become rows. Decides nothing: what may be written is settled before, in `ledger.intake` and `ledger`.
"""

import uuid
from dataclasses import replace
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from sweeps.ledger.intake import Intake
from sweeps.ledger.reads import find_trial
from sweeps.ledger.schema import attempts, decisions, findings, heads, plain_text, rows, studies, trials
from sweeps.records import ENDED, LOST, PENDING, RUNNING, Report, StudyRecord, TrialRecord, TrialSpec


def insert_study(
    connection: Connection, name: str, identity: dict[str, Any], spec: dict[str, Any], at: float
) -> StudyRecord:
    """A new study, held by nobody."""
    values = {"name": name, "identity": identity, "spec": spec, "provenance": {}, "created_at": at}
    study_id = connection.scalar(studies.insert().returning(studies.c.id), values)
    connection.execute(heads.insert(), {"study_id": study_id, "revision": 0, "last_commit": ""})
    return StudyRecord(id=int(study_id or 0), revision=0, **values)  # type: ignore[arg-type]


def insert_trial(connection: Connection, study_id: int, spec: TrialSpec, at: float, revision: int) -> TrialRecord:
    """A new trial, PENDING."""
    values = {
        "study_id": study_id,
        "state": PENDING,
        "last_epoch": 0,
        "revision": revision,
        "created_at": at,
        "metrics": {},
        "provenance": {},
    }
    values |= {column.name: getattr(spec, column.name) for column in trials.c if hasattr(spec, column.name)}
    connection.execute(trials.insert(), values)
    inserted = find_trial(connection, study_id, spec.key)
    assert inserted is not None
    return inserted


def change_trial(connection: Connection, trial: TrialRecord, revision: int, changes: dict[str, Any]) -> TrialRecord:
    """The trial with `changes`, marked as changed in this revision."""
    changes = {**changes, "revision": revision}
    connection.execute(_UPDATE_TRIAL, {"trial": trial.id, **changes})
    return replace(trial, **changes)


def write_attempt(connection: Connection, trial: TrialRecord, report: Report, intake: Intake, at: float) -> None:
    """Open the report's attempt if it is new, superseding a running one, and close it if the report ends the trial."""
    ended = {"state": ENDED, "ended_at": at} if report.end else {"state": RUNNING, "ended_at": None}
    if intake.opens_attempt:
        if intake.attempt_number > 1:
            close_running(connection, trial.id, LOST, f"superseded by attempt {intake.attempt_number}", at)
        names = {"token": report.token, "worker": report.worker, "node": report.node, "device": report.device}
        place = {"trial_id": trial.id, "number": intake.attempt_number, "started_at": report.started_at}
        connection.execute(attempts.insert(), {**place, **names, **ended})
    elif report.end:
        close_running(connection, trial.id, ENDED, None, at)


def close_running(connection: Connection, trial_id: int, state: str, text: str | None, at: float) -> bool:
    """Close the trial's running attempt; whether it had one."""
    values = {"trial": trial_id, "state": state, "ended_at": at, "text": plain_text(text)}
    return connection.execute(_CLOSE_RUNNING, values).rowcount > 0


def insert_unseen_attempt(connection: Connection, trial_id: int, state: str, text: str, at: float) -> None:
    """Count a try of which the driver heard nothing before it was over."""
    number = connection.scalar(sa.select(sa.func.count()).where(attempts.c.trial_id == trial_id)) or 0
    names = {"token": f"unseen-{uuid.uuid4().hex}", "worker": "", "node": "", "device": "", "text": plain_text(text)}
    times = {"started_at": at, "ended_at": at}
    connection.execute(
        attempts.insert(), {"trial_id": trial_id, "number": number + 1, "state": state, **names, **times}
    )


def write_rows(connection: Connection, trial: TrialRecord, intake: Intake) -> None:
    """Insert the report's new rows."""
    if not intake.new_rows:
        return
    values = [
        {
            "trial_id": trial.id,
            "attempt": intake.attempt_number,
            "epoch": row.epoch,
            "at": row.at,
            "seconds": row.seconds,
            "eval_seconds": row.eval_seconds,
            "metrics": {name: float(value) for name, value in row.metrics.items()},
        }
        for row in intake.new_rows
    ]
    connection.execute(_INSERT_ROWS, values)


def write_decision(
    connection: Connection, study_id: int, trial_id: int | None, kind: str, at: float, detail: dict[str, Any]
) -> None:
    """Record a decision about a trial, or about the study when `trial_id` is None."""
    values = {"study_id": study_id, "trial_id": trial_id, "kind": kind, "at": at, "detail": detail}
    connection.execute(decisions.insert(), values)


def write_findings(connection: Connection, study_id: int, trial_id: int | None, found: dict[str, Any]) -> None:
    """Record what was found under each name, of a trial or of the study when `trial_id` is None, in place of what was there."""
    if not found:
        return
    mine = sa.and_(findings.c.study_id == study_id, findings.c.trial_id == trial_id, findings.c.name.in_(list(found)))
    connection.execute(findings.delete().where(mine))
    place = {"study_id": study_id, "trial_id": trial_id}
    connection.execute(findings.insert(), [{**place, "name": name, "content": content} for name, content in found.items()])


_UPDATE_TRIAL = trials.update().where(trials.c.id == sa.bindparam("trial"))
_INSERT_ROWS = rows.insert()
_CLOSE_RUNNING = attempts.update().where(attempts.c.trial_id == sa.bindparam("trial"), attempts.c.state == RUNNING)

"""A finished trial of one study as a trial of another: the statements of which a fork is made. Each runs inside a transaction.

Owns what goes along: final state and metrics, rows, attempts, decisions, findings. Predictions stay where they are, under their
recorded path and digest. Which trials apply is settled before (sweeps.fork.applies).
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from sweeps.ledger.reads import find_trial
from sweeps.ledger.schema import attempts, decisions, findings, heads, rows, studies, trials
from sweeps.ledger.writes import write_decision
from sweeps.records import FORKED, FORKED_FROM, Copy, StudyRecord, TrialRecord

_OWN = ("id", "study_id", "revision")
"""What a copy has of its own, whatever it is a copy of."""


def insert_fork(connection: Connection, study: StudyRecord, origin: str, copies: Sequence[Copy], at: float) -> StudyRecord:
    """The new `study` with these copies, each in a revision of its own, as readers that page by revision expect."""
    for revision, copy in enumerate(copies, start=1):
        insert_copy(connection, study.id, copy, at, revision)
    provenance = {**study.provenance, FORKED_FROM: origin}
    connection.execute(studies.update().where(studies.c.id == study.id).values(provenance=provenance))
    connection.execute(heads.update().where(heads.c.study_id == study.id).values(revision=len(copies)))
    return replace(study, provenance=provenance, revision=len(copies))


def insert_copy(connection: Connection, study_id: int, copy: Copy, at: float, revision: int) -> TrialRecord:
    """The copied trial with all that belongs to it, and a decision that says where it is from."""
    donor = connection.execute(sa.select(trials).where(trials.c.id == copy.donor)).one()
    values = {name: value for name, value in donor._mapping.items() if name not in _OWN}
    values |= {name: value for name, value in vars(copy.spec).items() if name in values}
    connection.execute(trials.insert(), {**values, "study_id": study_id, "revision": revision})
    made = find_trial(connection, study_id, copy.spec.key)
    assert made is not None
    here = {"trial_id": made.id, "study_id": study_id}
    for table in (rows, attempts, findings, *((decisions,) if copy.with_decisions else ())):
        _copy(connection, table, copy.donor, here)
    write_decision(connection, study_id, made.id, FORKED, at, {"study": copy.origin, "trial": copy.donor})
    return made


def _copy(connection: Connection, table: sa.Table, donor: int, here: dict[str, int]) -> None:
    """Copy a trial's entries of one table. The database does it: no value passes through Python."""
    names = [column.name for column in table.c if column.name != "id"]
    chosen: list[Any] = [sa.literal(here[name]) if name in here else table.c[name] for name in names]
    wanted = sa.select(*chosen).where(table.c.trial_id == donor)
    if table is decisions:
        wanted = wanted.where(table.c.kind != FORKED)
    connection.execute(table.insert().from_select(names, wanted.order_by(*table.primary_key.columns)))

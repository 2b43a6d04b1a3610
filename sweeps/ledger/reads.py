"""What may be asked of the ledger: studies, trials, rows, attempts, decisions, and what has changed since.

Owns the queries. Writes nothing, so that status, report and the tracker can use it beside a running driver.
"""

from collections.abc import Collection, Mapping
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from sweeps.ledger import sqlite
from sweeps.ledger.lock import here, is_alive
from sweeps.ledger.schema import as_floats, attempts, decisions, findings, heads, rows, studies, trials
from sweeps.ledger.store import Store
from sweeps.records import INTERRUPTED, PENDING, TRIAL_STATES, AttemptRecord, Decision, Holder, Row, StudyRecord, TrialRecord
from trainable.errors import LedgerError

_TRIALS_PER_QUERY = 200


class LedgerReads:
    """The reading half of `Ledger`."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._store.name})"

    @property
    def name(self) -> str:
        """The database file, or the server's address without a password: what messages may show."""
        return self._store.name

    def close(self) -> None:
        """Close all connections."""
        self._store.close()

    def damage(self) -> str | None:
        """What is wrong with the pages of a ledger in a file, or None. Reads all of it."""
        return self._store.read(sqlite.find_damage) if self._store.path else None

    def studies(self) -> list[StudyRecord]:
        """All studies, oldest first."""
        found = self._store.read(lambda connection: connection.execute(_STUDIES.order_by(studies.c.id)).all())
        return [StudyRecord(**row._mapping) for row in found]

    def study(self, name: str) -> StudyRecord | None:
        """The study called `name`, or None."""
        return self._store.read(lambda connection: find_study(connection, name))

    def driver(self, study_id: int, at: float) -> Holder | None:
        """Who is running the study at time `at`; None when nobody is, or the one who was has died or fallen silent."""
        query = sa.select(heads).where(heads.c.study_id == study_id)
        head = self._store.read(lambda connection: connection.execute(query).first())
        if head is None or head.holder is None or not is_alive(head, here()[0], at):
            return None
        return Holder(host=head.host, pid=head.pid, heartbeat_at=head.heartbeat_at)

    def head_revision(self, study_id: int) -> int:
        """How many commits the study has seen. LedgerError if there is no such study."""
        query = sa.select(heads.c.revision).where(heads.c.study_id == study_id)
        revision = self._store.read(lambda connection: connection.scalar(query))
        if revision is None:
            raise LedgerError(f"ledger {self.name}: there is no study {study_id}")
        return int(revision)

    def trials(self, study_id: int, stage: str | None = None, *, state: str | None = None) -> list[TrialRecord]:
        """The study's trials in the order they were added, of one stage or in one state if given."""
        query = sa.select(trials).where(trials.c.study_id == study_id).order_by(trials.c.id)
        query = query if stage is None else query.where(trials.c.stage == stage)
        return self._trials(query if state is None else query.where(trials.c.state == state))

    def trial(self, study_id: int, key: str) -> TrialRecord | None:
        """The trial with this key, or None."""
        return self._store.read(lambda connection: find_trial(connection, study_id, key))

    def changed_since(self, study_id: int, revision: int, limit: int | None = None) -> list[TrialRecord]:
        """Trials changed after `revision`, at most `limit`, in the order of their last change.

        The last one's `revision` is the next call's argument. Nothing is missed: revisions become visible in order.
        """
        query = sa.select(trials).where(trials.c.study_id == study_id, trials.c.revision > revision)
        return self._trials(query.order_by(trials.c.revision).limit(limit))

    def num_changed(self, study_id: int, revision: int) -> int:
        """How many trials changed after `revision`, without those that still wait for their first report."""
        waiting = sa.or_(trials.c.state == PENDING, (trials.c.state == INTERRUPTED) & trials.c.started_at.is_(None))
        query = sa.select(sa.func.count()).where(trials.c.study_id == study_id, trials.c.revision > revision, ~waiting)
        return int(self._store.read(lambda connection: connection.scalar(query)) or 0)

    def rows(self, study_id: int) -> dict[int, list[Row]]:
        """Every trial's rows by trial id, epochs ascending. Trials without rows are absent."""
        mine = sa.select(trials.c.id).where(trials.c.study_id == study_id)
        query = _ROWS.where(rows.c.trial_id.in_(mine)).order_by(rows.c.trial_id, rows.c.epoch)
        return self._store.read(lambda connection: _grouped(connection.execute(query).all()))

    def rows_after(self, epochs: Mapping[int, int]) -> dict[int, list[Row]]:
        """Rows past the given epoch of each given trial id (0: all of them). Trials without such rows are absent."""
        wanted = sorted(epochs.items())

        def body(connection: Connection) -> dict[int, list[Row]]:
            found: list[Any] = []
            for start in range(0, len(wanted), _TRIALS_PER_QUERY):
                some = wanted[start : start + _TRIALS_PER_QUERY]
                past = sa.or_(*((rows.c.trial_id == trial) & (rows.c.epoch > epoch) for trial, epoch in some))
                found += connection.execute(_ROWS.where(past)).all()
            return _grouped(sorted(found, key=lambda row: (row.trial_id, row.epoch)))

        return self._store.read(body)

    def attempts(self, study_id: int) -> list[AttemptRecord]:
        """Every attempt of the study's trials, by trial and number."""
        query = sa.select(attempts).join(trials).where(trials.c.study_id == study_id)
        query = query.order_by(attempts.c.trial_id, attempts.c.number)
        found = self._store.read(lambda connection: connection.execute(query).all())
        return [AttemptRecord(**row._mapping) for row in found]

    def decisions(self, study_id: int, kind: str | None = None) -> list[Decision]:
        """What was decided in this study, oldest first, of one kind if given."""
        query = sa.select(*(column for column in decisions.c if column.name != "study_id"))
        query = query.where(decisions.c.study_id == study_id).order_by(decisions.c.id)
        query = query if kind is None else query.where(decisions.c.kind == kind)
        found = self._store.read(lambda connection: connection.execute(query).all())
        return [Decision(**row._mapping) for row in found]

    def findings(self, study_id: int, trial_ids: Collection[int] | None = None) -> dict[int, dict[str, Any]]:
        """What diagnostics found beyond metrics, by trial id and name; of these trials, or of all. Others are absent."""
        query = _FINDINGS.where(findings.c.study_id == study_id, findings.c.trial_id.is_not(None))
        wanted = query if trial_ids is None else query.where(findings.c.trial_id.in_(trial_ids))
        found: dict[int, dict[str, Any]] = {}
        for trial_id, name, content in self._findings(wanted) if trial_ids is None or trial_ids else ():
            found.setdefault(trial_id, {})[name] = content
        return found

    def study_findings(self, study_id: int) -> dict[str, Any]:
        """What was found of the study as a whole, by name."""
        query = _FINDINGS.where(findings.c.study_id == study_id, findings.c.trial_id.is_(None))
        return {name: content for _, name, content in self._findings(query)}

    def _findings(self, query: Any) -> list[Any]:
        def body(connection: Connection) -> list[Any]:
            if not sa.inspect(connection).has_table(findings.name):  # a ledger of version 1, opened to read
                return []
            return list(connection.execute(query.order_by(findings.c.id)).all())

        return self._store.read(body)

    def counts(self, study_id: int, stage: str | None = None) -> dict[str, int]:
        """How many trials are in each state, every state included."""
        query = sa.select(trials.c.state, sa.func.count().label("number")).where(trials.c.study_id == study_id)
        query = query if stage is None else query.where(trials.c.stage == stage)
        found = self._store.read(lambda connection: connection.execute(query.group_by(trials.c.state)).all())
        return dict.fromkeys(TRIAL_STATES, 0) | {row.state: row.number for row in found}

    def _trials(self, query: Any) -> list[TrialRecord]:
        found = self._store.read(lambda connection: connection.execute(query).all())
        return [trial_record(row) for row in found]


_STUDIES = sa.select(studies, heads.c.revision).join(heads)
_ROWS = sa.select(rows.c.trial_id, rows.c.epoch, rows.c.at, rows.c.seconds, rows.c.eval_seconds, rows.c.metrics)
_FINDINGS = sa.select(findings.c.trial_id, findings.c.name, findings.c.content)
_TRIAL = sa.select(trials).where(trials.c.study_id == sa.bindparam("study"), trials.c.key == sa.bindparam("key"))
_ATTEMPTS = sa.select(attempts).where(attempts.c.trial_id == sa.bindparam("trial")).order_by(attempts.c.number)
_REPLAYED = _ROWS.where(
    rows.c.trial_id == sa.bindparam("trial"), rows.c.epoch.between(sa.bindparam("first"), sa.bindparam("last"))
)


def find_study(connection: Connection, name: str) -> StudyRecord | None:
    """The study called `name`, inside a transaction."""
    row = connection.execute(_STUDIES.where(studies.c.name == name)).first()
    return StudyRecord(**row._mapping) if row else None


def find_trial(connection: Connection, study_id: int, key: str) -> TrialRecord | None:
    """The trial with this key, inside a transaction."""
    row = connection.execute(_TRIAL, {"study": study_id, "key": key}).first()
    return trial_record(row) if row else None


def find_attempts(connection: Connection, trial_id: int) -> list[AttemptRecord]:
    """A trial's attempts, oldest first, inside a transaction."""
    return [AttemptRecord(**row._mapping) for row in connection.execute(_ATTEMPTS, {"trial": trial_id})]


def find_rows(connection: Connection, trial_id: int, first: int, last: int) -> list[Row]:
    """A trial's rows of epochs `first` to `last`, inside a transaction."""
    return [_row(row) for row in connection.execute(_REPLAYED, {"trial": trial_id, "first": first, "last": last})]


def trial_record(row: Any) -> TrialRecord:
    """The record of a row of the trials table."""
    fields = dict(row._mapping)
    fields["metrics"] = as_floats(fields["metrics"])
    return TrialRecord(**fields)


def _row(row: Any) -> Row:
    _, epoch, at, seconds, eval_seconds, metrics = row
    return Row(epoch=epoch, at=at, seconds=seconds, eval_seconds=eval_seconds, metrics=as_floats(metrics))


def _grouped(found: Any) -> dict[int, list[Row]]:
    grouped: dict[int, list[Row]] = {}
    for row in found:
        grouped.setdefault(row[0], []).append(_row(row))
    return grouped

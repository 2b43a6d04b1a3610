"""The ledger: the only truth about a study. Everything else can be deleted and rebuilt from it.

Owns what is written and in which transaction: a trial is finished when its last row and its final state are committed
together. One driver writes, any number of processes read. Knows nothing of who runs trials or who shows them.
"""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from sweeps.changes import changes
from sweeps.ledger import lock
from sweeps.ledger import writes as write
from sweeps.ledger.forked import insert_copy, insert_fork
from sweeps.ledger.intake import Intake, contradictions, end_fields, judge
from sweeps.ledger.reads import LedgerReads, find_attempts, find_rows, find_study, find_trial
from sweeps.ledger.schema import as_json, studies
from sweeps.ledger.store import PATIENCE_SECONDS, Store, open_store
from sweeps.records import (
    ENDED,
    FAILED,
    FINAL_STATES,
    INTERRUPTED,
    LOST,
    PRUNED,
    RUNNING,
    Copy,
    End,
    Report,
    StudyRecord,
    TrialRecord,
    TrialSpec,
)
from trainable.errors import LedgerError, StudyChanged

STALE_REPORT, CONTRADICTION, ASKED = "stale_report", "contradiction", "asked"
"""Decisions the ledger records by itself: a report it refused, replayed epochs that differ from the recorded ones, a study
that was asked for something else than before."""

_END_DECISIONS = {PRUNED: "prune", FAILED: "fail"}


class Ledger(LedgerReads):
    """An open ledger. Methods that write raise StudyLocked when another driver holds the study."""

    def __init__(self, store: Store) -> None:
        super().__init__(store)
        self._has_held = False

    @classmethod
    def open(cls, url: str | Path, *, read_only: bool = False, patience_seconds: float = PATIENCE_SECONDS) -> "Ledger":
        """The ledger at `url`: a path, sqlite:///path or postgresql://user@host/database. Created unless `read_only`.

        A lock or a vanished server is waited for `patience_seconds`. LedgerError, which names the file, or the address
        without its password, when that was too short, or the ledger is damaged (a copy is kept) or of another version.
        """
        return cls(open_store(url, read_only=read_only, patience_seconds=patience_seconds))

    def close(self) -> None:
        """Give up the studies this ledger holds, and close all connections.

        Where the database cannot be reached the studies stay held until the lease runs out or this process has ended.
        """
        if self._has_held:
            with suppress(LedgerError):
                self._store.begin("release", lambda connection: lock.drop(connection, self._store.id), 0.0)
        super().close()

    def __enter__(self) -> "Ledger":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # ---- studies and who may write them

    def register_study(self, name: str, identity: dict[str, Any], spec: dict[str, Any], at: float) -> StudyRecord:
        """The study called `name`, new or known. `spec` replaces the one recorded before; a decision says what changed.

        StudyChanged, with every difference, when it is known with another `identity`. StudyLocked when `spec` differs
        and a live driver is running it.
        """
        identity, spec = as_json(identity), as_json(spec)

        def body(connection: Connection) -> StudyRecord:
            known = find_study(connection, name)
            if known is None:
                return write.insert_study(connection, name, identity, spec, at)
            if changed := changes(known.identity, identity):
                told = [f"study {name!r} is in ledger {self.name} with other settings:", *(f"  {change}" for change in changed)]
                raise StudyChanged("\n".join(told))
            if not (changed := changes(known.spec, spec)):
                return known
            lock.refuse_if_held(lock.read_head(connection, known.id), *lock.here(), at)
            connection.execute(studies.update().where(studies.c.id == known.id).values(spec=spec))
            write.write_decision(connection, known.id, None, ASKED, at, {"changes": [str(change) for change in changed]})
            return replace(known, spec=spec)

        return self._store.begin("register_study", body)

    def fork_study(self, name: str, identity: dict[str, Any], spec: dict[str, Any], origin: str, copies: Sequence[Copy],
                   at: float) -> StudyRecord:
        """A new study that begins with copies of trials of the study `origin`, in one transaction. One that exists is returned."""
        identity, spec = as_json(identity), as_json(spec)
        return self._store.begin("fork_study", lambda connection: find_study(connection, name) or insert_fork(
            connection, write.insert_study(connection, name, identity, spec, at), origin, copies, at))

    def adopt(self, study_id: int, copy: Copy, at: float) -> TrialRecord | None:
        """A copy of another study's trial as this study's own, in one transaction; None where the trial has begun here."""

        def body(connection: Connection, revision: int) -> TrialRecord | None:
            known = find_trial(connection, study_id, copy.spec.key)
            return None if known else insert_copy(connection, study_id, copy, at, revision)

        return self._store.commit(study_id, "adopt", body)

    def set_study(self, study_id: int, **provenance: Any) -> None:
        """Record facts about the study (data digest, versions, state) in its provenance, beside those already there."""

        def body(connection: Connection, _revision: int) -> None:
            mine = studies.c.id == study_id
            known = connection.scalar(sa.select(studies.c.provenance).where(mine)) or {}
            connection.execute(studies.update().where(mine).values(provenance=known | provenance))

        self._store.commit(study_id, "set_study", body)

    def set_findings(self, study_id: int, found: dict[str, Any]) -> None:
        """Record what was found of the study as a whole, by name, in place of what was found under these names before."""
        self._store.commit(study_id, "set_findings", lambda connection, _revision: write.write_findings(
            connection, study_id, None, found))

    def acquire(self, study_id: int, host: str, pid: int, at: float) -> None:
        """Become the study's only writer. StudyLocked, naming host and process, when a live driver is.

        Taken over without asking: a dead process on the same host, and one not heard of for 60 s.
        """
        holder = self._store.id
        self._has_held = True
        self._store.begin("acquire", lambda connection: lock.take(connection, study_id, holder, host, pid, at))

    def heartbeat(self, study_id: int, at: float) -> None:
        """Say that this driver is alive; due every few seconds. StudyLocked when the study was taken over meanwhile."""
        self._store.begin("heartbeat", lambda connection: lock.renew(connection, study_id, self._store.id, at))

    def release(self, study_id: int) -> None:
        """Give the study up, if this ledger holds it."""
        self._store.begin("release", lambda connection: lock.drop(connection, self._store.id, study_id))

    # ---- trials

    def add_trial(
        self, study_id: int, spec: TrialSpec, at: float, brain: dict[str, Any] | None = None
    ) -> TrialRecord:
        """The trial of `spec`, PENDING if it is new. One that is known by its key is returned as it stands.

        `brain`, if given, stands for `spec.brain`.
        """
        spec = spec if brain is None else replace(spec, brain=brain)

        def body(connection: Connection, revision: int) -> TrialRecord:
            known = find_trial(connection, study_id, spec.key)
            return known or write.insert_trial(connection, study_id, spec, at, revision)

        return self._store.commit(study_id, "add_trial", body)

    def append(self, study_id: int, report: Report, at: float) -> TrialRecord | None:
        """Record a report in one transaction: attempt, new rows, the trial's end with its findings if it has one. The trial
        afterwards.

        None when the report is refused, since its trial has ended or its attempt is closed or superseded: counted as a
        decision `stale_report`. Rows already recorded are ignored; a decision `contradiction` says which differ.
        LedgerError for an unknown trial and for a gap in the epochs.
        """

        def body(connection: Connection, revision: int) -> TrialRecord | None:
            trial = self._known(connection, study_id, report.key)
            intake = judge(trial, find_attempts(connection, trial.id), report, at)
            if intake.refused:
                detail = {"token": report.token, "worker": report.worker, "why": intake.refused}
                write.write_decision(connection, study_id, trial.id, STALE_REPORT, at, detail)
                return None
            write.write_attempt(connection, trial, report, intake, at)
            write.write_rows(connection, trial, intake)
            self._note_contradictions(connection, trial, intake, at)
            write.write_findings(connection, study_id, trial.id, report.end.findings if report.end else {})
            return write.change_trial(connection, trial, revision, intake.changes)

        return self._store.commit(study_id, "append", body)

    def end_trial(
        self, study_id: int, key: str, end: End, at: float, detail: dict[str, Any] | None = None
    ) -> TrialRecord:
        """End a trial, and its attempt, on the driver's word: PRUNED, or FAILED without a worker's report.

        With `detail`, why is recorded as a decision `prune` or `fail`. A trial that has ended stays as it is.
        """

        def body(connection: Connection, revision: int) -> TrialRecord:
            trial = self._known(connection, study_id, key)
            if trial.state in FINAL_STATES:
                return trial
            write.close_running(connection, trial.id, ENDED, end.failure_text, at)
            if detail is not None:
                write.write_decision(connection, study_id, trial.id, _END_DECISIONS[end.state], at, detail)
            return write.change_trial(connection, trial, revision, end_fields(end, at))

        return self._store.commit(study_id, "end_trial", body)

    def close_attempt(self, study_id: int, key: str, state: str, text: str, at: float) -> TrialRecord:
        """Record that a try is over, `state` LOST or INTERRUPTED, but not its trial, which is INTERRUPTED then.

        A try that never reported is counted too, as an attempt without a worker. A trial that has ended stays as it is.
        """
        if state not in (LOST, INTERRUPTED):
            raise LedgerError(f"trial {key}: an attempt closes LOST or INTERRUPTED, not {state!r}")

        def body(connection: Connection, revision: int) -> TrialRecord:
            trial = self._known(connection, study_id, key)
            if trial.state in FINAL_STATES:
                return trial
            if not write.close_running(connection, trial.id, state, text, at):
                write.insert_unseen_attempt(connection, trial.id, state, text, at)
            return write.change_trial(connection, trial, revision, {"state": INTERRUPTED})

        return self._store.commit(study_id, "close_attempt", body)

    def interrupt_running(self, study_id: int, at: float) -> list[TrialRecord]:
        """Mark what a dead driver left RUNNING as INTERRUPTED; the trials concerned. Due before the first dispatch."""
        running = self.trials(study_id, state=RUNNING)
        return [self.close_attempt(study_id, trial.key, INTERRUPTED, "the driver ended", at) for trial in running]

    def decide(self, study_id: int, key: str | None, kind: str, at: float, detail: dict[str, Any]) -> None:
        """Record a decision about a trial, or about the study when `key` is None."""

        def body(connection: Connection, _revision: int) -> None:
            trial_id = None if key is None else self._known(connection, study_id, key).id
            write.write_decision(connection, study_id, trial_id, kind, at, detail)

        self._store.commit(study_id, "decide", body)

    def _note_contradictions(self, connection: Connection, trial: TrialRecord, intake: Intake, at: float) -> None:
        replayed = intake.replayed_rows
        if not replayed:
            return
        known = find_rows(connection, trial.id, min(row.epoch for row in replayed), max(row.epoch for row in replayed))
        epochs = contradictions(known, replayed)
        if epochs:
            detail = {"epochs": epochs, "attempt": intake.attempt_number}
            write.write_decision(connection, trial.study_id, trial.id, CONTRADICTION, at, detail)

    def _known(self, connection: Connection, study_id: int, key: str) -> TrialRecord:
        trial = find_trial(connection, study_id, key)
        if trial is None:
            raise LedgerError(f"ledger {self.name}: study {study_id} has no trial {key}")
        return trial

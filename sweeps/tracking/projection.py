"""What MLflow still lacks of a study, and sending it: reads the ledger past a cursor, tells the runs.

Owns the order of sending, the cursor, and what need not be sent again. Remembers a few words a trial and no rows: what
could not be sent is read again. Knows no MLflow call.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from sweeps.ledger.reads import LedgerReads
from sweeps.records import FINAL_STATES, FINISHED, INTERRUPTED, PENDING, RUNNING, Row, StudyRecord, TrialRecord
from sweeps.tracking.content import (
    STATUS,
    Point,
    Sweep,
    final_points,
    milliseconds,
    row_points,
    run_name,
    state_tags,
    sweep,
    system_tags,
    trial_params,
    trial_tags,
)
from sweeps.tracking.faults import Refused
from sweeps.tracking.summary import ARMS_FILE, COMPONENTS_FILE, PRUNING_FILE, TABLE_FILE, Summary
from trainable.errors import LedgerError

TRIALS_PER_STEP = 50


class Runs(Protocol):
    """The other side: see MlflowRuns."""

    def open(self, sweep: Sweep) -> int: ...
    def has(self, key: str) -> bool: ...
    def create(self, key: str, name: str, started_at_ms: int, tags: Mapping[str, str]) -> None: ...
    def write(self, key: str, points: Sequence[Point], params: Mapping[str, str], tags: Mapping[str, str]) -> None: ...
    def add_data(self, key: str, name: str, digest: str) -> None: ...
    def put_findings(self, key: str, found: Mapping[str, Any]) -> None: ...
    def set_status(self, key: str, status: str, ended_at_ms: int | None) -> None: ...
    def save_cursor(self, revision: int) -> None: ...
    def write_parent(self, points: Sequence[Point], tags: Mapping[str, str]) -> None: ...
    def set_parent_status(self, status: str, ended_at_ms: int | None) -> None: ...
    def parent_metrics(self) -> dict[str, float]: ...
    def put_table(self, name: str, columns: Mapping[str, Sequence[Any]]) -> None: ...
    def put_file(self, path: str, folder: str | None) -> None: ...


@dataclass
class _Sent:
    """What this process has sent of a trial."""

    epoch: int
    state: str


class Projection:
    """One study on its way into one MLflow. `warn` is told what a person should know."""

    def __init__(self, ledger: LedgerReads, study: str, artifacts: str | None, warn: Callable[[str], None]) -> None:
        self._ledger, self._name, self._artifacts, self._warn = ledger, study, artifacts, warn
        self._sent: dict[int, _Sent] = {}
        self._cursor: int | None = None
        self.num_refused = 0

    def open(self, runs: Runs) -> None:
        """Find the study's runs and how far they are. LedgerError when the ledger has no such study.

        What somebody deleted meanwhile is restored by `runs`, or sent again where it is gone for good.
        """
        study = self._study()
        self._runs = runs
        self._sent.clear()
        cursor = runs.open(sweep(study, self._artifacts))
        # A cursor past the end is that of a ledger put back from a backup: what was told since may tell another story.
        cursor = cursor if cursor <= self._ledger.head_revision(study.id) else 0
        gone = [trial.revision for trial in self._ledger.trials(study.id) if not _is_unseen(trial) and not runs.has(trial.key)]
        self._cursor = min([cursor, *(revision - 1 for revision in gone)])

    def num_behind(self) -> int:
        """How many trials have a change that was not sent; all that ever ran, before MLflow has answered."""
        return self._ledger.num_changed(self._study().id, self._cursor or 0)

    def step(self, is_enough: Callable[[], bool] = lambda: False) -> bool:
        """Send the oldest unsent changes until there `is_enough`; True when more may remain.

        If it raises, the next step sends them again, except what this process knows to have arrived.
        """
        study = self._study()
        changed = self._ledger.changed_since(study.id, self._cursor or 0, TRIALS_PER_STEP)
        if not changed:
            return False
        shown = [trial for trial in changed if not _is_unseen(trial) or self._runs.has(trial.key)]
        rows = self._ledger.rows_after({trial.id: self._epoch(trial) for trial in shown})
        found = self._ledger.findings(study.id, [trial.id for trial in shown if trial.state in FINAL_STATES])
        revision = changed[-1].revision
        for trial in shown:
            self._try_to_send(study, trial, rows.get(trial.id, []), found.get(trial.id, {}))
            if is_enough():
                revision = trial.revision
                break
        self._runs.save_cursor(revision)
        self._cursor = revision
        return revision < changed[-1].revision or len(changed) == TRIALS_PER_STEP

    def publish(self, summary: Summary, at: float) -> None:
        """Put the answer on the parent run and end it, at unix time `at`. Publishing the same again changes nothing."""
        known, last = self._runs.parent_metrics(), self._last_end_ms(at)
        # the newest time is what MLflow shows, so a changed answer to the same trials needs a later one
        points = [Point(key, value, milliseconds(at) if key in known else last, 0)
                  for key, value in summary.metrics.items() if known.get(key) != value]
        tags = system_tags(self._study().provenance)
        if summary.description:
            tags["mlflow.note.content"] = summary.description
        if points or tags:
            self._runs.write_parent(points, tags)
        self._runs.set_parent_status(STATUS[summary.state], last if summary.state == FINISHED else None)
        if summary.table:
            self._runs.put_table(TABLE_FILE, summary.table)
        if summary.arms:
            self._runs.put_table(ARMS_FILE, summary.arms)
        if summary.pruning:
            self._runs.put_table(PRUNING_FILE, summary.pruning)
        if summary.components:
            self._runs.put_table(COMPONENTS_FILE, summary.components)
        for path, folder in summary.files:
            self._runs.put_file(path, folder)

    def _try_to_send(self, study: StudyRecord, trial: TrialRecord, rows: list[Row], found: dict[str, Any]) -> None:
        try:
            self._send(study, trial, rows, found)
        except Refused as error:
            self.num_refused += 1
            self._warn(f"trial {trial.key} is not whole in MLflow: {error}")

    def _send(self, study: StudyRecord, trial: TrialRecord, rows: list[Row], found: dict[str, Any]) -> None:
        sent, final = self._sent.get(trial.id), trial.state in FINAL_STATES
        if sent and not rows and sent.state == trial.state:
            return
        tags = {} if sent and sent.state == trial.state else state_tags(trial)
        is_new = not self._runs.has(trial.key)
        if is_new:
            start = milliseconds(trial.started_at or trial.created_at)
            self._runs.create(trial.key, run_name(trial), start, trial_tags(trial) | tags)
            tags = {}
        elif not sent:
            tags |= trial_tags(trial)
        points = row_points(rows) + (final_points(trial) if final else [])
        self._runs.write(trial.key, points, {} if sent else trial_params(trial), tags)
        data_digest = study.provenance.get("data_digest")
        if not sent and data_digest:
            self._runs.add_data(trial.key, str(trial.config["data"]), str(data_digest))
        if found:
            self._runs.put_findings(trial.key, found)
        if final:
            self._runs.set_status(trial.key, STATUS[trial.state], milliseconds(trial.ended_at or trial.created_at))
        elif not (is_new and trial.state == RUNNING) and not (sent and sent.state == trial.state):
            self._runs.set_status(trial.key, STATUS[trial.state], None)
        self._sent[trial.id] = _Sent(max(self._epoch(trial), rows[-1].epoch if rows else 0), trial.state)

    def _epoch(self, trial: TrialRecord) -> int:
        sent = self._sent.get(trial.id)
        return sent.epoch if sent else 0

    def _last_end_ms(self, at: float) -> int:
        ends = [trial.ended_at for trial in self._ledger.trials(self._study().id) if trial.ended_at]
        return milliseconds(max(ends, default=at))

    def _study(self) -> StudyRecord:
        study = self._ledger.study(self._name)
        if study is None:
            raise LedgerError(f"ledger {self._ledger.name}: there is no study {self._name!r}")
        return study


def _is_unseen(trial: TrialRecord) -> bool:
    """Waiting for its first report: nothing to show yet."""
    return trial.state == PENDING or (trial.state == INTERRUPTED and trial.started_at is None)

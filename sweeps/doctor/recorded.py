"""What the ledger holds of a study, read once for all checks.

Owns the order of reading: beside a running driver a trial that had ended when trials were read is whole in what is read after.
"""

from dataclasses import dataclass
from functools import cached_property

from sweeps.ledger import Ledger
from sweeps.records import FINAL_STATES, AttemptRecord, Decision, Holder, Row, StudyRecord, TrialRecord
from sweeps.study import Study


@dataclass(frozen=True, kw_only=True)
class Recorded:
    """A study's records. `driver` is who runs it now; None: nobody, so that nothing may be in motion."""

    record: StudyRecord
    trials: list[TrialRecord]
    rows: dict[int, list[Row]]
    attempts: list[AttemptRecord]
    decisions: list[Decision]
    driver: Holder | None

    @cached_property
    def study(self) -> Study:
        """The study as it was last asked for."""
        return Study.from_dict(self.record.spec)

    @property
    def complete(self) -> bool:
        """Whether the last run said that nothing is left to run."""
        return bool(self.record.provenance.get("complete"))

    @property
    def is_over(self) -> bool:
        """Complete, and every trial has ended."""
        return self.complete and all(trial.state in FINAL_STATES for trial in self.trials)

    @property
    def still(self) -> list[TrialRecord]:
        """The trials that nobody changes: all of them, or beside a driver those that have ended."""
        return [trial for trial in self.trials if trial.state in FINAL_STATES or self.driver is None]

    def curve(self, trial: TrialRecord) -> dict[int, float]:
        """The study's objective by epoch, as far as it was recorded."""
        name = self.study.objective
        return {row.epoch: row.metrics[name] for row in self.rows.get(trial.id, ()) if name in row.metrics}


def read(ledger: Ledger, record: StudyRecord, driver: Holder | None) -> Recorded:
    """Everything the ledger holds of a study."""
    trials = ledger.trials(record.id)
    return Recorded(record=record, trials=trials, rows=ledger.rows(record.id), attempts=ledger.attempts(record.id),
                    decisions=ledger.decisions(record.id), driver=driver)

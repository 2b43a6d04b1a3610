"""Whether the ledger agrees with itself: rows without gap, ended trials ended once and whole, nothing left running. Pure.

Owns the rules of the records. Budgets are another matter, and what lies elsewhere too.
"""

from collections import Counter
from collections.abc import Iterable

from sweeps.doctor.finding import BACKUP, GO_ON, LEDGER, Finding, listed
from sweeps.doctor.recorded import Recorded
from sweeps.ledger import CONTRADICTION
from sweeps.records import (
    ENDED,
    FAILED,
    FINAL_STATES,
    FINISHED,
    RUNNING,
    AttemptRecord,
    Row,
    TrialRecord,
)
from sweeps.stored_predictions import is_key_of

NOT_REPEATABLE = ("the first values stay and count; on such a device the same trial does not give the same numbers, so leave "
                  "out what was run there, or run the study under a new name")


def check_ledger(recorded: Recorded) -> list[Finding]:
    """What is wrong in the ledger itself. Beside a driver only trials that have ended are looked at."""
    attempts: dict[int, list[AttemptRecord]] = {}
    for attempt in recorded.attempts:
        attempts.setdefault(attempt.trial_id, []).append(attempt)
    found = []
    for trial in recorded.still:
        rows = recorded.rows.get(trial.id, [])
        found += [_of(trial, *each) for each in (*_rows(trial, rows), *_end(trial, recorded), *_running(trial),
                                                 *_attempts(trial, attempts.get(trial.id, [])))]
    return [*found, *_contradictions(recorded), *_repeated(recorded.trials), *_renamed(recorded)]


def _of(trial: TrialRecord, text: str, remedy: str) -> Finding:
    return Finding(place=LEDGER, trial=trial.key, text=text, remedy=remedy)


Said = Iterable[tuple[str, str]]


def _rows(trial: TrialRecord, rows: list[Row]) -> Said:
    epochs = [row.epoch for row in rows]
    missing = sorted(set(range(1, trial.last_epoch + 1)) - set(epochs))
    beyond = [epoch for epoch in epochs if epoch > trial.last_epoch]
    if missing:
        yield f"{listed(missing)} of {trial.last_epoch} missing", BACKUP
    if beyond:
        yield f"{listed(beyond)} recorded, but its last is {trial.last_epoch}", BACKUP


def _end(trial: TrialRecord, recorded: Recorded) -> Said:
    if trial.state != FINISHED:
        return
    epochs = trial.config["epochs"]
    if trial.last_epoch != epochs:
        yield f"FINISHED at epoch {trial.last_epoch} of {epochs}", BACKUP
    objective = recorded.study.objective
    if objective not in trial.metrics and trial.last_epoch not in recorded.curve(trial):
        yield f"FINISHED without {objective} at its last epoch", BACKUP


def _running(trial: TrialRecord) -> Said:
    """Only of trials at which nobody works."""
    if trial.state == RUNNING:
        yield "RUNNING, and nobody runs the study", f"{GO_ON}; --repair marks it INTERRUPTED"


def _attempts(trial: TrialRecord, attempts: list[AttemptRecord]) -> Said:
    states = Counter(attempt.state for attempt in attempts)
    least = 0 if trial.state == FAILED else 1  # one that failed for want of a worker has ended without any
    if trial.state in FINAL_STATES and not least <= states[ENDED] <= 1:
        yield f"{trial.state} with {states[ENDED]} attempts that ended it", BACKUP
    elif trial.state not in FINAL_STATES and states[ENDED]:
        yield f"{trial.state}, but an attempt has ended it", BACKUP
    elif states[RUNNING] != (trial.state == RUNNING):
        yield f"{trial.state} with {states[RUNNING]} attempts RUNNING", BACKUP


def _contradictions(recorded: Recorded) -> list[Finding]:
    key_of = {trial.id: trial.key for trial in recorded.trials}
    return [Finding(place=LEDGER, trial=key_of.get(decision.trial_id or 0),
                    text=f"another attempt gave other values for {listed(list(decision.detail.get('epochs', [])))}",
                    remedy=NOT_REPEATABLE)
            for decision in recorded.decisions if decision.kind == CONTRADICTION]


def _repeated(trials: list[TrialRecord]) -> list[Finding]:
    """Trials that are the same arm and replicate as an earlier one of their stage: the analysis would count it twice."""
    first: dict[tuple[object, ...], str] = {}
    found = []
    for trial in trials:
        place = (trial.stage, trial.capacity, trial.arm_key, *trial.replicate)
        if place in first:
            text = f"the same arm and replicate ({trial.replicate}) as trial {first[place]}"
            found.append(_of(trial, text, BACKUP))
        first.setdefault(place, trial.key)
    return found


def _renamed(recorded: Recorded) -> list[Finding]:
    data_digest = recorded.record.provenance.get("data_digest")
    return [_of(trial, "its key is not that of its configuration on the study's data", BACKUP)
            for trial in recorded.trials if data_digest and not is_key_of(trial.key, trial.config, data_digest)]

"""Whether MLflow shows each trial once, as the ledger has it: status, params, tags, every value of every epoch. Pure.

Owns the comparison. What each trial should look like there is sweeps.tracking.content's; how it is read, the audit's.
"""

import math
from collections.abc import Collection, Iterable, Mapping
from types import MappingProxyType

from sweeps.doctor.finding import DELETE, MLFLOW, RESEND, WITHDRAW, Finding, listed
from sweeps.doctor.recorded import Recorded
from sweeps.records import FINAL_STATES, INTERRUPTED, PENDING, Row, TrialRecord
from sweeps.tracking.audit import StoredRun
from sweeps.tracking.content import (
    PARENT,
    STATUS,
    Point,
    final_points,
    milliseconds,
    row_points,
    state_tags,
    trial_params,
    trial_tags,
)

WITNESS = "it may hold what the ledger has lost, so --repair leaves it as it is"
SEND = "`mixup-sweep sync` sends everything"
DUPLICATES = "--repair keeps the fullest and deletes the others in MLflow, where they can be restored"
Plain = tuple[str, int, int, str]
"""A point that equals another with the same value, also where that is no number: key, step, time, value in words."""


def check_runs(recorded: Recorded, runs: Iterable[StoredRun], doubtful: Collection[str | None] = ()) -> list[Finding]:
    """Where MLflow and the ledger differ. Beside a driver, which sends still, only what no sending would mend is told.

    `doubtful`: trials of which the ledger itself may have lost something, so that MLflow's run may be the better witness;
    None among them: it may have lost whole trials.
    """
    by_key = _grouped(runs)
    parents = by_key.pop("", [])
    num_begun = sum(map(has_begun, recorded.trials))
    if not parents and not by_key:
        text = f"nothing of this study, which has {num_begun} trials to show"
        return [Finding(place=MLFLOW, trial=None, text=text, remedy=SEND)] if num_begun and not recorded.driver else []
    parent_id = parents[0].run_id if len(parents) == 1 else None
    found = [] if recorded.driver else _parent(recorded, parents)
    for trial in recorded.still:
        mine = by_key.get(trial.key, [])
        texts = _trial(trial, recorded.rows.get(trial.id, []), mine, parent_id)
        found += [Finding(place=MLFLOW, trial=trial.key, text=text,
                          remedy=WITNESS if remedy == WITHDRAW and trial.key in doubtful else remedy)
                  for text, remedy in texts if not recorded.driver or remedy != RESEND]
    if not recorded.driver:
        found += [Finding(place=MLFLOW, trial=run.key, text=f"run {run.run_id} is of a trial that the ledger does not know",
                          remedy=WITNESS if {run.key, None} & {*doubtful} else DELETE) for run in strange(recorded, by_key)]
    return found


def wrong_runs(recorded: Recorded, runs: Iterable[StoredRun], doubtful: Collection[str | None] = ()) -> list[StoredRun]:
    """The runs that no sending would mend: of trials unknown to the ledger, and with values that are not the ledger's.

    Not those of `doubtful` trials: what the ledger has lost may be there.
    """
    by_key = _grouped(runs)
    by_key.pop("", None)
    sure = [trial for trial in recorded.trials if trial.key not in doubtful]
    wrong = [run for trial in sure for run in by_key.get(trial.key, [])
             if _other(trial, recorded.rows.get(trial.id, []), run)]
    return [run for run in strange(recorded, by_key) if not {run.key, None} & {*doubtful}] + wrong


def strange(recorded: Recorded, by_key: dict[str, list[StoredRun]]) -> list[StoredRun]:
    """Runs of this sweep whose trial the ledger does not have."""
    known = {trial.key for trial in recorded.trials}
    return [run for key, runs in by_key.items() if key not in known for run in runs]


def has_begun(trial: TrialRecord) -> bool:
    """Whether a trial has anything to show: one that waits for its first report has no run yet."""
    return trial.state != PENDING and not (trial.state == INTERRUPTED and trial.started_at is None)


def _grouped(runs: Iterable[StoredRun]) -> dict[str, list[StoredRun]]:
    by_key: dict[str, list[StoredRun]] = {}
    for run in runs:
        by_key.setdefault(run.key, []).append(run)
    return by_key


def _parent(recorded: Recorded, parents: list[StoredRun]) -> list[Finding]:
    if not parents:
        return [Finding(place=MLFLOW, trial=None, text="no active run of the sweep itself", remedy=RESEND)]
    if len(parents) > 1:
        text = f"{len(parents)} active runs of the sweep itself"
        return [Finding(place=MLFLOW, trial=None, text=text, remedy=DUPLICATES)]
    ended = all(trial.state in FINAL_STATES for trial in recorded.trials)
    allowed = ["FINISHED"] if recorded.is_over else ["SCHEDULED", *(["FINISHED"] if ended else [])]
    if parents[0].status in allowed:
        return []
    text = f"the sweep itself is {parents[0].status}, must be {' or '.join(allowed)}"
    return [Finding(place=MLFLOW, trial=None, text=text, remedy=RESEND)]


def _trial(trial: TrialRecord, rows: list[Row], runs: list[StoredRun], parent_id: str | None) -> Iterable[tuple[str, str]]:
    if len(runs) > 1:
        yield f"{len(runs)} active runs", DUPLICATES
        return
    if not runs:
        if has_begun(trial):
            yield "no active run", RESEND
        return
    (run,) = runs
    if run.status != STATUS[trial.state]:
        yield f"{run.status}, must be {STATUS[trial.state]} ({trial.state} in the ledger)", RESEND
    elif trial.ended_at is not None and run.ended_at_ms != milliseconds(trial.ended_at):
        yield "another time of its end", RESEND
    if parent_id is not None and run.tags.get(PARENT) != parent_id:
        yield "not under the sweep's own run", RESEND
    if names := _unlike(trial_params(trial), run.params, run.tags) + _unlike(trial_tags(trial) | state_tags(trial), run.tags):
        yield f"missing or other: {', '.join(names[:5])}", RESEND
    if lacking := _expected(trial, rows) - _known(run.points):
        yield f"{len(lacking)} metric values missing, {listed(_epochs(lacking))}", RESEND
    if other := _other(trial, rows, run):
        yield f"{len(other)} metric values that the ledger has not, {listed(_epochs(other))}", WITHDRAW


def _unlike(expected: Mapping[str, str], there: Mapping[str, str], beside: Mapping[str, str] = MappingProxyType({})) -> list[str]:
    """Names whose values differ; a param that was taken before we came stands `beside`, as a tag."""
    return [name for name, value in expected.items() if value not in (there.get(name), beside.get(f"sweep.param.{name}"))]


def _expected(trial: TrialRecord, rows: list[Row]) -> set[Plain]:
    final = final_points(trial) if trial.state in FINAL_STATES else []
    return _known([*row_points(rows), *final])


def _other(trial: TrialRecord, rows: list[Row], run: StoredRun) -> set[Plain]:
    """Values of metrics that the trial has, but which it never reported."""
    expected = _expected(trial, rows)
    ours = {key for key, *_ in expected}
    return {point for point in _known(run.points) if point[0] in ours} - expected


def _known(points: Iterable[Point]) -> set[Plain]:
    return {(point.key, point.step, point.timestamp, _in_words(point.value)) for point in points}


def _in_words(value: float) -> str:
    """MLflow's databases keep an infinite value as the largest one."""
    if math.isnan(value):
        return "nan"
    return max(-1.7976931348623157e308, min(value, 1.7976931348623157e308)).hex()


def _epochs(points: set[Plain]) -> list[int]:
    return sorted({step for _, step, _, _ in points})

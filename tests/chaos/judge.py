"""The one judge of the chaos tests: after whatever happened, every place tells the same story of every trial, once."""

import sqlite3
from collections import Counter
from contextlib import closing
from pathlib import Path

from sweeps.home import Home
from sweeps.ledger import Ledger
from sweeps.plan_cost import num_trials
from sweeps.records import ENDED, FAILED, FINAL_STATES, FINISHED, PRUNED, RUNNING
from sweeps.study import load_study

_RUNS = ("select key.value, state.value, runs.run_uuid, runs.status from runs join tags key on key.run_uuid = runs.run_uuid "
         "and key.key = 'sweep.trial_key' left join tags state on state.run_uuid = runs.run_uuid "
         "and state.key = 'sweep.state' where runs.lifecycle_stage = 'active'")
_EPOCHS = "select run_uuid, step from metrics where key = 'val/error' order by step"
_STATUS = {FINISHED: "FINISHED", FAILED: "FAILED", PRUNED: "KILLED"}


def assert_consistent(home: Home, file: Path, sets: list[str], store: Path | None = None) -> None:
    """Each trial has ended, has one live MLflow run of the same state, and rows 1..E in both; there are as many as asked for.

    `store`: MLflow's database, where it is not the one under the home.
    """
    study = load_study(str(file), overrides=sets)
    with closing(Ledger.open(home.ledger, read_only=True)) as ledger:
        record = ledger.study(study.name)
        assert record
        trials, rows, attempts = ledger.trials(record.id), ledger.rows(record.id), ledger.attempts(record.id)
        contradictions = ledger.decisions(record.id, "contradiction")
    assert not contradictions
    assert {trial.state for trial in trials} <= set(FINAL_STATES)
    asked = {stage: num_trials(study, stage) for stage in ("search", "measure")}
    assert Counter(trial.stage for trial in trials) == asked
    assert not [attempt for attempt in attempts if attempt.state == RUNNING]
    epochs = {trial.key: [row.epoch for row in rows.get(trial.id, ())] for trial in trials}
    for trial in trials:
        assert epochs[trial.key] == list(range(1, trial.last_epoch + 1))
        assert trial.state != FINISHED or trial.last_epoch == trial.config["epochs"]
        ended = [attempt for attempt in attempts if attempt.trial_id == trial.id and attempt.state == ENDED]
        assert len(ended) == (trial.state != FAILED), f"{trial.key}: {len(ended)} attempts ended"
    assert not list(home.root.glob("checkpoints/*/*"))
    _assert_projected(store or home.root / "mlflow.db", {trial.key: trial.state for trial in trials}, epochs)


def _assert_projected(database: Path, states: dict[str, str], epochs: dict[str, list[int]]) -> None:
    with closing(sqlite3.connect(database)) as connection:
        runs = connection.execute(_RUNS).fetchall()
        points: dict[str, list[int]] = {}
        for run, step in connection.execute(_EPOCHS):
            points.setdefault(run, []).append(step)
    assert Counter(key for key, *_ in runs) == Counter(list(states)), "one live run of each trial"
    for key, state, run, status in runs:
        assert (state, status) == (states[key], _STATUS[states[key]]), key
        assert points.get(run, []) == epochs[key], key

"""The judge of a study: nothing is found where nothing is wrong, and each damage is found as what it is, where it is."""

import os
import socket
import sqlite3
import time
from contextlib import closing
from dataclasses import replace
from functools import partial

import pytest

from sweeps.attempt import Place
from sweeps.brain import Brain
from sweeps.doctor import Health, assert_consistent, examine
from sweeps.doctor.finding import LEDGER, MLFLOW, SAMPLER, STORAGE
from sweeps.doctor.mending import mend
from sweeps.fork import begin_fork, donors_of
from sweeps.home import Home
from sweeps.ledger import ASKED, Ledger
from sweeps.optuna_study import memory_of
from sweeps.records import FAILED, FINISHED, FORKED, INTERRUPTED, PRUNED
from sweeps.sweep import Sweep, run_locally
from tests.sweeps.doctor.damages import Damage, cut, extra_trial, file, flipped, in_ledger, in_mlflow, twin_run
from tests.sweeps.doctor.sound_study import DATA_DIGEST, NAME, asked, keys_of, send, some_fail
from tests.sweeps.small_study import make_data
from tests.sweeps.tracking.answering_server import closed_address
from trainable.errors import StudyError, StudyLocked

PREDICTIONS, CHECKPOINT = "predictions/small/{FINISHED}.npy", "checkpoints/small/{INTERRUPTED}/latest"
POINT = "run_uuid = '{FINISHED}' and key = 'train/loss' and step = 2"

Found = tuple[str, str | None, str]
"""Where, a trial in which state (None: of the study, or another trial), and how the text begins."""
Case = tuple[Damage, list[Found], list[Found]]
"""How it is damaged, what is found then, and what of it is left after a repair."""

UNKNOWN_RUN = (MLFLOW, None, "run ")
LEDGER_CASES: dict[str, Case] = {
    "a row is lost": (in_ledger("delete from sweep_rows where epoch = 2 and trial_id = <PRUNED>"),
                      [(LEDGER, PRUNED, "epoch 2 of "), (MLFLOW, PRUNED, "3 metric values that the ledger has not, epoch 2")],
                      [(LEDGER, PRUNED, "epoch 2 of "), (MLFLOW, PRUNED, "3 metric values that the ledger has not, epoch 2")]),
    "a last row is lost": (in_ledger("delete from sweep_rows where epoch = 1 and trial_id = <FAILED>"),
                           [(LEDGER, FAILED, "epoch 1 of 1 missing")], [(LEDGER, FAILED, "epoch 1 of 1 missing")]),
    "an attempt was not closed": (in_ledger("update sweep_attempts set state = 'RUNNING' where trial_id = <PRUNED>"),
                                  [(LEDGER, PRUNED, "PRUNED with 0 attempts that ended it")],
                                  [(LEDGER, PRUNED, "PRUNED with 0 attempts that ended it")]),
    "an attempt contradicted another": (
        in_ledger("insert into sweep_decisions (study_id, trial_id, kind, at, detail) values "
                  "(1, <FAILED>, 'contradiction', 1.0, '{{\"epochs\": [1], \"attempt\": 2}}')"),
        [(LEDGER, FAILED, "another attempt gave other values for epoch 1")],
        [(LEDGER, FAILED, "another attempt gave other values for epoch 1")]),
    "a configuration was altered": (
        in_ledger("update sweep_trials set config = replace(config, '\"momentum\": 0.9', '\"momentum\": 0.8') where id = <PRUNED>"),
        [(LEDGER, PRUNED, "its key is not that of its configuration"), (MLFLOW, PRUNED, "missing or other: momentum")],
        [(LEDGER, PRUNED, "its key is not that of its configuration")]),
    "a measure trial is lost": (
        in_ledger("delete from sweep_trials where id = (select max(id) from sweep_trials where stage = 'measure')"),
        [(LEDGER, None, "missing from a study that counts as complete"), UNKNOWN_RUN],
        [(LEDGER, None, "missing from a study that counts as complete"), UNKNOWN_RUN]),
    "a search trial is lost": (
        in_ledger("delete from sweep_trials where stage = 'search' and number = 3 and capacity = 'width=0.5'"),
        [(SAMPLER, None, "cannot be rebuilt: width=0.5: search trial 3 is missing"), UNKNOWN_RUN],
        [(SAMPLER, None, "cannot be rebuilt: width=0.5: search trial 3 is missing"), UNKNOWN_RUN]),
    "a trial is beyond the budget": (
        extra_trial, [(LEDGER, None, "a measure trial that the study does not ask for"), (MLFLOW, None, "no active run")],
        [(LEDGER, None, "a measure trial that the study does not ask for")]),
    "a trial runs without a driver": (
        in_ledger("update sweep_trials set state = 'RUNNING', ended_at = null where id = <INTERRUPTED>",
                  "update sweep_attempts set state = 'RUNNING', ended_at = null where trial_id = <INTERRUPTED>"),
        [(LEDGER, INTERRUPTED, "RUNNING, and nobody runs the study"), (MLFLOW, INTERRUPTED, "SCHEDULED, must be RUNNING"),
         (MLFLOW, INTERRUPTED, "missing or other: sweep.state")], []),
}
STORAGE_CASES: dict[str, Case] = {
    "predictions are lost": (file(PREDICTIONS, None), [(STORAGE, FINISHED, "predictions are missing")],
                             [(STORAGE, FINISHED, "predictions are missing")]),
    "predictions have another bit": (flipped(PREDICTIONS), [(STORAGE, FINISHED, "predictions are not those")],
                                     [(STORAGE, FINISHED, "predictions are not those")]),
    "predictions are cut": (cut(PREDICTIONS, 0.5), [(STORAGE, FINISHED, "predictions are not those")],
                            [(STORAGE, FINISHED, "predictions are not those")]),
    "a checkpoint of an ended trial is left": (file("checkpoints/small/{PRUNED}/latest", b"x"),
                                               [(STORAGE, PRUNED, "a checkpoint is left, and the trial is PRUNED")], []),
    "a checkpoint of no trial is left": (file("checkpoints/small/0123/previous", b"x"),
                                         [(STORAGE, None, "a checkpoint is left, and the ledger knows no such trial")], []),
    "a checkpoint is cut": (cut(CHECKPOINT, 0.5), [(STORAGE, INTERRUPTED, "checkpoint `latest` is damaged")], []),
    "a checkpoint is empty": (cut(CHECKPOINT, 0.0), [(STORAGE, INTERRUPTED, "checkpoint `latest` is no checkpoint")], []),
    "a checkpoint has another bit": (flipped(CHECKPOINT), [(STORAGE, INTERRUPTED, "checkpoint `latest` is damaged")], []),
}
MLFLOW_CASES: dict[str, Case] = {
    "a run is there twice": (twin_run, [(MLFLOW, FINISHED, "2 active runs")], []),
    "a run was deleted": (in_mlflow("update runs set lifecycle_stage = 'deleted' where run_uuid = '{FINISHED}'"),
                          [(MLFLOW, FINISHED, "no active run")], []),
    "a run was deleted for good": (in_mlflow("delete from tags where run_uuid = '{FINISHED}'",
                                             "delete from runs where run_uuid = '{FINISHED}'"),
                                   [(MLFLOW, FINISHED, "no active run")], []),
    "a value is missing": (in_mlflow(f"delete from metrics where {POINT}"),
                           [(MLFLOW, FINISHED, "1 metric values missing, epoch 2")], []),
    "a value is another": (in_mlflow(f"update metrics set value = value + 1e-9 where {POINT}"),
                           [(MLFLOW, FINISHED, "1 metric values missing, epoch 2"),
                            (MLFLOW, FINISHED, "1 metric values that the ledger has not, epoch 2")], []),
    "a value has another time": (in_mlflow(f"update metrics set timestamp = timestamp + 1 where {POINT}"),
                                 [(MLFLOW, FINISHED, "1 metric values missing, epoch 2"),
                                  (MLFLOW, FINISHED, "1 metric values that the ledger has not, epoch 2")], []),
    "a final value is missing": (in_mlflow("delete from metrics where run_uuid = '{FINISHED}' and key = 'test/error'",
                                           "delete from latest_metrics where run_uuid = '{FINISHED}' and key = 'test/error'"),
                                 [(MLFLOW, FINISHED, "1 metric values missing")], []),
    "a status is another": (in_mlflow("update runs set status = 'RUNNING' where run_uuid = '{PRUNED}'"),
                            [(MLFLOW, PRUNED, "RUNNING, must be KILLED (PRUNED in the ledger)")], []),
    "an end has another time": (in_mlflow("update runs set end_time = end_time + 5 where run_uuid = '{FAILED}'"),
                                [(MLFLOW, FAILED, "another time of its end")], []),
    "a param is missing": (in_mlflow("delete from params where run_uuid = '{FINISHED}' and key = 'alpha'"),
                           [(MLFLOW, FINISHED, "missing or other: alpha")], []),
    "a tag is another": (in_mlflow("update tags set value = 'FINISHED' where run_uuid = '{FAILED}' and key = 'sweep.state'"),
                         [(MLFLOW, FAILED, "missing or other: sweep.state")], []),
    "a run is of no trial": (in_mlflow("update tags set value = 'abc' where run_uuid = '{FINISHED}' and key = 'sweep.trial_key'"),
                             [(MLFLOW, FINISHED, "no active run"), UNKNOWN_RUN], []),
    "the sweep's own run was deleted": (in_mlflow("update runs set lifecycle_stage = 'deleted' where run_uuid = '{parent}'"),
                                        [(MLFLOW, None, "no active run of the sweep itself")], []),
    "the sweep's own run goes on": (in_mlflow("update runs set status = 'RUNNING' where run_uuid = '{parent}'"),
                                    [(MLFLOW, None, "the sweep itself is RUNNING, must be FINISHED")], []),
    "the experiment was deleted": (in_mlflow("update experiments set lifecycle_stage = 'deleted' where name = 'small'"),
                                   [(MLFLOW, None, "nothing of this study, which has 28 trials to show")], []),
    "nothing was ever sent": (lambda home, _: (home.root / "mlflow.db").unlink(),
                              [(MLFLOW, None, "nothing of this study, which has 28 trials to show")], []),
}
CASES = {**LEDGER_CASES, **STORAGE_CASES, **MLFLOW_CASES}


@pytest.fixture
def damaged(request: pytest.FixtureRequest) -> tuple[Home, Case, dict[str, str]]:
    """A home with the damage of the case named by the test's parameter: of a stopped study where only that has the trial."""
    case = CASES[request.param]
    needs_unfinished = INTERRUPTED in str([state for _, state, _ in case[1]])
    home = request.getfixturevalue("stopped_home" if needs_unfinished else "home")
    keys = keys_of(home)
    case[0](home, keys)
    return home, case, keys


def found_in(health: Health, keys: dict[str, str]) -> list[Found]:
    """What was found, with the state in place of the key of a trial that has one."""
    states = {key: state for state, key in keys.items()}
    return [(finding.place, states.get(finding.trial or ""), finding.text) for finding in health.findings]


def assert_found(health: Health, keys: dict[str, str], expected: list[Found]) -> None:
    found = found_in(health, keys)
    assert [(place, state) for place, state, _ in found] == [(place, state) for place, state, _ in expected], found
    for (_, _, text), (_, _, beginning) in zip(found, expected, strict=True):
        assert text.startswith(beginning)


@pytest.mark.parametrize("damaged", CASES, indirect=True)
def test_a_damage_is_found_as_what_it_is_and_nothing_else(damaged: tuple[Home, Case, dict[str, str]]) -> None:
    home, (_, expected, _), keys = damaged
    assert_found(examine(home, NAME), keys, expected)


@pytest.mark.parametrize("damaged", ["predictions are lost"], indirect=True)
def test_a_test_that_asks_is_told_every_finding(damaged: tuple[Home, Case, dict[str, str]]) -> None:
    home, _, keys = damaged
    with pytest.raises(AssertionError, match=f"storage: trial {keys[FINISHED]}: predictions are missing"):
        assert_consistent(home, NAME)


@pytest.fixture
def sending_here(monkeypatch: pytest.MonkeyPatch) -> None:
    """A repair that sends in this process: the analysis and the sending process have tests of their own."""
    monkeypatch.setattr("sweeps.doctor.mending.answer", lambda home, name: (None, None))
    monkeypatch.setattr("sweeps.doctor.mending.sync", lambda home, name, results, page: send(home))


@pytest.mark.slow
@pytest.mark.parametrize("damaged", CASES, indirect=True)
def test_a_repair_mends_what_can_be_rebuilt_and_keeps_in_mlflow_what_the_ledger_may_have_lost(
        damaged: tuple[Home, Case, dict[str, str]], sending_here: None) -> None:
    home, (_, expected, left), keys = damaged
    done = mend(home, NAME)
    assert bool(done) == (left != expected)
    assert_found(examine(home, NAME), keys, left)
    assert mend(home, NAME) == [], "mending again does nothing"


def test_nothing_is_found_where_nothing_is_wrong(home: Home) -> None:
    health = examine(home, NAME)
    assert health.findings == ()
    assert (health.consistent, health.complete, health.driver) == (True, True, None)
    assert health.num_trials == health.num_runs == 28
    assert set(keys_of(home)) == {FINISHED, PRUNED, FAILED}, "the study has trials of each end"
    assert_consistent(home, NAME)


def test_a_stopped_study_is_consistent_but_not_complete(stopped_home: Home) -> None:
    health = examine(stopped_home, NAME)
    assert health.findings == ()
    assert not health.complete
    assert_consistent(stopped_home, NAME, complete=False)
    with pytest.raises(AssertionError, match="not complete"):
        assert_consistent(stopped_home, NAME)


def test_looking_changes_nothing_and_leaves_nothing_behind(home: Home) -> None:
    (home.root / "mlflow.db").unlink()
    before = {path: path.read_bytes() for path in home.root.rglob("*") if path.is_file() and path.suffix != ".db-shm"}
    examine(home, NAME)
    after = {path: path.read_bytes() for path in home.root.rglob("*") if path.is_file() and path.suffix != ".db-shm"}
    assert after == before


def test_a_damaged_page_that_no_check_reads_is_found_too(home: Home) -> None:
    path = home.root / "ledger.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("pragma wal_checkpoint(truncate)")
        (page,) = connection.execute("select rootpage from sqlite_master where name = 'sweep_findings'").fetchone()
        (size,) = connection.execute("pragma page_size").fetchone()
    with path.open("r+b") as file:
        file.seek((page - 1) * size)
        file.write(b"\xff" * size)
    (finding,) = examine(home, NAME).findings
    assert (finding.place, finding.trial) == (LEDGER, None)
    assert finding.text.startswith("its file is damaged: ")


def test_an_unknown_study_is_named(home: Home) -> None:
    for look in (examine, mend):
        with pytest.raises(StudyError, match=r"'digits' has not begun .* it knows small"):
            look(home, "digits")


def test_mlflow_that_does_not_answer_is_a_finding(home: Home) -> None:
    away = replace(home, tracking_uri=closed_address())
    health = examine(away, NAME)
    assert health.num_runs is None
    (finding,) = health.findings
    assert (finding.place, finding.trial) == (MLFLOW, None)
    assert "cannot be read" in finding.text
    assert "does not answer" in finding.text
    assert mend(away, NAME) == []


def test_a_storage_that_cannot_be_read_is_a_finding(home: Home) -> None:
    (finding,) = examine(replace(home, storage="nosuch://bucket/x"), NAME).findings
    assert (finding.place, finding.trial) == (STORAGE, None)


def test_what_a_live_driver_has_in_motion_is_not_judged_and_not_repaired(stopped_home: Home) -> None:
    keys = keys_of(stopped_home)
    CASES["a trial runs without a driver"][0](stopped_home, keys)
    CASES["a checkpoint is cut"][0](stopped_home, keys)
    in_mlflow("update runs set status = 'RUNNING' where run_uuid = '{FINISHED}'")(stopped_home, keys)
    with Ledger.open(stopped_home.ledger) as ledger:
        ledger.acquire(1, socket.gethostname(), os.getpid(), time.time())
        health = examine(stopped_home, NAME)
        assert health.findings == ()
        assert health.driver == f"process {os.getpid()} on {socket.gethostname()}"
        with pytest.raises(StudyLocked, match=f"process {os.getpid()} on host {socket.gethostname()}"):
            mend(stopped_home, NAME)
        CASES["predictions are lost"][0](stopped_home, keys)
        CASES["a run is there twice"][0](stopped_home, keys)
        assert_found(examine(stopped_home, NAME), keys, [(STORAGE, FINISHED, "predictions"), (MLFLOW, FINISHED, "2 active runs")])


def test_what_a_larger_budget_once_asked_for_is_right(home: Home) -> None:
    with Ledger.open(home.ledger) as ledger:
        study = ledger.study(NAME)
        assert study
        fewer = replace(asked(), measure=replace(asked().measure, splits=2))
        ledger.register_study(NAME, study.identity, fewer.to_dict(), 5.0)
        (decision,) = ledger.decisions(1, ASKED)
        assert decision.detail == {"changes": ["measure.splits: recorded 3, now 2"]}
    assert examine(home, NAME).findings == ()


def test_a_fork_is_judged_like_any_study(home: Home) -> None:
    study = replace(asked(), name="small-2")
    with Ledger.open(home.ledger) as ledger:
        begin_fork(ledger, NAME, study, DATA_DIGEST, partial(memory_of, study.space), 1.0)
        record = ledger.register_study(study.name, study.identity(), study.to_dict(), 1.0)
        ledger.set_study(record.id, data_digest=DATA_DIGEST, complete=False)
        sweep = Sweep(study, ledger, record, Brain(study), DATA_DIGEST)
        sweep.donors = donors_of(ledger, record, study, DATA_DIGEST)
        run_locally(sweep, make_data(), Place(storage=home.storage, study=study.name), some_fail)
        ledger.set_study(record.id, complete=sweep.complete)
        assert ledger.decisions(record.id, FORKED)
    health = examine(home, "small-2")
    assert [finding.text for finding in health.findings] == ["nothing of this study, which has 28 trials to show"]
    assert health.complete

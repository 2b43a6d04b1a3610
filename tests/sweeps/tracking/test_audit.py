"""Reading back what MLflow holds, which changes nothing there, and taking runs out of a sweep."""

import os
from pathlib import Path

import pytest

from sweeps.ledger import Ledger
from sweeps.records import StudyRecord
from sweeps.tracking import content
from sweeps.tracking.audit import forget_cursor, stored_runs, withdraw
from sweeps.tracking.projection import Projection
from tests.sweeps.tracking.answering_server import answering, closed_address
from tests.sweeps.tracking.stored_runs import trial_runs
from tests.sweeps.tracking.trial_reports import run, spec
from trainable.errors import InfrastructureError


def send(ledger: Ledger, study: StudyRecord, uri: str) -> str:
    """Everything, as a new process sends it; the sweep's id."""
    from sweeps.tracking.runs import MlflowRuns
    projection = Projection(ledger, study.name, None, lambda _: None)
    projection.open(MlflowRuns(uri, lambda _: None))
    while projection.step():
        pass
    return content.sweep(study, None).id


def test_what_is_read_is_what_is_there(ledger: Ledger, study: StudyRecord, store_uri: str) -> None:
    run(ledger, study.id, 0, 1)
    found = {stored.key: stored for stored in stored_runs(store_uri, "digits", send(ledger, study, store_uri))}
    there = trial_runs(store_uri)
    assert found.keys() == there.keys() == {"", spec(0).key, spec(1).key}
    for key, (plain,) in there.items():
        points = {(point.key, point.step, point.timestamp, point.value) for point in found[key].points}
        assert (points, found[key].status, found[key].ended_at_ms, found[key].params) == (
            plain["points"], plain["status"], plain["end"], plain["params"])
        assert plain["tags"].items() <= found[key].tags.items()


def test_a_database_that_is_not_there_is_not_made(tmp_path: Path) -> None:
    assert stored_runs(f"sqlite:///{tmp_path}/mlflow.db", "digits", "x") == []
    assert not list(tmp_path.iterdir())


def test_runs_of_another_sweep_of_that_name_are_not_ours(ledger: Ledger, study: StudyRecord, store_uri: str) -> None:
    run(ledger, study.id, 0)
    send(ledger, study, store_uri)
    assert stored_runs(store_uri, "digits", "another") == []
    assert stored_runs(store_uri, "smoke", content.sweep(study, None).id) == []


def test_what_is_withdrawn_is_made_anew_and_may_be_restored(ledger: Ledger, study: StudyRecord, store_uri: str) -> None:
    from mlflow import MlflowClient
    run(ledger, study.id, 0, 1)
    sweep_id = send(ledger, study, store_uri)
    before = trial_runs(store_uri)
    runs = stored_runs(store_uri, "digits", sweep_id)
    wrong = [each for each in runs if each.key == spec(0).key]
    withdraw(store_uri, wrong)
    assert {each.key for each in stored_runs(store_uri, "digits", sweep_id)} == {"", spec(1).key}
    forget_cursor(store_uri, runs)
    send(ledger, study, store_uri)
    assert trial_runs(store_uri) == before, "the parent and the other run are as they were"
    client = MlflowClient(store_uri)
    client.restore_run(wrong[0].run_id)
    restored = client.get_run(wrong[0].run_id).data
    assert (restored.tags["sweep.withdrawn"], restored.tags["sweep.trial_key"]) == (f"{sweep_id} {spec(0).key}", spec(0).key)
    assert len(stored_runs(store_uri, "digits", sweep_id)) == 3, "a restored run is not of the sweep any more"


def test_what_keeps_mlflow_from_being_read_is_said_without_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    before = dict(os.environ)
    with pytest.raises(InfrastructureError, match="does not answer"):
        stored_runs(closed_address().replace("http://", "http://me:hunter22@"), "digits", "x")
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", "hunter22")
    with answering(401, "who are you: hunter22") as uri, pytest.raises(InfrastructureError) as caught:
        stored_runs(uri, "digits", "x")
    assert "MLFLOW_TRACKING_USERNAME" in str(caught.value)
    assert "hunter22" not in str(caught.value)
    monkeypatch.undo()
    assert dict(os.environ) == before

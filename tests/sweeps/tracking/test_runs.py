"""The runs of one sweep in a real MLflow store on SQLite: created once, found again, mended."""

import json
import sqlite3
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from sweeps.ledger import Ledger
from sweeps.records import StudyRecord
from sweeps.tracking.content import Point
from sweeps.tracking.faults import Gone, Refused
from sweeps.tracking.projection import Projection
from sweeps.tracking.summary import describe
from tests.sweeps.fake_findings import findings, matrix
from tests.sweeps.fake_results import full, poor
from tests.sweeps.tracking.stored_runs import trial_runs
from tests.sweeps.tracking.trial_reports import (
    BEGAN,
    DATA_DIGEST,
    EPOCHS,
    FINAL,
    METRICS,
    begin,
    end,
    ended_at,
    report,
    row,
    run,
    spec,
)
from trainable.errors import InfrastructureError

KEY = spec(0).key


class Target:
    """A store, the runs in it, and what a person was told."""

    def __init__(self, uri: str, study: StudyRecord, ledger: Ledger, artifacts: str) -> None:
        from sweeps.tracking.runs import MlflowRuns
        self.uri, self.study, self.ledger, self.artifacts = uri, study, ledger, artifacts
        self.warnings: list[str] = []
        self.runs = MlflowRuns(uri, self.warnings.append)
        self.client: Any = self.runs._store.client

    def send(self) -> Projection:
        """All of the ledger, as a new process would."""
        projection = Projection(self.ledger, self.study.name, self.artifacts, self.warnings.append)
        projection.open(self.runs)
        while projection.step():
            pass
        return projection

    def stored(self) -> dict[str, list[dict[str, Any]]]:
        return trial_runs(self.uri, self.study.name)

    def one(self, key: str = KEY) -> Any:
        """The trial's only active run, as MLflow gives it."""
        experiment = self.client.get_experiment_by_name(self.study.name).experiment_id
        found = self.client.search_runs([experiment], f"tags.`sweep.trial_key` = '{key}'")
        assert len(found) == 1
        return found[0]

    def parent(self) -> Any:
        return self.client.get_run(self.runs._parent_id)


@pytest.fixture
def target(store_uri: str, study: StudyRecord, ledger: Ledger, tmp_path: Path) -> Target:
    return Target(store_uri, study, ledger, (tmp_path / "artifacts").as_uri())


def test_a_finished_trial_is_one_whole_run_under_the_parent(target: Target) -> None:
    run(target.ledger, target.study.id, 0)
    target.send()
    (found,) = target.stored()[KEY]
    rows = {(name, epoch, round(1000 * row(0, epoch).at), row(0, epoch).metrics[name])
            for epoch in range(1, EPOCHS + 1) for name in METRICS}
    final = {(name, EPOCHS, round(1000 * ended_at(0)), value) for name, value in end(0).metrics.items()}
    assert found["points"] == rows | final
    assert len(found["points"]) == EPOCHS * len(METRICS) + len(FINAL)
    assert (found["status"], found["start"], found["end"]) == ("FINISHED", round(1000 * BEGAN), round(1000 * ended_at(0)))
    assert (found["name"], found["data"]) == ("a=0.40 wd=1e-4 p=0 E=5 w=0.5 r=1.0", [("digits", DATA_DIGEST)])
    assert target.one().data.tags["mlflow.parentRunId"] == target.parent().info.run_id


def test_the_experiment_opens_on_training_runs_and_its_artifacts_lie_where_they_should(target: Target) -> None:
    target.send()
    found = target.client.get_experiment_by_name("digits")
    assert found.tags["mlflow.experimentKind"] == "custom_model_development"
    assert found.artifact_location == f"{target.artifacts}/digits"


def test_sending_again_from_nothing_changes_nothing(target: Target) -> None:
    run(target.ledger, target.study.id, 0, 1)
    target.send()
    before = target.stored()
    target.runs.save_cursor(0)
    target.send()
    assert target.stored() == before


def test_a_dataset_input_can_be_read_back(target: Target) -> None:
    import mlflow
    run(target.ledger, target.study.id, 0)
    target.send()
    data = target.one().inputs.dataset_inputs[0]
    assert type(mlflow.data.get_source(data.dataset)).__name__ == "CodeDatasetSource"
    assert (data.tags[0].key, data.tags[0].value) == ("mlflow.data.context", "training")


def test_a_run_is_looked_for_before_it_is_created_again(target: Target, monkeypatch: pytest.MonkeyPatch) -> None:
    run(target.ledger, target.study.id, 0)
    create = target.client.create_run
    calls: list[str] = []

    def answer_is_lost(*arguments: Any, **named: Any) -> Any:
        made = create(*arguments, **named)
        calls.append(made.info.run_name)
        if len(calls) == 2:  # the first is the parent's
            raise ConnectionError("the answer is lost")
        return made

    monkeypatch.setattr(target.client, "create_run", answer_is_lost)
    projection = Projection(target.ledger, "digits", target.artifacts, target.warnings.append)
    projection.open(target.runs)
    with pytest.raises(ConnectionError):
        projection.step()
    projection.step()
    assert len(calls) == 2
    assert [len(found) for found in target.stored().values()] == [1, 1]
    assert len(target.stored()[KEY][0]["points"]) == 50


def test_a_create_that_arrives_late_leaves_one_run_in_the_end(target: Target, monkeypatch: pytest.MonkeyPatch) -> None:
    run(target.ledger, target.study.id, 0)
    projection = target.send()  # the parent, and trial 0
    run(target.ledger, target.study.id, 1)
    create, late = target.client.create_run, []

    def arrives_late(*arguments: Any, **named: Any) -> Any:
        late.append((arguments, named))
        monkeypatch.setattr(target.client, "create_run", create)
        raise TimeoutError("no answer in time")

    monkeypatch.setattr(target.client, "create_run", arrives_late)
    write, other = target.runs.write, spec(1).key

    def write_after_it_came(*arguments: Any) -> None:
        if late:
            waiting = late.pop()
            create(*waiting[0], **waiting[1])
        write(*arguments)

    monkeypatch.setattr(target.runs, "write", write_after_it_came)
    with pytest.raises(TimeoutError):
        projection.step()
    projection.step()
    assert len(target.stored()[other]) == 1
    assert len(target.stored()[other][0]["points"]) == 50


def test_an_answer_cut_off_is_no_success(target: Target, monkeypatch: pytest.MonkeyPatch) -> None:
    run(target.ledger, target.study.id, 0)
    create, search = target.client.create_run, target.client.search_runs
    cut = {"search": 1, "create": 2}  # so many answers are lost: of a parent's and a trial's creation, and of a search

    def create_cut(*arguments: Any) -> Any:
        made, cut["create"] = create(*arguments), cut["create"] - 1
        if cut["create"] >= 0:
            made.info._run_id = ""
        return made

    def search_cut(*arguments: Any, **named: Any) -> Any:
        cut["search"] -= 1
        return [] if cut["search"] == 0 else search(*arguments, **named)

    monkeypatch.setattr(target.client, "create_run", create_cut)
    monkeypatch.setattr(target.client, "search_runs", search_cut)
    projection = Projection(target.ledger, "digits", target.artifacts, target.warnings.append)
    with pytest.raises(InfrastructureError, match="cut off"):
        projection.open(target.runs)
    projection.open(target.runs)
    with pytest.raises(InfrastructureError, match="cut off"):
        projection.step()
    cut["search"] = 1
    projection.step()
    assert {key: len(found) for key, found in target.stored().items()} == {KEY: 1, "": 1}


def test_duplicates_found_at_the_start_are_one_run_afterwards(target: Target) -> None:
    run(target.ledger, target.study.id, 0)
    target.send()
    whole, parent = target.one(), target.parent()
    twins = [target.client.create_run(each.info.experiment_id, 1, {**each.data.tags, "sweep.cursor": "0"})
             for each in (whole, *[parent] * 6)]
    target.send()
    assert (target.one().info.run_id, target.parent().info.run_id) == (whole.info.run_id, parent.info.run_id)
    for extra in twins:
        assert target.client.get_run(extra.info.run_id).info.lifecycle_stage == "deleted"


def test_a_run_deleted_during_the_sweep_is_restored_with_one_warning(target: Target) -> None:
    target.ledger.add_trial(target.study.id, spec(0), BEGAN)
    target.ledger.append(target.study.id, report(0, 1, 2), BEGAN + 1)
    projection = target.send()
    target.client.delete_run(target.one().info.run_id)
    target.ledger.append(target.study.id, report(0, 3, 5, end(0)), ended_at(0))
    projection.step()
    assert len(target.stored()[KEY][0]["points"]) == 50
    assert target.warnings == ["runs of this sweep were deleted in MLflow: restored"]


def test_a_run_deleted_for_good_is_made_anew_with_all_its_rows(target: Target) -> None:
    target.ledger.add_trial(target.study.id, spec(0), BEGAN)
    target.ledger.append(target.study.id, report(0, 1, 2), BEGAN + 1)
    projection = target.send()
    target.runs._store.client._tracking_client.store._hard_delete_run(target.one().info.run_id)
    target.ledger.append(target.study.id, report(0, 3, 5, end(0)), ended_at(0))
    with pytest.raises(Gone):
        projection.step()
    projection.open(target.runs)
    projection.step()
    assert len(target.stored()[KEY][0]["points"]) == 50


@pytest.mark.parametrize("for_good", [False, True])
def test_a_run_deleted_after_its_trial_had_ended_is_brought_back_by_the_next_look(target: Target, for_good: bool) -> None:
    run(target.ledger, target.study.id, 0, 1, 2)
    target.send()
    before, run_id = target.stored(), target.one(spec(1).key).info.run_id
    if for_good:
        target.runs._store.client._tracking_client.store._hard_delete_run(run_id)
    else:
        target.client.delete_run(run_id)
    target.send()
    assert target.stored() == before
    assert target.warnings == ([] if for_good else ["runs of this sweep were deleted in MLflow: restored"])


def test_the_parent_run_deleted_during_the_sweep_is_restored(target: Target) -> None:
    projection = target.send()
    target.client.delete_run(target.parent().info.run_id)
    run(target.ledger, target.study.id, 0)
    projection.step()
    assert target.parent().info.lifecycle_stage == "active"


def test_the_parent_run_deleted_between_two_processes_is_restored(target: Target) -> None:
    target.send()
    parent = target.parent().info.run_id
    target.client.delete_run(parent)
    target.send()
    assert (target.parent().info.run_id, target.parent().info.lifecycle_stage) == (parent, "active")


def test_the_parent_run_deleted_for_good_is_made_anew_and_its_trials_hang_on_the_new_one(target: Target) -> None:
    run(target.ledger, target.study.id, 0)
    target.send()
    child = target.one().info.run_id
    target.runs._store.client._tracking_client.store._hard_delete_run(target.parent().info.run_id)
    target.send()
    assert target.one().info.run_id == child
    assert target.one().data.tags["mlflow.parentRunId"] == target.parent().info.run_id


def test_a_deleted_experiment_is_restored(target: Target) -> None:
    run(target.ledger, target.study.id, 0)
    projection = target.send()
    target.client.delete_experiment(target.one().info.experiment_id)
    run(target.ledger, target.study.id, 1)
    with pytest.raises(Gone, match="deleted in MLflow while the sweep went on"):
        projection.step()
    projection.open(target.runs)
    projection.step()
    assert [len(found) for found in target.stored().values()] == [1, 1, 1]
    assert target.warnings == [], "Gone is the warning"


def test_an_experiment_deleted_between_two_processes_is_restored_with_a_warning(target: Target) -> None:
    run(target.ledger, target.study.id, 0)
    target.send()
    target.client.delete_experiment(target.one().info.experiment_id)
    Target(target.uri, target.study, target.ledger, target.artifacts).send()
    assert [len(found) for found in target.stored().values()] == [1, 1]


def test_a_renamed_experiment_is_found_by_its_tag(target: Target) -> None:
    run(target.ledger, target.study.id, 0)
    target.send()
    target.client.rename_experiment(target.one().info.experiment_id, "my digits")
    run(target.ledger, target.study.id, 1)
    target.send()
    assert len(trial_runs(target.uri, "my digits")) == 3
    assert target.client.get_experiment_by_name("digits") is None
    assert "is called 'my digits'" in target.warnings[0]


def test_a_param_with_another_value_stays_and_ours_is_a_tag(target: Target) -> None:
    target.ledger.add_trial(target.study.id, spec(0), BEGAN)
    projection = Projection(target.ledger, "digits", target.artifacts, target.warnings.append)
    projection.open(target.runs)
    target.runs.create(KEY, "x", 1, {"sweep.trial_key": KEY})
    target.client.log_param(target.one().info.run_id, "alpha", "0.7")
    run(target.ledger, target.study.id, 0)
    projection.step()
    found = target.one()
    assert (found.data.params["alpha"], found.data.tags["sweep.param.alpha"]) == ("0.7", "0.4")
    assert found.data.params["dropout"] == "0.0"
    assert (found.info.status, len(target.warnings)) == ("FINISHED", 1)


def test_a_value_that_mlflow_does_not_take_is_refused(target: Target) -> None:
    target.send()
    target.runs.create(KEY, "x", 1, {"sweep.trial_key": KEY})
    with pytest.raises(Refused):
        target.runs.write(KEY, [Point("a", 1.0, -5, 1)], {}, {})


def test_thousands_of_points_are_written_and_none_is_lost(target: Target) -> None:
    target.send()
    target.runs.create(KEY, "x", 1, {"sweep.trial_key": KEY})
    points = [Point(name, 0.5, epoch, epoch) for epoch in range(300) for name in METRICS]
    target.runs.write(KEY, points, {f"p{number}": "1" for number in range(120)}, {f"t{number}": "1" for number in range(120)})
    (found,) = target.stored()[KEY]
    assert (len(found["points"]), len(found["params"])) == (2400, 120)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_value_that_is_no_number_can_be_sent_twice(target: Target, value: float) -> None:
    target.send()
    target.runs.create(KEY, "x", 1, {"sweep.trial_key": KEY})
    for _ in range(2):
        target.runs.write(KEY, [Point("train/loss", value, 5, 1)], {}, {})
    assert len(target.client.get_metric_history(target.one().info.run_id, "train/loss")) == 1


def test_a_new_ledger_begins_new_runs_beside_the_old_ones(target: Target, tmp_path: Path) -> None:
    run(target.ledger, target.study.id, 0)
    target.send()
    other = Ledger.open(tmp_path / "other.db")
    other.register_study("digits", {"name": "digits"}, {"name": "digits"}, BEGAN + 77)
    second = Target(target.uri, begin(other), other, target.artifacts)
    run(other, second.study.id, 0)
    second.send()
    assert {key: len(found) for key, found in target.stored().items()} == {KEY: 2, "": 2}
    other.close()


def test_the_answer_stands_on_the_parent_run(target: Target, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", target.uri)  # load_table asks it, not the client
    (tmp_path / "report.html").write_text("<p>report")
    run(target.ledger, target.study.id, 0)
    projection = target.send()
    for _ in range(2):
        projection.publish(describe(full(), [(str(tmp_path / "report.html"), None)]), at=BEGAN + 50)
    parent = target.parent()
    assert (parent.info.status, parent.info.run_name) == ("FINISHED", "digits")
    assert parent.data.metrics["sweet_spot/width_0.25/low"] == 0.18
    assert json.loads(parent.data.tags["mlflow.loggedArtifacts"]) == [{"path": "sweet_spots.json", "type": "table"}]
    assert (tmp_path / "artifacts/digits" / parent.info.run_id / "artifacts/report.html").read_text() == "<p>report"
    table = target.client.load_table(parent.info.experiment_id, "sweet_spots.json", [parent.info.run_id])
    assert list(table["capacity"]) == ["width=0.25", "width=0.5", "width=1"]
    assert len(target.client.get_metric_history(parent.info.run_id, "sweet_spot/width_0.25/low")) == 1


def test_a_sweep_that_goes_on_is_running_again(target: Target) -> None:
    projection = target.send()
    projection.publish(describe(full()), at=BEGAN)
    target.send()
    assert target.parent().info.status == "RUNNING"


def test_a_new_local_store_lets_the_ui_read_while_we_write(tmp_path: Path) -> None:
    from sweeps.tracking.store import _prepare_sqlite
    path = tmp_path / "new" / "mlflow.db"
    _prepare_sqlite(f"sqlite:///{path}")
    with sqlite3.connect(path) as connection:
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)


FOUND = {"robustness/error": {"pgd": [0.1, 0.5]}, "calibration/reliability": {"accuracy": [None, 0.5]}}


def run_diagnosed(target: Target) -> None:
    target.ledger.add_trial(target.study.id, spec(0), BEGAN)
    finished = replace(end(0), findings=FOUND)
    target.ledger.append(target.study.id, report(0, ends=finished), ended_at(0))


def test_what_a_trial_found_is_an_artifact_of_its_run_and_a_resend_changes_nothing(target: Target, tmp_path: Path) -> None:
    run_diagnosed(target)
    target.send()
    run_id = target.one().info.run_id
    for _ in range(2):
        assert [each.path for each in target.client.list_artifacts(run_id)] == ["diagnostics.json"]
        path = target.client.download_artifacts(run_id, "diagnostics.json", str(tmp_path))
        assert json.loads(Path(path).read_text()) == FOUND
        target.runs.save_cursor(0)
        target.send()


def test_a_trial_without_findings_has_no_artifact(target: Target) -> None:
    run(target.ledger, target.study.id, 0)
    target.send()
    assert target.client.list_artifacts(target.one().info.run_id) == []


def test_a_folder_of_artifacts_that_cannot_be_written_costs_no_metric(target: Target, monkeypatch: pytest.MonkeyPatch) -> None:
    def denied(*_: Any, **__: Any) -> None:
        raise PermissionError(13, "Permission denied")

    run_diagnosed(target)
    run(target.ledger, target.study.id, 1)
    monkeypatch.setattr(target.client, "log_dict", denied)
    projection = target.send()
    assert projection.num_refused == 1
    assert "diagnostics.json cannot be written: Permission denied" in target.warnings[0]
    (first,), (second,) = target.stored()[KEY], target.stored()[spec(1).key]
    assert len(first["points"]) == len(second["points"])
    assert second["status"] == "FINISHED"


def test_arms_are_a_second_table_beside_that_of_sweet_spots(target: Target, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", target.uri)  # load_table asks it, not the client
    run(target.ledger, target.study.id, 0)
    projection = target.send()
    for _ in range(2):
        projection.publish(describe(poor()["arms"]), at=BEGAN + 50)
    parent = target.parent()
    assert json.loads(parent.data.tags["mlflow.loggedArtifacts"]) == [
        {"path": "sweet_spots.json", "type": "table"}, {"path": "arms.json", "type": "table"}]
    table = target.client.load_table(parent.info.experiment_id, "arms.json", [parent.info.run_id])
    assert len(table) == 30
    assert "mixup + dropout 0.7" in list(table["arm"])
    assert len(target.client.load_table(parent.info.experiment_id, "sweet_spots.json", [parent.info.run_id])) == 3


def test_what_was_found_of_the_study_is_an_artifact_of_the_parent_run(target: Target, tmp_path: Path) -> None:
    from sweeps.tracking import _files
    results = replace(full(), findings=findings())
    (tmp_path / "files").mkdir()
    projection = target.send()
    files = [each for each in _files(results, None, tmp_path / "files") if each[1] is None]
    for _ in range(2):
        projection.publish(describe(results, files), at=BEGAN)
        path = target.client.download_artifacts(target.parent().info.run_id, "diagnostics.json", str(tmp_path))
        assert json.loads(Path(path).read_text()) == {"transfer": matrix()}
    assert not [path for path, _ in _files(full(), None, tmp_path / "files") if path.endswith("diagnostics.json")]

"""What MLflow still lacks of a study, and sending it."""

from dataclasses import replace

import pytest

from sweeps.ledger import Ledger
from sweeps.records import INTERRUPTED, PRUNED, End, StudyRecord
from sweeps.tracking.faults import Refused
from sweeps.tracking.projection import TRIALS_PER_STEP, Projection
from sweeps.tracking.summary import Summary, describe
from tests.sweeps.fake_results import full
from tests.sweeps.tracking.fake_runs import Down, FakeRuns
from tests.sweeps.tracking.trial_reports import (
    BEGAN,
    DATA_DIGEST,
    DIVERGED,
    EPOCHS,
    FINAL,
    METRICS,
    end,
    ended_at,
    report,
    run,
    spec,
)
from trainable.errors import LedgerError

KEY = spec(0).key


@pytest.fixture
def runs() -> FakeRuns:
    return FakeRuns()


@pytest.fixture
def warnings() -> list[str]:
    return []


@pytest.fixture
def projection(ledger: Ledger, study: StudyRecord, runs: FakeRuns, warnings: list[str]) -> Projection:
    return opened(ledger, runs, warnings)


def opened(ledger: Ledger, runs: FakeRuns, warnings: list[str] | None = None) -> Projection:
    """A projection as a new process has it."""
    made = Projection(ledger, "digits", None, [].append if warnings is None else warnings.append)
    made.open(runs)
    return made


def send_all(projection: Projection) -> None:
    while projection.step():
        pass


def begin_trial(ledger: Ledger, study: StudyRecord, last: int, number: int = 0) -> None:
    ledger.add_trial(study.id, spec(number), BEGAN)
    ledger.append(study.id, report(number, 1, last), BEGAN + 1)


def test_a_trial_that_is_over_when_seen_costs_one_call_of_each_kind(
        ledger: Ledger, study: StudyRecord, runs: FakeRuns, projection: Projection) -> None:
    run(ledger, study.id, 0)
    send_all(projection)
    assert runs.calls == ["open", "create", "write", "add_data", "set_status", "save_cursor"]
    made = runs.runs[KEY]
    assert len(made["points"]) == EPOCHS * len(METRICS) + len(FINAL)
    assert (made["status"], made["end"], made["tags"]["sweep.state"]) == ("FINISHED", 1_700_000_006_000, "FINISHED")
    assert (made["start"], made["data"], made["params"]["alpha"]) == (1_700_000_000_000, ("digits", DATA_DIGEST), "0.4")


def test_a_trial_that_waits_has_no_run_yet(
        ledger: Ledger, study: StudyRecord, runs: FakeRuns, projection: Projection) -> None:
    ledger.add_trial(study.id, spec(0), BEGAN)
    assert projection.num_behind() == 0
    send_all(projection)
    assert not runs.runs
    ledger.close_attempt(study.id, KEY, INTERRUPTED, "the driver ended before it reported", BEGAN)
    send_all(projection)
    assert not runs.runs
    ledger.append(study.id, report(0, ends=end(0)), ended_at(0))
    send_all(projection)
    assert runs.runs[KEY]["status"] == "FINISHED"


def test_a_trial_that_never_started_and_failed_is_shown(
        ledger: Ledger, study: StudyRecord, runs: FakeRuns, projection: Projection) -> None:
    ledger.add_trial(study.id, spec(0), BEGAN)
    ledger.end_trial(study.id, KEY, End(state="FAILED", failure_class="LOST", failure_text="no worker"), BEGAN + 9)
    send_all(projection)
    assert (runs.runs[KEY]["status"], runs.runs[KEY]["tags"]["sweep.failure"]) == ("FAILED", "LOST: no worker")


def test_only_new_rows_of_a_running_trial_are_sent(
        ledger: Ledger, study: StudyRecord, runs: FakeRuns, projection: Projection) -> None:
    begin_trial(ledger, study, 2)
    send_all(projection)
    assert runs.runs[KEY]["status"] == "RUNNING"
    assert "set_status" not in runs.calls
    runs.runs[KEY]["points"] = set()
    ledger.append(study.id, report(0, 3, 4), BEGAN + 2)
    send_all(projection)
    assert {point.step for point in runs.runs[KEY]["points"]} == {3, 4}
    assert runs.calls[-2:] == ["write", "save_cursor"]


@pytest.mark.parametrize(("how", "status"), [(DIVERGED, "FAILED"), (End(state=PRUNED), "KILLED")])
def test_each_end_has_its_status(ledger: Ledger, study: StudyRecord, runs: FakeRuns, projection: Projection, how: End,
                                 status: str) -> None:
    begin_trial(ledger, study, 3)
    send_all(projection)
    ledger.end_trial(study.id, KEY, how, BEGAN + 5)
    send_all(projection)
    assert (runs.runs[KEY]["status"], runs.runs[KEY]["tags"]["sweep.state"]) == (status, how.state)


def test_an_interrupted_trial_waits_and_runs_again(
        ledger: Ledger, study: StudyRecord, runs: FakeRuns, projection: Projection) -> None:
    begin_trial(ledger, study, 2)
    ledger.close_attempt(study.id, KEY, INTERRUPTED, "stopped", BEGAN + 3)
    send_all(projection)
    assert (runs.runs[KEY]["status"], runs.runs[KEY]["end"]) == ("SCHEDULED", None)
    ledger.append(study.id, replace(report(0, 1, 3, token="b"), started_at=BEGAN + 4), BEGAN + 5)
    send_all(projection)
    assert runs.runs[KEY]["status"] == "RUNNING"
    assert {point.step for point in runs.runs[KEY]["points"]} == {1, 2, 3}


def test_a_change_nobody_sees_in_mlflow_is_not_sent(
        ledger: Ledger, study: StudyRecord, runs: FakeRuns, projection: Projection) -> None:
    ledger.add_trial(study.id, spec(0), BEGAN)
    ledger.append(study.id, report(0, 1, 2), BEGAN + 2)
    send_all(projection)
    ledger.append(study.id, replace(report(0, 1, 2), rows=()), BEGAN + 3)
    send_all(projection)
    assert runs.calls[-1] == runs.calls[-2] == "save_cursor"


def test_nothing_is_asked_when_nothing_changed(
        ledger: Ledger, study: StudyRecord, runs: FakeRuns, projection: Projection) -> None:
    run(ledger, study.id, 0)
    send_all(projection)
    before = list(runs.calls)
    assert not projection.step()
    assert runs.calls == before


@pytest.mark.parametrize("call", ["create", "write", "add_data", "set_status", "save_cursor"])
def test_after_any_failure_the_next_step_completes_the_trial(
        ledger: Ledger, study: StudyRecord, runs: FakeRuns, projection: Projection, call: str) -> None:
    run(ledger, study.id, 0)
    runs.failing[call] = [Down()]
    with pytest.raises(Down):
        projection.step()
    assert projection.num_behind() == 1
    send_all(projection)
    made = runs.runs[KEY]
    assert (made["status"], len(made["points"]), made["data"]) == ("FINISHED", 50, ("digits", DATA_DIGEST))
    assert runs.cursor == ledger.changed_since(study.id, 0)[-1].revision
    assert projection.num_behind() == 0


def test_a_new_process_goes_on_at_the_cursor_and_a_resend_changes_nothing(
        ledger: Ledger, study: StudyRecord, runs: FakeRuns, projection: Projection) -> None:
    run(ledger, study.id, 0, 1)
    begin_trial(ledger, study, 2, number=2)
    send_all(projection)
    before, calls = {key: dict(made) for key, made in runs.runs.items()}, len(runs.calls)
    send_all(opened(ledger, runs))
    assert runs.calls[calls:] == ["open"]
    runs.cursor = 0
    send_all(opened(ledger, runs))
    assert runs.runs == before


def test_a_cursor_past_the_end_of_an_older_ledger_starts_from_nothing(
        ledger: Ledger, study: StudyRecord, runs: FakeRuns) -> None:
    run(ledger, study.id, 0)
    runs.cursor = 10_000
    send_all(opened(ledger, runs))
    assert runs.runs[KEY]["status"] == "FINISHED"


@pytest.mark.parametrize("number", [TRIALS_PER_STEP - 1, TRIALS_PER_STEP, TRIALS_PER_STEP + 1])
def test_many_trials_are_sent_in_steps_and_none_is_missed(
        ledger: Ledger, study: StudyRecord, runs: FakeRuns, projection: Projection, number: int) -> None:
    run(ledger, study.id, *range(number))
    send_all(projection)
    assert sorted(runs.runs) == sorted(spec(each).key for each in range(number))
    assert projection.num_behind() == 0


def test_a_step_may_be_cut_short_and_goes_on_from_there(
        ledger: Ledger, study: StudyRecord, runs: FakeRuns, projection: Projection) -> None:
    run(ledger, study.id, 0, 1, 2)
    assert [projection.step(lambda: True) for _ in range(3)] == [True, True, False]
    assert runs.calls.count("create") == 3
    assert runs.cursor == ledger.changed_since(study.id, 0)[-1].revision


def test_a_trial_that_mlflow_refuses_does_not_hold_up_the_others(
        ledger: Ledger, study: StudyRecord, runs: FakeRuns, projection: Projection, warnings: list[str]) -> None:
    run(ledger, study.id, 0, 1)
    runs.failing["write"] = [Refused("bad value")]
    send_all(projection)
    assert runs.runs[spec(1).key]["status"] == "FINISHED"
    assert projection.num_refused == 1
    assert KEY in warnings[0]


def test_an_unknown_study_is_named(ledger: Ledger, runs: FakeRuns) -> None:
    with pytest.raises(LedgerError, match="no study 'digits'"):
        opened(ledger, runs)


def test_the_answer_is_put_on_the_parent_run_once(
        ledger: Ledger, study: StudyRecord, runs: FakeRuns, projection: Projection) -> None:
    run(ledger, study.id, 0, 1)
    summary = describe(full(), [("/tmp/report.html", None)])
    projection.publish(summary, at=BEGAN + 99)
    projection.publish(summary, at=BEGAN + 199)
    assert len(runs.parent["points"]) == len(summary.metrics) == 9
    assert (runs.parent["status"], runs.parent["end"]) == ("FINISHED", round(1000 * ended_at(1)))
    assert runs.parent["tags"]["mlflow.note.content"] == summary.description
    assert runs.parent["tags"]["system.versions.ray"] == "2.54"
    assert "tok-123456" not in str(runs.parent)
    assert runs.parent["table"][0] == "sweet_spots.json"


def test_a_changed_answer_replaces_the_one_before(
        ledger: Ledger, study: StudyRecord, runs: FakeRuns, projection: Projection) -> None:
    run(ledger, study.id, 0)
    projection.publish(Summary(metrics={"a": 1.0, "b": 1.0}), at=BEGAN + 50)
    projection.publish(Summary(metrics={"a": 2.0, "b": 1.0}), at=BEGAN + 60)
    points = runs.parent["points"]
    assert [(point.key, point.value) for point in points] == [("a", 1.0), ("b", 1.0), ("a", 2.0)]
    assert [point.timestamp for point in points] == [round(1000 * at) for at in (ended_at(0), ended_at(0), BEGAN + 60)]


def test_an_interrupted_sweep_stays_open(
        ledger: Ledger, study: StudyRecord, runs: FakeRuns, projection: Projection) -> None:
    projection.publish(Summary(state=INTERRUPTED), at=BEGAN)
    assert (runs.parent["status"], runs.parent["end"]) == ("SCHEDULED", None)


FOUND = {"robustness/error": {"pgd": [0.1, 0.5]}}


def run_diagnosed(ledger: Ledger, study: StudyRecord) -> None:
    ledger.add_trial(study.id, spec(0), BEGAN)
    ledger.append(study.id, report(0, ends=replace(end(0), findings=FOUND)), ended_at(0))


def test_what_a_trial_found_is_sent_once_after_its_metrics_and_before_its_end(
        ledger: Ledger, study: StudyRecord, runs: FakeRuns, projection: Projection) -> None:
    run_diagnosed(ledger, study)
    send_all(projection)
    assert runs.calls == ["open", "create", "write", "add_data", "put_findings", "set_status", "save_cursor"]
    assert runs.runs[KEY]["findings"] == FOUND
    run(ledger, study.id, 1)
    send_all(projection)
    assert runs.calls.count("put_findings") == 1


def test_findings_that_mlflow_did_not_take_are_sent_again(
        ledger: Ledger, study: StudyRecord, runs: FakeRuns, projection: Projection) -> None:
    run_diagnosed(ledger, study)
    runs.failing["put_findings"] = [Down()]
    with pytest.raises(Down):
        projection.step()
    send_all(projection)
    assert (runs.runs[KEY]["findings"], runs.runs[KEY]["status"]) == (FOUND, "FINISHED")


def test_findings_are_not_asked_for_while_a_trial_runs(
        ledger: Ledger, study: StudyRecord, projection: Projection, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[list[int]] = []
    monkeypatch.setattr(ledger, "findings", lambda _study, ids: asked.append(ids) or {})
    begin_trial(ledger, study, 2)
    send_all(projection)
    assert asked == [[]]

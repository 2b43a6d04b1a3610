"""What MLflow is told about a trial."""

import math
import re

import pytest

from sweeps.records import FAILED, PRUNED, TRIAL_STATES, StudyRecord
from sweeps.tracking.content import (
    STATUS,
    final_points,
    legal_key,
    legal_part,
    row_points,
    run_name,
    state_tags,
    sweep,
    system_tags,
    tags,
    trial_params,
    trial_tags,
)
from tests.sweeps.tracking.trial_reports import BEGAN, row, spec, trial
from trainable.config import TrialConfig

STUDY = StudyRecord(id=1, name="digits", identity={}, spec={}, provenance={"ray": "2.54"}, created_at=BEGAN, revision=3)


@pytest.mark.parametrize(("fields", "capacity", "name"), [
    ({"alpha": 0.4, "dropout": 0.2, "epochs": 30, "split": 2, "repeat": 0}, "width=0.5",
     "a=0.40 wd=1e-4 p=0.2 E=30 w=0.5 r=2.0"),
    ({"alpha": 0.0, "weight_decay": 0.0}, "width=0.25", "a=0.00 wd=0 p=0 E=30 w=0.25 r=0.0"),
    ({"alpha": 32.0, "weight_decay": 3.21e-3}, "depth=18, width=2", "a=32.00 wd=3.2e-3 p=0 E=30 d=18, w=2 r=0.0"),
    ({"alpha": 0.0123, "weight_decay": 0.5}, "resnet50", "a=1.2e-2 wd=5e-1 p=0 E=30 resnet50 r=0.0"),
    ({"alpha": 1.0, "dropout": 0.12345}, "", "a=1.00 wd=1e-4 p=0.123 E=30 r=0.0"),
])
def test_a_run_has_a_name_a_person_can_read(fields: dict[str, float], capacity: str, name: str) -> None:
    config = TrialConfig(**fields)  # type: ignore[arg-type]
    assert run_name(trial(config=config.to_dict(), capacity=capacity, split=config.split, repeat=config.repeat)) == name


def test_params_are_the_fields_of_the_arm_by_their_names() -> None:
    config = TrialConfig(**spec(0).config)
    assert trial_params(trial()) == {name: str(value) for name, value in config.arm().items()}


def test_tags_name_the_trial_its_place_and_its_state() -> None:
    found = trial_tags(trial()) | state_tags(trial())
    assert found == {"sweep.trial_key": spec(0).key, "sweep.stage": "measure", "sweep.arm": spec(0).arm_key,
                     "sweep.replicate": "1.0", "sweep.capacity": "width=0.5", "sweep.number": "0",
                     "sweep.origin": "ladder", "sweep.state": "FINISHED", "sweep.num_parameters": "731"}


def test_each_state_has_a_status_and_only_finished_trials_are_finished() -> None:
    assert set(STATUS) == set(TRIAL_STATES)
    assert [state for state, status in STATUS.items() if status == "FINISHED"] == ["FINISHED"]
    assert (STATUS[PRUNED], STATUS[FAILED]) == ("KILLED", "FAILED")


def test_a_failure_is_told_by_class_and_the_end_of_its_traceback() -> None:
    text = state_tags(trial(state=FAILED, failure_class="CRASHED", failure_text="x" * 9000 + "\nValueError: no"))
    assert text["sweep.failure"].startswith("CRASHED: x")
    assert text["sweep.failure"].endswith("ValueError: no")
    assert len(text["sweep.failure"]) <= 5000


def test_points_carry_the_epoch_and_the_time_it_ended() -> None:
    points = row_points([row(0, 1), row(0, 2)])
    assert len(points) == 16
    assert {(point.step, point.timestamp) for point in points} == {(1, 1_700_000_001_125), (2, 1_700_000_002_125)}


def test_final_points_stand_at_the_last_epoch_and_the_end() -> None:
    assert {(point.step, point.timestamp) for point in final_points(trial())} == {(5, 1_700_000_006_000)}


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, 1e308])
def test_no_value_is_left_out(value: float) -> None:
    found = final_points(trial(metrics={"test/loss": value}))[0].value
    assert found == value or math.isnan(value)


@pytest.mark.parametrize(("text", "key"), [
    ("width=0.25", "width_0.25"), ("a//b", "a/_/b"), ("../x", "__/x"), ("/x", "_/x"), ("é(%)", "____"), ("", "_"),
    ("val/error", "val/error"), ("x" * 300, "x" * 250), ("x" * 249 + "/y", "x" * 249),
])
def test_every_text_becomes_a_legal_key(text: str, key: str) -> None:
    assert legal_key(text) == key
    assert re.fullmatch(r"[/\w.\- ]{1,250}", key)


def test_a_part_of_a_key_holds_no_slash() -> None:
    assert legal_part("resnet/18 width=2") == "resnet_18 width_2"


def test_credentials_stay_out_of_tags_and_params() -> None:
    found = system_tags({"db_password": "hunter22", "ledger": "postgresql://me:hunter22@host/db", "token": {"a": "hunter22"}})
    assert found == {"system.ledger": "postgresql://***@host/db"}
    assert "hunter22" not in str(tags({"x": "password=hunter22"}))
    assert "hunter22" not in str(state_tags(trial(failure_class="CRASHED", failure_text="s3://a:hunter22@host")))


def test_nested_versions_get_dotted_names_and_nothing_is_written_for_none() -> None:
    assert system_tags({"versions": {"torch": "2.8"}, "commit": None}) == {"system.versions.torch": "2.8"}


def test_a_new_ledger_begins_new_runs_under_an_old_name() -> None:
    again = StudyRecord(**{**vars(STUDY), "created_at": BEGAN + 1})
    assert sweep(STUDY, None).id == sweep(StudyRecord(**{**vars(STUDY), "revision": 9}), None).id
    assert sweep(again, None).id != sweep(STUDY, None).id


def test_an_arm_s_name_stands_in_the_name_and_the_tags_of_its_runs() -> None:
    found = trial(origin="arm: mixup + dropout 0.7")
    assert run_name(found) == f"mixup + dropout 0.7: {run_name(trial())}"
    assert trial_tags(found)["sweep.arm_name"] == "mixup + dropout 0.7"
    assert "sweep.arm_name" not in trial_tags(trial())

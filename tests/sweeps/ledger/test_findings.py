"""What diagnostics found, in the ledger: there with the end of its trial or not at all, and read only when asked for."""

import pytest
import sqlalchemy as sa

from sweeps.ledger import Ledger
from sweeps.ledger import store as ledger_store
from sweeps.ledger.schema import SCHEMA_VERSION
from sweeps.records import FINISHED, RUNNING, End

AT = 2000.0
CURVE = {"epsilon_255": [0, 4], "pgd": [0.1, 0.4], "num_examples": 100}
FOUND = {"robustness/error": CURVE, "memorisation/test_error": [0.5, float("nan"), None]}
END = End(state=FINISHED, metrics={"test/error": 0.25, "robustness/pgd_error_4": 0.4}, findings=FOUND)


class Killed(BaseException):
    """The driver dies here."""


@pytest.fixture
def trial_id(ledger, study_id, make):
    return ledger.add_trial(study_id, make.spec(), AT).id


def finish(ledger, study_id, make, **changes):
    return ledger.append(study_id, make.report(**{"epochs": (1, 2), "end": END, **changes}), AT)


def test_what_a_trial_found_is_read_by_its_id_and_not_with_the_trial(ledger, study_id, trial_id, make):
    trial = finish(ledger, study_id, make)
    assert trial.metrics["robustness/pgd_error_4"] == 0.4
    assert ledger.findings(study_id) == {
        trial_id: {"robustness/error": CURVE, "memorisation/test_error": [0.5, "nan", None]}
    }
    assert ledger.findings(study_id, [trial_id]) == ledger.findings(study_id)
    assert ledger.findings(study_id, [trial_id + 1]) == ledger.findings(study_id, []) == {}
    assert not hasattr(trial, "findings")


def test_it_is_committed_with_the_final_state_or_not_at_all(ledger, study_id, trial_id, make, monkeypatch):
    def kill(point):
        if point == "append:before":
            raise Killed

    with monkeypatch.context() as patched:
        patched.setattr(ledger_store, "fail_point", kill)
        with pytest.raises(Killed):
            finish(ledger, study_id, make)
    assert ledger.trial(study_id, "key0").state == "PENDING"
    assert ledger.findings(study_id) == {}
    finish(ledger, study_id, make)
    assert ledger.trial(study_id, "key0").state == FINISHED
    assert list(ledger.findings(study_id)) == [trial_id]


def test_a_superseded_attempt_writes_none(ledger, study_id, trial_id, make):
    ledger.append(study_id, make.report(token="old", epochs=(1, 1)), AT)
    ledger.append(study_id, make.report(token="new", epochs=(1, 1), started_at=950.0), AT)
    assert finish(ledger, study_id, make, token="old") is None
    assert ledger.trial(study_id, "key0").state == RUNNING
    assert ledger.findings(study_id) == {}


def test_a_second_end_writes_none(ledger, study_id, trial_id, make):
    finish(ledger, study_id, make)
    other = End(state=FINISHED, findings={"robustness/error": {"pgd": [1.0]}})
    assert finish(ledger, study_id, make, token="b", end=other) is None
    assert ledger.findings(study_id)[trial_id]["robustness/error"] == CURVE


def test_what_concerns_the_study_stands_apart_and_is_replaced(ledger, study_id, trial_id, make):
    finish(ledger, study_id, make)
    ledger.set_findings(study_id, {"transfer": {"models": []}, "other": 1})
    ledger.set_findings(study_id, {"transfer": {"models": ["a"]}})
    assert ledger.study_findings(study_id) == {"transfer": {"models": ["a"]}, "other": 1}
    assert list(ledger.findings(study_id)) == [trial_id]


def test_studies_do_not_see_each_other(ledger, study_id, trial_id, make):
    finish(ledger, study_id, make)
    ledger.set_findings(study_id, {"transfer": 1})
    other = ledger.register_study("other", {}, {}, AT).id
    assert ledger.findings(other) == ledger.study_findings(other) == {}


class TestVersion1:
    """A ledger from before there were findings."""

    @pytest.fixture
    def old_url(self, ledger_url, ledger, study_id, make):
        ledger.add_trial(study_id, make.spec(), AT)

        def go_back(connection):
            connection.execute(sa.text("DROP TABLE sweep_findings"))
            connection.execute(sa.text("UPDATE sweep_schema SET version = 1"))

        ledger._store.begin("test", go_back)
        return ledger_url

    def version(self, ledger):
        return ledger._store.read(lambda connection: connection.scalar(sa.text("SELECT version FROM sweep_schema")))

    def test_it_is_read_as_it_is(self, old_url, study_id):
        with Ledger.open(old_url, read_only=True) as reader:
            assert [trial.key for trial in reader.trials(study_id)] == ["key0"]
            assert reader.findings(study_id) == reader.study_findings(study_id) == {}
            assert self.version(reader) == 1

    def test_it_is_brought_up_to_date_by_who_writes(self, old_url, study_id, make):
        with Ledger.open(old_url) as writer:
            assert self.version(writer) == SCHEMA_VERSION == 2
            trial = finish(writer, study_id, make)
            assert list(writer.findings(study_id)) == [trial.id]
        with Ledger.open(old_url) as again:
            assert self.version(again) == SCHEMA_VERSION
            assert list(again.findings(study_id)) == [trial.id]

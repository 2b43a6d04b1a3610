"""What the ledger promises to whoever writes and reads it, in SQLite and in PostgreSQL."""

import math
import threading

import pytest

from sweeps.ledger import Ledger
from sweeps.records import (
    ENDED,
    FAILED,
    FINISHED,
    INTERRUPTED,
    LOST,
    PENDING,
    PRUNED,
    RUNNING,
    End,
)
from trainable.errors import LedgerError, StudyChanged

AT = 2000.0


class TestStudies:
    def test_a_study_is_found_by_its_name_with_all_it_was_registered_with(self, ledger):
        made = ledger.register_study("digits", {"seed": 0, "axes": ("alpha",)}, {"trials": 4}, 5.0)
        assert ledger.study("digits") == made
        assert ledger.studies() == [made]
        assert (made.identity, made.spec, made.created_at, made.revision) == (
            {"seed": 0, "axes": ["alpha"]}, {"trials": 4}, 5.0, 0,
        )  # fmt: skip

    def test_an_unknown_study_is_none(self, ledger):
        assert ledger.study("digits") is None

    def test_registering_again_keeps_the_study_and_takes_the_new_budget(self, ledger, study_id):
        again = ledger.register_study("digits", {"seed": 0}, {"trials": 9}, 7.0)
        assert (again.id, again.spec, again.created_at) == (study_id, {"trials": 9}, 1.0)
        assert ledger.study("digits") == again

    def test_another_identity_is_refused_with_every_difference(self, ledger, study_id):
        with pytest.raises(StudyChanged) as refused:
            ledger.register_study("digits", {"seed": 1, "data": {"name": "digits"}}, {"trials": 4}, 7.0)
        assert "seed: recorded 0, now 1" in str(refused.value)
        assert "data.name: recorded not there, now digits" in str(refused.value)
        assert ledger.study("digits").identity == {"seed": 0}

    def test_provenance_gathers_what_it_is_told(self, ledger, study_id):
        ledger.set_study(study_id, data_digest="abc", state="RUNNING")
        ledger.set_study(study_id, state="DONE")
        assert ledger.study("digits").provenance == {"data_digest": "abc", "state": "DONE"}

    def test_two_drivers_may_register_a_new_study_at_once(self, ledger_url, ledger):
        def register(made: list[int]) -> None:
            with Ledger.open(ledger_url) as other:
                made.append(other.register_study("digits", {"seed": 0}, {}, 1.0).id)

        made: list[int] = []
        threads = [threading.Thread(target=register, args=(made,)) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(made) == 4
        assert len(set(made)) == 1


class TestTrials:
    def test_a_trial_added_is_pending_and_reads_back_as_it_was_specified(self, ledger, study_id, make):
        spec = make.spec(3)
        added = ledger.add_trial(study_id, spec, AT)
        assert ledger.trial(study_id, spec.key) == added
        assert (added.state, added.last_epoch, added.created_at, added.metrics) == (PENDING, 0, AT, {})
        assert {name: getattr(added, name) for name in vars(spec)} == vars(spec)

    def test_a_trial_is_added_once_however_often(self, ledger, study_id, make):
        first = ledger.add_trial(study_id, make.spec(), AT)
        assert ledger.add_trial(study_id, make.spec(), AT + 1, {"other": 1}) == first
        assert ledger.trials(study_id) == [first]

    def test_what_the_sampler_remembers_can_be_given_apart(self, ledger, study_id, make):
        added = ledger.add_trial(study_id, make.spec(), AT, {"u": 0.5})
        assert added.brain == {"u": 0.5}
        assert ledger.trial(study_id, "key0") == added

    def test_trials_come_in_the_order_they_were_added_and_by_stage(self, ledger, study_id, make):
        for number, stage in enumerate(["search", "measure", "search"]):
            ledger.add_trial(study_id, make.spec(number, stage=stage), AT)
        assert [trial.number for trial in ledger.trials(study_id)] == [0, 1, 2]
        assert [trial.number for trial in ledger.trials(study_id, "search")] == [0, 2]
        assert ledger.counts(study_id)[PENDING] == 3
        assert ledger.counts(study_id, "measure") == {
            PENDING: 1, RUNNING: 0, INTERRUPTED: 0, FINISHED: 0, PRUNED: 0, FAILED: 0,
        }  # fmt: skip

    def test_studies_do_not_see_each_other(self, ledger, study_id, make):
        other = ledger.register_study("other", {}, {}, 1.0).id
        for study, num_epochs in ((study_id, 1), (other, 3)):
            ledger.add_trial(study, make.spec(), AT)
            ledger.append(study, make.report(epochs=(1, num_epochs)), AT)
        assert len(ledger.trials(other)) == len(ledger.attempts(other)) == len(ledger.rows(other)) == 1
        assert ledger.trial(study_id, "key0").last_epoch == 1
        assert ledger.trial(other, "key0").last_epoch == 3


class TestReports:
    def test_reports_build_the_rows_and_the_end(self, ledger, study_id, make):
        ledger.add_trial(study_id, make.spec(), AT)
        running = ledger.append(study_id, make.report(epochs=(1, 3)), AT)
        assert (running.state, running.last_epoch, running.started_at, running.ended_at) == (RUNNING, 3, 900.0, None)
        ended = ledger.append(study_id, make.report(epochs=(4, 5), end=make.finish), AT + 1)
        assert ledger.trial(study_id, "key0") == ended
        assert (ended.state, ended.last_epoch, ended.ended_at, ended.num_parameters) == (FINISHED, 5, AT + 1, 1234)
        assert (ended.metrics, ended.predictions_path, ended.provenance) == ({"test/error": 0.25}, "p", {"n": 1})
        assert ledger.rows(study_id) == {ended.id: list(make.rows("key0", 1, 5))}
        (attempt,) = ledger.attempts(study_id)
        assert (attempt.number, attempt.token, attempt.state, attempt.ended_at) == (1, "a", ENDED, AT + 1)
        assert (attempt.worker, attempt.node, attempt.device) == ("host:1", "node", "cpu")

    def test_a_report_without_rows_opens_the_attempt(self, ledger, study_id, make):
        ledger.add_trial(study_id, make.spec(), AT)
        assert ledger.append(study_id, make.report(), AT).state == RUNNING
        assert len(ledger.attempts(study_id)) == 1

    def test_replayed_rows_are_ignored(self, ledger, study_id, make):
        ledger.add_trial(study_id, make.spec(), AT)
        ledger.append(study_id, make.report(epochs=(1, 4)), AT)
        trial = ledger.append(study_id, make.report(epochs=(2, 6)), AT)
        assert ledger.rows(study_id)[trial.id] == list(make.rows("key0", 1, 6))
        assert ledger.decisions(study_id) == []

    def test_replayed_rows_that_differ_are_counted_and_never_taken(self, ledger, study_id, make):
        ledger.add_trial(study_id, make.spec(), AT)
        ledger.append(study_id, make.report(epochs=(1, 4)), AT)
        trial = ledger.append(study_id, make.report(rows=make.rows("another", 3, 4)), AT)
        assert ledger.rows(study_id)[trial.id] == list(make.rows("key0", 1, 4))
        (decision,) = ledger.decisions(study_id, "contradiction")
        assert (decision.trial_id, decision.detail) == (trial.id, {"epochs": [3, 4], "attempt": 1})

    @pytest.mark.parametrize("epochs", [(2, 3), (3, 3)])
    def test_a_gap_is_an_error_and_leaves_nothing_behind(self, ledger, study_id, make, epochs):
        added = ledger.add_trial(study_id, make.spec(), AT)
        with pytest.raises(LedgerError, match=rf"key0: epoch {epochs[0]} reported where 1 was due"):
            ledger.append(study_id, make.report(epochs=epochs), AT)
        assert ledger.trial(study_id, "key0") == added
        assert ledger.attempts(study_id) == []

    def test_a_report_of_an_unknown_trial_is_an_error(self, ledger, study_id, make):
        with pytest.raises(LedgerError, match="no trial key0"):
            ledger.append(study_id, make.report(), AT)

    def test_a_worker_cannot_prune(self, ledger, study_id, make):
        ledger.add_trial(study_id, make.spec(), AT)
        with pytest.raises(LedgerError, match="FINISHED or FAILED, not 'PRUNED'"):
            ledger.append(study_id, make.report(end=End(state=PRUNED)), AT)

    def test_numbers_that_are_none_come_back_as_they_were(self, ledger, study_id, make):
        ledger.add_trial(study_id, make.spec(), AT)
        odd = {"a": math.nan, "b": math.inf, "c": -math.inf, "d": 5e-324, "e": 1.7976931348623157e308, "f": 0.1}
        row = make.rows("key0", 1, 1)[0]
        values = {**vars(row), "metrics": odd}
        report = make.report(rows=(type(row)(**values),), end=End(state=FINISHED, metrics=odd))
        trial = ledger.append(study_id, report, AT)
        for stored in (ledger.trial(study_id, "key0").metrics, ledger.rows(study_id)[trial.id][0].metrics):
            assert math.isnan(stored.pop("a"))
            assert stored == {name: value for name, value in odd.items() if name != "a"}

    def test_a_replayed_nan_is_no_contradiction(self, ledger, study_id, make):
        ledger.add_trial(study_id, make.spec(), AT)
        (row,) = make.rows("key0", 1, 1)
        report = make.report(rows=(type(row)(**{**vars(row), "metrics": {"a": math.nan}}),))
        ledger.append(study_id, report, AT)
        ledger.append(study_id, report, AT)
        assert ledger.decisions(study_id) == []

    def test_any_failure_text_is_kept(self, ledger, study_id, make):
        ledger.add_trial(study_id, make.spec(), AT)
        text = "CUDA \x00 out of memory \ud800 é" + "x" * 10_000
        end = End(state=FAILED, failure_class="OOM", failure_text=text)
        trial = ledger.append(study_id, make.report(end=end), AT)
        assert ledger.trial(study_id, "key0") == trial
        assert trial.failure_class == "OOM"
        assert trial.failure_text.startswith("CUDA \ufffd out of memory ? é")


class TestAttempts:
    def test_a_lost_attempt_is_refused_and_the_next_one_goes_on(self, ledger, study_id, make):
        ledger.add_trial(study_id, make.spec(), AT)
        ledger.append(study_id, make.report(epochs=(1, 2)), AT)
        assert ledger.close_attempt(study_id, "key0", LOST, "worker died", AT).state == INTERRUPTED
        assert ledger.append(study_id, make.report(epochs=(3, 4)), AT) is None
        trial = ledger.append(study_id, make.report(token="b", epochs=(1, 3), started_at=950.0), AT)
        assert (trial.state, trial.last_epoch, trial.started_at) == (RUNNING, 3, 900.0)
        first, second = ledger.attempts(study_id)
        assert (first.state, first.text, second.state) == (LOST, "worker died", RUNNING)
        assert ledger.decisions(study_id, "stale_report")[0].detail["why"] == "attempt 1 is LOST"

    def test_a_new_attempt_supersedes_a_running_one(self, ledger, study_id, make):
        ledger.add_trial(study_id, make.spec(), AT)
        ledger.append(study_id, make.report(epochs=(1, 2)), AT)
        ledger.append(study_id, make.report(token="b", started_at=950.0), AT)
        assert ledger.append(study_id, make.report(epochs=(3, 3)), AT) is None
        assert [attempt.state for attempt in ledger.attempts(study_id)] == [LOST, RUNNING]

    @pytest.mark.parametrize(
        ("node", "started_at", "taken"),
        [("node", 900.0, True), ("node", 899.9, False), ("far", 840.0, True), ("far", 839.9, False)],
    )
    def test_the_first_report_of_an_older_attempt_is_refused(self, ledger, study_id, make, node, started_at, taken):
        ledger.add_trial(study_id, make.spec(), AT)
        ledger.append(study_id, make.report(), AT)
        late = make.report(token="late", node=node, started_at=started_at)
        assert (ledger.append(study_id, late, AT) is not None) == taken

    def test_a_try_that_never_reported_is_counted(self, ledger, study_id, make):
        ledger.add_trial(study_id, make.spec(), AT)
        for _ in range(2):
            ledger.close_attempt(study_id, "key0", LOST, "no word", AT)
        assert [(attempt.number, attempt.state) for attempt in ledger.attempts(study_id)] == [(1, LOST), (2, LOST)]
        assert ledger.append(study_id, make.report(started_at=AT), AT).state == RUNNING

    def test_an_attempt_closes_lost_or_interrupted_only(self, ledger, study_id, make):
        ledger.add_trial(study_id, make.spec(), AT)
        with pytest.raises(LedgerError, match="LOST or INTERRUPTED, not 'FAILED'"):
            ledger.close_attempt(study_id, "key0", FAILED, "", AT)

    def test_what_a_dead_driver_left_running_is_interrupted(self, ledger, study_id, make):
        for number in range(3):
            ledger.add_trial(study_id, make.spec(number), AT)
        ledger.append(study_id, make.report("key0", "a", (1, 2)), AT)
        ledger.append(study_id, make.report("key1", "b", (1, 2), end=make.finish), AT)
        assert [trial.key for trial in ledger.interrupt_running(study_id, AT)] == ["key0"]
        assert [trial.state for trial in ledger.trials(study_id)] == [INTERRUPTED, FINISHED, PENDING]
        assert ledger.interrupt_running(study_id, AT) == []


class TestEnds:
    def test_a_pruned_trial_is_ended_by_the_driver_with_the_reason(self, ledger, study_id, make):
        ledger.add_trial(study_id, make.spec(), AT)
        ledger.append(study_id, make.report(epochs=(1, 4)), AT)
        trial = ledger.end_trial(study_id, "key0", End(state=PRUNED), AT + 1, {"rung": 4, "value": math.nan})
        assert (trial.state, trial.last_epoch, trial.ended_at) == (PRUNED, 4, AT + 1)
        assert ledger.trial(study_id, "key0") == trial
        assert ledger.attempts(study_id)[0].state == ENDED
        (decision,) = ledger.decisions(study_id)
        assert (decision.kind, decision.detail) == ("prune", {"rung": 4, "value": "nan"})

    @pytest.mark.parametrize("end", [End(state=FINISHED), End(state=FAILED, failure_class="OOM"), End(state=PRUNED)])
    def test_nothing_changes_a_trial_that_has_ended(self, ledger, study_id, make, end):
        ledger.add_trial(study_id, make.spec(), AT)
        ledger.append(study_id, make.report(epochs=(1, 2)), AT)
        before = ledger.end_trial(study_id, "key0", end, AT)
        for late in (make.report(epochs=(3, 4)), make.report(token="b", epochs=(3, 3), end=make.finish)):
            assert ledger.append(study_id, late, AT) is None
        assert ledger.close_attempt(study_id, "key0", LOST, "", AT) == before
        assert ledger.end_trial(study_id, "key0", End(state=FAILED, failure_class="LOST"), AT + 5) == before
        assert ledger.trial(study_id, "key0") == before
        assert ledger.rows(study_id)[before.id] == list(make.rows("key0", 1, 2))
        assert len(ledger.decisions(study_id, "stale_report")) == 2

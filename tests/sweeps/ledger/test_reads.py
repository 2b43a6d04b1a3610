"""What readers of the ledger see: every change once, in order, beside a driver that writes."""

import pytest

from sweeps.ledger import Ledger
from trainable.errors import LedgerError

AT = 2000.0


class TestChanges:
    def test_each_change_has_its_own_revision_and_is_seen_once_in_order(self, ledger, study_id, make):
        for number in range(4):
            ledger.add_trial(study_id, make.spec(number), AT)
        cursor = ledger.head_revision(study_id)
        for number in (2, 0, 2):
            ledger.append(study_id, make.report(f"key{number}", epochs=(1, 1)), AT)
        changed = ledger.changed_since(study_id, cursor)
        assert [trial.key for trial in changed] == ["key0", "key2"]
        assert changed[-1].revision == ledger.head_revision(study_id)
        assert ledger.changed_since(study_id, changed[-1].revision) == []

    def test_changes_are_counted_without_those_that_still_wait_for_a_first_report(self, ledger, study_id, make):
        for number in range(4):
            ledger.add_trial(study_id, make.spec(number), AT)
        assert ledger.num_changed(study_id, 0) == 0
        ledger.close_attempt(study_id, "key0", "INTERRUPTED", "ended before it reported", AT)
        assert ledger.num_changed(study_id, 0) == 0
        ledger.append(study_id, make.report("key1", epochs=(1, 1)), AT)
        ledger.close_attempt(study_id, "key1", "INTERRUPTED", "stopped", AT)
        cursor = ledger.head_revision(study_id)
        ledger.append(study_id, make.report("key2", epochs=(1, 1), end=make.finish), AT)
        assert (ledger.num_changed(study_id, 0), ledger.num_changed(study_id, cursor)) == (2, 1)

    def test_a_reader_in_small_steps_misses_nothing(self, ledger, study_id, make):
        for number in range(5):
            ledger.add_trial(study_id, make.spec(number), AT)
        for number in (3, 1, 4, 0, 2):
            ledger.append(study_id, make.report(f"key{number}"), AT)
        seen, cursor = [], 0
        while changed := ledger.changed_since(study_id, cursor, limit=2):
            seen += [trial.number for trial in changed]
            cursor = changed[-1].revision
        assert seen == [3, 1, 4, 0, 2]

    def test_rows_after_gives_each_trials_news(self, ledger, study_id, make):
        ids = [ledger.add_trial(study_id, make.spec(number), AT).id for number in range(3)]
        for number, last in enumerate([3, 5]):
            ledger.append(study_id, make.report(f"key{number}", epochs=(1, last)), AT)
        assert ledger.rows_after({ids[0]: 0, ids[1]: 3, ids[2]: 0}) == {
            ids[0]: list(make.rows("key0", 1, 3)),
            ids[1]: list(make.rows("key1", 4, 5)),
        }
        assert ledger.rows_after({ids[0]: 3}) == ledger.rows_after({}) == {}

    def test_decisions_may_concern_the_study(self, ledger, study_id):
        ledger.decide(study_id, None, "stopped", AT, {"signal": 15})
        (decision,) = ledger.decisions(study_id)
        assert (decision.trial_id, decision.kind, decision.at, decision.detail) == (None, "stopped", AT, {"signal": 15})

    def test_a_study_that_is_not_there_is_an_error(self, ledger, make):
        for call in (lambda: ledger.head_revision(7), lambda: ledger.add_trial(7, make.spec(), AT)):
            with pytest.raises(LedgerError, match="no study 7"):
                call()


class TestReaders:
    def test_a_reader_sees_each_commit_and_cannot_write(self, ledger_url, ledger, study_id, make):
        with Ledger.open(ledger_url, read_only=True) as reader:
            assert reader.trials(study_id) == []
            added = ledger.add_trial(study_id, make.spec(), AT)
            assert reader.trials(study_id) == [added]
            with pytest.raises(LedgerError, match="reading only"):
                reader.add_trial(study_id, make.spec(1), AT)

    def test_a_reader_makes_no_ledger(self, ledger_url):
        with pytest.raises(LedgerError, match="there is no"):
            Ledger.open(ledger_url, read_only=True)

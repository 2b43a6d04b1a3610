"""How the ledger reaches its database: addresses, other versions, lost answers, passwords."""

import sqlite3

import pytest
import sqlalchemy as sa

from sweeps.ledger import Ledger
from sweeps.ledger import store as ledger_store
from sweeps.ledger.schema import EARLIER_VERSIONS, SCHEMA_VERSION
from sweeps.ledger.store import parse_url
from trainable.errors import LedgerError

AT = 2000.0
SECRET = "hunter2/x"


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("runs/ledger.db", "sqlite:///runs/ledger.db"),
        ("/runs/ledger.db", "sqlite:////runs/ledger.db"),
        ("sqlite:///runs/ledger.db", "sqlite:///runs/ledger.db"),
        ("postgresql://u@h/d", "postgresql+psycopg://u@h/d"),
        ("postgres://u@h:5/d", "postgresql+psycopg://u@h:5/d"),
        ("postgresql+psycopg://h/d", "postgresql+psycopg://h/d"),
    ],
)
def test_an_address_is_a_path_or_a_url(url, expected):
    assert str(parse_url(url)) == expected


@pytest.mark.parametrize(
    ("url", "text"),
    [
        (f"mysql://u:{SECRET}@h/d", "mysql://...: allowed are"),
        (f"postgresql://u:{SECRET}@h:port/d", "postgresql://...: this address cannot be read"),
        (f"postgresql+asyncpg://u:{SECRET}@h/d", "..."),
        ("sqlite://", "would not outlive"),
        ("sqlite:///:memory:", "would not outlive"),
        ("://", "cannot be read"),
    ],
)
def test_an_unusable_address_is_refused_without_its_password(url, text):
    with pytest.raises(LedgerError) as refused:
        parse_url(url)
    assert text in str(refused.value)
    assert "hunter2" not in str(refused.value)


class TestVersions:
    @pytest.mark.parametrize("version", [SCHEMA_VERSION + 1, min(EARLIER_VERSIONS) - 1])
    def test_another_schema_version_is_refused_untouched(self, ledger_url, ledger, version):
        def change(connection):
            connection.execute(sa.text(f"UPDATE sweep_schema SET version = {version}"))

        ledger._store.begin("test", change)
        for read_only in (False, True):
            with pytest.raises(LedgerError, match=f"version {version}, this program knows version {SCHEMA_VERSION}"):
                Ledger.open(ledger_url, read_only=read_only)


class TestLostAnswers:
    """The commit arrived but its answer did not: the transaction is tried again, and must change nothing."""

    @pytest.fixture
    def lose_answers(self, monkeypatch, ledger):
        """Makes the first answer to each following commit vanish. The list counts them."""
        lost: list[str] = []

        def lose(point: str) -> None:
            if point.endswith(":after") and lost[-1:] != [point]:
                lost.append(point)
                orig = sqlite3.OperationalError("the answer was lost")
                orig.sqlite_errorcode = sqlite3.SQLITE_BUSY
                raise sa.exc.OperationalError(None, None, orig)
            if point.endswith(":after"):
                lost.append("answered")

        def arm() -> list[str]:
            monkeypatch.setattr(ledger_store, "fail_point", lose)
            return lost

        return arm

    def test_each_write_happens_once(self, ledger, study_id, make, lose_answers):
        lost = lose_answers()
        added = ledger.add_trial(study_id, make.spec(), AT)
        first = ledger.append(study_id, make.report(epochs=(1, 2)), AT)
        closed = ledger.close_attempt(study_id, "key0", "LOST", "x", AT)
        ledger.decide(study_id, "key0", "retry", AT, {})
        ended = ledger.append(
            study_id, make.report(token="b", epochs=(1, 3), started_at=950.0, end=make.finish), AT
        )
        assert lost.count("answered") == 5
        assert len(lost) == 10
        assert [trial.revision for trial in (added, first, closed, ended)] == [1, 2, 3, 5]
        assert ended.state == "FINISHED"
        assert ledger.trials(study_id) == [ended]
        assert [attempt.state for attempt in ledger.attempts(study_id)] == ["LOST", "ENDED"]
        assert [decision.kind for decision in ledger.decisions(study_id)] == ["retry"]

    def test_registering_and_locking_happen_once(self, ledger, lose_answers):
        lose_answers()
        study = ledger.register_study("digits", {}, {}, AT)
        ledger.acquire(study.id, "host", 1, AT)
        ledger.heartbeat(study.id, AT)
        ledger.release(study.id)
        assert ledger.studies() == [study]


def test_the_address_shown_hides_even_a_badly_quoted_password():
    pytest.importorskip("psycopg")
    store = ledger_store.Store(parse_url("postgresql://u:12/hunter2@h/d"), read_only=True, patience_seconds=0)
    assert "hunter2" not in repr(store)

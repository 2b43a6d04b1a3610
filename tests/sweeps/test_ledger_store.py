"""What the database does to the ledger: locks, damage, restarts, lost answers, other versions, passwords."""

import shutil
import sqlite3
import threading
import time
from contextlib import suppress

import pytest
import sqlalchemy as sa

from sweeps import ledger_store
from sweeps.ledger import Ledger
from sweeps.ledger_schema import SCHEMA_VERSION
from sweeps.ledger_store import PATIENCE_SECONDS, parse_url
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


class TestSqliteFiles:
    @pytest.fixture
    def path(self, tmp_path, make):
        """A ledger file of some size, closed."""
        path = tmp_path / "ledger.db"
        with Ledger.open(path) as ledger:
            study_id = ledger.register_study("digits", {}, {}, AT).id
            for number in range(20):
                ledger.add_trial(study_id, make.spec(number), AT)
                ledger.append(study_id, make.report(f"key{number}", epochs=(1, 20), end=make.finish), AT)
        return path

    def test_the_file_is_one_whole_file_after_closing(self, path):
        assert [entry.name for entry in path.parent.iterdir()] == ["ledger.db"]

    @pytest.mark.parametrize("damage", ["garbage", "truncated", "overwritten page", "foreign"])
    def test_a_damaged_file_is_named_kept_and_left_alone(self, path, damage):
        content = bytearray(path.read_bytes())
        if damage == "garbage":
            content = bytearray(b"this is no database" * 500)
        elif damage == "truncated":
            del content[len(content) // 2 :]
        elif damage == "foreign":
            content[:16] = b"SQLite format 9\x00"
        else:
            content[8192:12288] = bytes(range(256)) * 16
        path.write_bytes(content)
        for _ in range(2):
            with pytest.raises(LedgerError, match="damaged") as refused:
                Ledger.open(path)
            (copy,) = path.parent.glob("*.damaged-*")
            assert str(path) in str(refused.value)
            assert str(copy) in str(refused.value)
            assert path.read_bytes() == copy.read_bytes() == bytes(content)

    def test_damage_met_by_a_reader_is_named_too(self, path):
        content = path.read_bytes()
        path.write_bytes(content[: len(content) // 2])
        with pytest.raises(LedgerError, match="damaged"), Ledger.open(path, read_only=True) as reader:
            reader.rows(1)

    def test_a_lock_is_waited_for(self, path, make):
        blocker = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
        with Ledger.open(path, patience_seconds=30) as ledger:
            blocker.execute("BEGIN IMMEDIATE")
            threading.Timer(0.3, blocker.rollback).start()
            ledger.add_trial(1, make.spec(99), AT)
        blocker.close()

    @pytest.mark.parametrize("when", ["writing", "opening"])
    def test_a_lock_that_stays_is_an_error_that_names_the_file(self, path, make, when):
        blocker = sqlite3.connect(path, isolation_level=None)
        ledger = Ledger.open(path, patience_seconds=0.2)
        blocker.execute("BEGIN IMMEDIATE")
        with pytest.raises(LedgerError) as refused:
            ledger.add_trial(1, make.spec(99), AT) if when == "writing" else Ledger.open(path, patience_seconds=0.2)
        assert str(refused.value) == f"ledger {path}: another process has kept the file locked for 0.2 s"
        blocker.rollback()
        blocker.close()
        assert ledger.add_trial(1, make.spec(99), AT).number == 99
        ledger.close()

    def test_ten_seconds_are_waited_for_and_a_minute_is_not(self):
        assert 10 < PATIENCE_SECONDS < 60

    def test_a_reader_is_not_stopped_by_a_writer(self, path):
        blocker = sqlite3.connect(path, isolation_level=None)
        with Ledger.open(path, read_only=True, patience_seconds=0.2) as reader:
            blocker.execute("BEGIN IMMEDIATE")
            assert len(reader.trials(1)) == 20
        blocker.rollback()
        blocker.close()

    def test_places_where_no_file_can_be(self, tmp_path):
        (tmp_path / "file").write_text("")
        for place, text in [(tmp_path, "directory"), (tmp_path / "file" / "ledger.db", "cannot be made")]:
            with pytest.raises(LedgerError, match=text) as refused:
                Ledger.open(place)
            assert str(place) in str(refused.value)

    def test_directories_are_made_and_an_empty_file_becomes_a_ledger(self, tmp_path):
        path = tmp_path / "a" / "b" / "ledger.db"
        path.parent.mkdir(parents=True)
        path.touch()
        Ledger.open(path).close()
        Ledger.open(tmp_path / "c" / "d" / "ledger.db").close()

    def test_writing_does_not_wait_for_the_disk_but_keeps_order(self, path):
        with Ledger.open(path) as ledger:
            read = ledger._store.read
            assert read(lambda connection: connection.exec_driver_sql("PRAGMA journal_mode").scalar()) == "wal"
            assert read(lambda connection: connection.exec_driver_sql("PRAGMA synchronous").scalar()) == 1

    def test_a_full_disk_is_waited_for_then_named(self, path, make):
        with Ledger.open(path, patience_seconds=0.2) as ledger:
            # SQLite takes a limit below the size the file has for that size: from here on there is no more room.
            ledger._store.read(lambda connection: connection.exec_driver_sql("PRAGMA max_page_count = 1").all())
            with pytest.raises(LedgerError, match="full") as refused:
                ledger.add_trial(1, make.spec(99, config={"x": "y" * 50_000}), AT)
            assert str(path) in str(refused.value)


class TestVersions:
    @pytest.mark.parametrize("version", [SCHEMA_VERSION + 1, SCHEMA_VERSION - 1])
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


@pytest.mark.postgres
class TestPostgresServer:
    @pytest.fixture
    def url(self, postgres):
        return postgres.new_space()

    @pytest.fixture
    def study(self, url, make):
        with Ledger.open(url, patience_seconds=30) as ledger:
            study_id = ledger.register_study("digits", {}, {}, AT).id
            ledger.add_trial(study_id, make.spec(), AT)
            yield ledger, study_id

    @pytest.mark.parametrize("mode", ["immediate", "fast"])
    @pytest.mark.parametrize("moment", ["append:before", "append:after", "idle"])
    def test_a_restart_loses_nothing(self, postgres, study, make, monkeypatch, mode, moment):
        ledger, study_id = study
        restarts: list[str] = []

        def restart(point: str) -> None:
            if point == moment and not restarts:
                restarts.append(point)
                postgres.stop(mode)
                postgres.start()

        monkeypatch.setattr(ledger_store, "fail_point", restart)
        for first in (1, 4, 7):
            if moment == "idle":
                restarts.clear()
                restart("idle")
            trial = ledger.append(study_id, make.report(epochs=(first, first + 2)), AT)
        assert restarts
        assert (trial.last_epoch, trial.revision) == (9, 4)
        assert ledger.rows(study_id)[trial.id] == list(make.rows("key0", 1, 9))
        assert ledger.decisions(study_id) == []

    def test_a_server_that_is_away_for_a_while_is_waited_for(self, postgres, study, make):
        ledger, study_id = study
        postgres.stop("immediate")
        starter = threading.Timer(1.0, postgres.start)
        starter.start()
        assert ledger.append(study_id, make.report(epochs=(1, 2)), AT).last_epoch == 2
        starter.join()

    def test_a_server_that_stays_away_is_named_without_the_password(self, postgres, url):
        ledger = Ledger.open(url, patience_seconds=0.2)
        postgres.stop("fast")
        try:
            with pytest.raises(LedgerError, match=f"127.0.0.1:{postgres.port}") as refused:
                ledger.studies()
            assert "s3cret" not in str(refused.value) + repr(ledger) + repr(ledger._store)
            assert refused.value.__cause__ is None
        finally:
            postgres.start()
            ledger.close()

    def test_terminated_connections_are_replaced(self, postgres, study, make):
        ledger, study_id = study
        for epoch in (1, 2):
            postgres.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid()")
            assert ledger.append(study_id, make.report(epochs=(epoch, epoch)), AT).last_epoch == epoch

    def test_exhausted_connections_are_waited_for(self, postgres, study, make):
        import psycopg

        ledger, study_id = study
        ledger._store._engine.dispose()
        hogs = []
        with suppress(psycopg.OperationalError):
            while True:
                hogs.append(psycopg.connect(postgres.url()))
        release = threading.Timer(0.5, lambda: [hog.close() for hog in hogs])
        release.start()
        assert ledger.append(study_id, make.report(epochs=(1, 1)), AT).last_epoch == 1
        release.join()

    def test_another_sessions_lock_is_waited_for_then_named(self, postgres, url, study, make):
        import psycopg

        _, study_id = study
        with psycopg.connect(url) as blocker, Ledger.open(url, patience_seconds=0.2) as impatient:
            blocker.execute("SELECT * FROM sweep_heads FOR UPDATE")
            with pytest.raises(LedgerError, match="lock timeout"):
                impatient.append(study_id, make.report(epochs=(1, 1)), AT)
            blocker.rollback()
            assert impatient.append(study_id, make.report(epochs=(1, 1)), AT).last_epoch == 1

    def test_connections_give_up_on_a_silent_network_and_on_a_suspended_driver(self, study):
        ledger, _ = study

        def show(setting: str) -> str:
            return ledger._store.read(lambda connection: connection.execute(sa.text(f"SHOW {setting}")).scalar())

        assert show("idle_in_transaction_session_timeout") == "30s"
        assert show("lock_timeout") == "1s"
        parameters = ledger._store.read(lambda connection: connection.connection.driver_connection.info.get_parameters())
        assert {parameters[name] for name in ("connect_timeout", "keepalives_idle")} == {"10"}
        assert parameters["tcp_user_timeout"] == "30000"

    @pytest.mark.parametrize(
        ("change", "text"),
        [
            (("s3cret%2Fpass", "wrongpass"), "password authentication failed"),
            (("/postgres", "/missing"), "does not exist"),
            (("127.0.0.1", "no-such-host.invalid"), "no-such-host"),
        ],
    )
    def test_a_wrong_address_says_what_is_wrong_but_not_the_password(self, postgres, change, text):
        with pytest.raises(LedgerError, match=text) as refused:
            Ledger.open(postgres.url().replace(*change), patience_seconds=0.2)
        assert "s3cret" not in str(refused.value)
        assert "wrongpass" not in str(refused.value)

    def test_a_password_given_as_a_parameter_is_hidden_too(self, postgres, url):
        with Ledger.open(url.replace("sweeper:s3cret%2Fpass@", "") + "&user=sweeper&password=s3cret%2Fpass") as ledger:
            assert "s3cret" not in repr(ledger)
            assert ledger.studies() == []

    def test_two_writers_see_each_others_revisions_in_order(self, url, study, make):
        ledger, study_id = study
        with Ledger.open(url) as other:

            def add(writer: Ledger, start: int) -> None:
                for number in range(start, start + 20):
                    writer.add_trial(study_id, make.spec(number), AT)

            threads = [threading.Thread(target=add, args=pair) for pair in ((ledger, 100), (other, 200))]
            for thread in threads:
                thread.start()
            seen, cursor = [], 0
            deadline = time.monotonic() + 60
            while len(seen) < 41 and time.monotonic() < deadline:
                changed = ledger.changed_since(study_id, cursor)
                seen += [trial.revision for trial in changed]
                cursor = seen[-1]
            for thread in threads:
                thread.join()
        assert seen == list(range(1, 42))


def test_the_address_shown_hides_even_a_badly_quoted_password(tmp_path):
    pytest.importorskip("psycopg")
    store = ledger_store.Store(parse_url("postgresql://u:12/hunter2@h/d"), read_only=True, patience_seconds=0)
    assert "hunter2" not in repr(store)
    shutil.rmtree(tmp_path)

"""A ledger on a PostgreSQL server that restarts, goes away, refuses, or is shared."""

import threading
import time
from contextlib import suppress

import pytest
import sqlalchemy as sa

from sweeps.ledger import Ledger
from sweeps.ledger import store as ledger_store
from sweeps.ledger.postgres import obstacle
from trainable.errors import LedgerError

AT = 2000.0


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
        ("change", "text", "patience_seconds"),
        [
            (("s3cret%2Fpass", "wrongpass"), "password authentication failed", 3600),
            (("/postgres", "/missing"), "does not exist", 3600),
            (("127.0.0.1", "no-such-host.invalid"), "no-such-host", 0.2),
        ],
    )
    def test_a_wrong_address_says_what_is_wrong_but_not_the_password(self, postgres, change, text, patience_seconds):
        with pytest.raises(LedgerError, match=text) as refused:
            Ledger.open(postgres.url().replace(*change), patience_seconds=patience_seconds)
        assert "s3cret" not in str(refused.value)
        assert "wrongpass" not in str(refused.value)

    @pytest.mark.parametrize(
        ("change", "text", "refused"),
        [
            (("s3cret%2Fpass", "wrongpass"), "password authentication failed", True),
            (("/postgres", "/missing"), "does not exist", True),
            (("127.0.0.1:", "127.0.0.1:1"), "", False),
            (("postgresql://", "nonsense://"), "cannot be read", True),
            (("postgresql://", "postgresql+psycopg2://"), "psycopg2", True),
        ],
    )
    def test_an_obstacle_is_told_at_once_with_whether_waiting_helps(self, postgres, change, text, refused):
        cause, is_refused = obstacle(postgres.url().replace(*change), 5)
        assert text in cause
        assert is_refused is refused
        assert "wrongpass" not in cause
        assert obstacle(postgres.url().replace("postgresql://", "postgresql+psycopg://"), 5) is None

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

"""A whole run whose PostgreSQL, under the ledger and under the MLflow server, restarts, drops connections and runs out of them."""

import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from tests.chaos.watched_run import WatchedRun, assert_whole, until
from tests.sweeps.conftest import PASSWORD, PostgresServer, running_postgres
from tests.sweeps.tracking.test_server import Server

pytestmark = [pytest.mark.chaos, pytest.mark.postgres, pytest.mark.timeout(900)]
INFRASTRUCTURE = 4
EXHAUSTED_SECONDS = 5.0

postgres = pytest.fixture(scope="module")(running_postgres)


@pytest.fixture
def server(postgres: PostgresServer, tmp_path: Path) -> Iterator[Server]:
    """MLflow on a database of its own in the same PostgreSQL."""
    postgres.execute("CREATE DATABASE mlflow")
    made = Server(tmp_path, store=postgres.url("mlflow").replace("postgresql:", "postgresql+psycopg:"))
    yield made
    made.kill()


def terminate_all(postgres: PostgresServer) -> None:
    """Every connection but this one."""
    postgres.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid()")


def exhaust(postgres: PostgresServer, seconds: float) -> None:
    """Take every connection there is, those of the others too, for so long."""
    import psycopg
    hogs = []
    deadline = time.monotonic() + seconds
    terminate_all(postgres)
    while time.monotonic() < deadline:
        with suppress(psycopg.OperationalError):
            while True:
                hogs.append(psycopg.connect(postgres.url()))
        time.sleep(0.05)
    for hog in hogs:
        hog.close()


def test_a_run_loses_nothing_to_restarts_lost_connections_and_none_left(
        postgres: PostgresServer, server: Server, tmp_path: Path) -> None:
    given = {"SWEEP_LEDGER": postgres.new_space(), "MLFLOW_TRACKING_URI": server.uri}

    def go_on(run: WatchedRun) -> None:
        run.wait_for_trials(len(run.ended()) + 2)

    with WatchedRun(tmp_path / "home", splits=16, is_slow=True, **given) as run:
        go_on(run)
        for mode in ("immediate", "fast"):
            postgres.stop(mode)
            postgres.start()
            go_on(run)
        for _ in range(3):
            terminate_all(postgres)
            go_on(run)
        exhaust(postgres, EXHAUSTED_SECONDS)
        go_on(run)
        assert len(run.ended()) < run.num_planned, "all of it during the run"
        run.hurry()
        assert run.end() == 0, run.text
    assert_whole(run.home, run.num_planned, server.uri)
    assert PASSWORD not in run.text


def test_a_ledger_whose_server_stays_away_ends_the_run_resumably(postgres: PostgresServer, tmp_path: Path) -> None:
    given = {"SWEEP_LEDGER": postgres.new_space()}
    with WatchedRun(tmp_path, splits=2, is_slow=True, patience_seconds=3.0, **given) as run:
        run.wait_for_trials(2)
        postgres.stop("fast")
        try:
            assert run.end() == INFRASTRUCTURE, run.text
        finally:
            postgres.start()
        ended = run.ended()
    assert f"error: ledger postgresql+psycopg://***@127.0.0.1:{postgres.port}" in run.text
    assert PASSWORD not in run.text
    assert "Traceback" not in run.text
    run.hurry()
    with WatchedRun(tmp_path, splits=2, **given) as run:
        assert run.end() == 0, run.text
        assert_whole(run.home, run.num_planned, f"sqlite:///{tmp_path / 'mlflow.db'}")
        assert {key: run.ended()[key].ended_at for key in ended} == {key: trial.ended_at for key, trial in ended.items()}


def test_a_wrong_password_of_the_ledger_is_told_before_the_run_begins(postgres: PostgresServer, tmp_path: Path) -> None:
    with WatchedRun(tmp_path, "--ledger", postgres.url(password="wrong-one")) as run:
        until(lambda: run.process.poll() is not None, "the run ends", 60.0)
        assert run.end() == INFRASTRUCTURE
    assert 'password authentication failed for user "sweeper"' in run.text
    assert "wrong-one" not in run.text

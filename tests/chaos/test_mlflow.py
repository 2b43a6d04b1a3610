"""A whole run whose MLflow fails in every way it can, while trials go on; and what one says that cannot use MLflow at all."""

import shutil
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.chaos.watched_run import WatchedRun, assert_whole, until
from tests.sweeps.tracking.answering_server import answering, closed_address
from tests.sweeps.tracking.flaky_proxy import FlakyProxy
from tests.sweeps.tracking.test_server import Server

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(900)]
INFRASTRUCTURE = 4
SECRET = "hunter22"


@pytest.fixture(scope="module")
def migrated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An MLflow database without runs: its migrations take seconds, a copy of it takes none."""
    from mlflow import MlflowClient
    path = tmp_path_factory.mktemp("mlflow") / "template.db"
    MlflowClient(f"sqlite:///{path}").search_experiments()
    return path


@pytest.fixture
def server(tmp_path: Path, migrated: Path) -> Iterator[Server]:
    (tmp_path / "server").mkdir()
    shutil.copy(migrated, tmp_path / "server" / "server.db")
    made = Server(tmp_path / "server")
    yield made
    made.kill()


def num_trial_runs(store: str) -> int:
    """How many trials MLflow shows as finished, read from its own database."""
    with sqlite3.connect(store.removeprefix("sqlite:///")) as database:
        found = database.execute("select count(*) from runs r join tags t on t.run_uuid = r.run_uuid "
                                 "where t.key = 'sweep.trial_key' and r.status = 'FINISHED'").fetchone()
    return int(found[0])


def test_a_run_meets_every_kind_of_outage_and_mlflow_has_every_row_in_the_end(tmp_path: Path, server: Server) -> None:
    proxy = FlakyProxy(server.port)
    proxy.retry_after = 2
    given = {"MLFLOW_TRACKING_URI": proxy.uri, "MLFLOW_HTTP_REQUEST_TIMEOUT": "4", "MLFLOW_TRACKING_USERNAME": "me",
             "MLFLOW_TRACKING_PASSWORD": SECRET}
    with WatchedRun(tmp_path / "home", splits=16, is_slow=True, **given) as run:
        until(lambda: num_trial_runs(server.store) >= 1, "MLflow shows a trial")
        proxy.lose("runs/create")
        until(lambda: proxy.num_lost, "the answer to a create is lost")
        for mode in ("delay", "reset", "busy", "swallow", "cut", "refuse"):
            ended, proxy.mode = len(run.ended()), mode
            until(lambda: proxy.num_met[mode] >= 2, f"two requests meet {mode}")  # noqa: B023
            run.wait_for_trials(ended + 1)
            proxy.mode, passed = "pass", proxy.num_met["pass"]
            until(lambda: proxy.num_met["pass"] > passed + 3, f"MLflow is written after {mode}")  # noqa: B023
        server.kill()
        run.wait_for_word("behind", len(run.lines))
        proxy.mode = "deny"
        server.start()
        run.wait_for_word("refuses the credentials; set MLFLOW_TRACKING_USERNAME")
        run.wait_for_trials(len(run.ended()) + 1)
        assert len(run.ended()) < run.num_planned, "all of it during the run"
        proxy.mode = "pass"
        run.hurry()
        assert run.end() == 0, run.text
    assert_whole(run.home, run.num_planned, server.store)
    assert "lacks something" not in run.text
    assert run.text.count("refuses the credentials") == 1
    assert SECRET not in run.text
    proxy.close()


def test_a_run_may_begin_without_mlflow_if_told_so_and_catches_up(tmp_path: Path, server: Server) -> None:
    server.kill()
    home = tmp_path / "home"
    with WatchedRun(home, splits=2, MLFLOW_TRACKING_URI=server.uri) as run:
        assert run.end() == INFRASTRUCTURE
        assert f"MLflow at {server.uri} does not answer" in run.text
        assert not (home / "ledger.db").exists(), "nothing was begun"
    with WatchedRun(home, "--tracker", "defer", splits=2, is_slow=True, MLFLOW_TRACKING_URI=server.uri) as run:
        run.wait_for_word("is it running?")
        run.wait_for_trials(2)
        server.start()
        run.hurry()
        assert run.end() == 0, run.text
    assert_whole(run.home, run.num_planned, server.store)
    assert run.text.count("is it running?") == 1


@pytest.mark.parametrize(("status", "body", "setting"), [
    (401, f"who are you, {SECRET}", "set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD"),
    (403, "Invalid Host header - possible DNS rebinding attack detected", "--allowed-hosts"),
    (503, "later", "is not well")])
def test_a_server_that_refuses_us_ends_the_run_before_it_begins(tmp_path: Path, status: int, body: str, setting: str) -> None:
    with answering(status, body) as uri:
        given = {"MLFLOW_TRACKING_URI": uri.replace("http://", f"http://me:{SECRET}@"), "MLFLOW_TRACKING_PASSWORD": SECRET}
        with WatchedRun(tmp_path, MLFLOW_TRACKING_USERNAME="me", **given) as run:
            assert run.end() == INFRASTRUCTURE
    assert setting in run.text
    assert SECRET not in run.text
    assert "Traceback" not in run.text
    assert not (tmp_path / "ledger.db").exists()


def test_a_database_address_that_is_wrong_ends_the_run_before_it_begins(tmp_path: Path) -> None:
    port = closed_address().rpartition(":")[2]
    with WatchedRun(tmp_path, MLFLOW_TRACKING_URI=f"postgresql://me:{SECRET}@127.0.0.1:{port}/mlflow") as run:
        assert run.end() == INFRASTRUCTURE
    assert "--tracking-uri or MLFLOW_TRACKING_URI" in run.text
    assert SECRET not in run.text


def test_what_a_person_deletes_or_renames_during_a_run_comes_back_with_one_warning_each(tmp_path: Path, migrated: Path) -> None:
    from mlflow import MlflowClient
    home = tmp_path / "home"
    home.mkdir()
    shutil.copy(migrated, home / "mlflow.db")
    store = f"sqlite:///{home / 'mlflow.db'}"
    client = MlflowClient(store)
    with WatchedRun(home, splits=8, is_slow=True) as run:
        until(lambda: num_trial_runs(store) >= 3, "MLflow shows trials")
        experiment = client.get_experiment_by_name("smoke").experiment_id
        first, second, parent = _runs(client, experiment)
        client.delete_run(first)
        client._tracking_client.store._hard_delete_run(second)
        client.delete_run(parent)
        num_shown = num_trial_runs(store)
        until(lambda: num_trial_runs(store) > num_shown + 1, "MLflow shows more trials")
        client.delete_experiment(experiment)
        run.wait_for_word("was deleted in MLflow while the sweep went on")
        until(lambda: client.get_experiment(experiment).lifecycle_stage == "active", "the experiment is back")
        client.rename_experiment(experiment, "my own name")
        assert len(run.ended()) < run.num_planned, "all of it during the run"
        run.hurry()
        assert run.end() == 0, run.text
    client.rename_experiment(experiment, "smoke")
    assert_whole(run.home, run.num_planned, store)
    for warning in ("runs of this sweep were deleted", "was deleted in MLflow while", "is called 'my own name' in MLflow now"):
        assert run.text.count(warning) == 1, run.text


def _runs(client: Any, experiment: str) -> tuple[str, str, str]:
    """Two runs of trials that have ended, and the parent run."""
    found = client.search_runs([experiment], max_results=1000)
    children = [run.info.run_id for run in found if run.info.status == "FINISHED" and "sweep.trial_key" in run.data.tags]
    (parent,) = [run.info.run_id for run in found if "sweep.trial_key" not in run.data.tags]
    return children[0], children[1], parent

"""A real MLflow server that is killed, slow, silent, busy, or loses an answer, while trials go on."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from sweeps.home import Home
from sweeps.ledger import Ledger
from sweeps.records import StudyRecord
from sweeps.tracking import Tracker, check, environment, experiment_url, sync
from tests.sweeps.fake_results import full
from tests.sweeps.tracking.flaky_proxy import FlakyProxy
from tests.sweeps.tracking.stored_runs import trial_runs
from tests.sweeps.tracking.test_audit import send
from tests.sweeps.tracking.test_tracking import until
from tests.sweeps.tracking.trial_reports import BEGAN, EPOCHS, METRICS, begin, end, ended_at, report, row, run, spec
from trainable.errors import InfrastructureError

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]
READY_SECONDS = 240.0


class Server:
    """`mlflow server` on a SQLite file, or on `store`, which can be killed and started again on the same port."""

    def __init__(self, folder: Path, *options: str, store: str | None = None) -> None:
        self.folder, self._options = folder, options
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.uri, self.store = f"http://127.0.0.1:{self.port}", store or f"sqlite:///{folder / 'server.db'}"
        self.start()

    def start(self) -> None:
        command = [sys.executable, "-m", "mlflow", "server", "--backend-store-uri", self.store, "--host", "127.0.0.1",
                   "--port", str(self.port), "--workers", "1", "--artifacts-destination", str(self.folder / "art"),
                   *self._options]
        with (self.folder / "server.log").open("ab") as log:
            self._process = subprocess.Popen(command, env=environment(), stdout=log, stderr=log, start_new_session=True)
        deadline = time.monotonic() + READY_SECONDS
        while True:
            try:
                urllib.request.urlopen(f"{self.uri}/health", timeout=2).close()
                return
            except OSError as error:
                assert time.monotonic() < deadline, (self.folder / "server.log").read_text()[-3000:]
                if getattr(error, "code", None):  # it answers, if not as we like
                    return
                time.sleep(0.2)

    def kill(self) -> None:
        if self._process.poll() is None:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()


    def is_alive(self) -> bool:
        return self._process.poll() is None


@pytest.fixture(scope="module")
def one_server(tmp_path_factory: pytest.TempPathFactory, migrated: Path) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("server")
    shutil.copy(migrated, folder / "server.db")
    made = Server(folder)
    yield made
    made.kill()


@pytest.fixture
def server(one_server: Server) -> Server:
    """A server that takes seconds to start, so the tests share it; each has a study of its own."""
    if not one_server.is_alive():
        one_server.start()
    return one_server


@pytest.fixture
def study(ledger: Ledger, request: pytest.FixtureRequest) -> StudyRecord:
    return begin(ledger, request.node.name)


@pytest.fixture
def proxy(server: Server) -> Iterator[FlakyProxy]:
    made = FlakyProxy(server.port)
    yield made
    made.close()


@pytest.fixture
def tracker(ledger: Ledger, study: StudyRecord, ledger_path: str, proxy: FlakyProxy,
            monkeypatch: pytest.MonkeyPatch) -> Iterator[Tracker]:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "4")
    made = Tracker(ledger_path, proxy.uri, study.name, poll_seconds=0.1)
    made.start()
    yield made
    made.close()


def assert_whole(store: str, study: str, *numbers: int) -> None:
    """Each of these trials has one finished run, with exactly the ledger's rows at their original times."""
    found = trial_runs(store, study)
    assert sorted(found) == sorted(["", *(spec(number).key for number in numbers)])
    assert {len(runs) for runs in found.values()} == {1}
    for number in numbers:
        (made,) = found[spec(number).key]
        rows = {(name, epoch, round(1000 * row(number, epoch).at), row(number, epoch).metrics[name])
                for epoch in range(1, EPOCHS + 1) for name in METRICS}
        final = {(name, EPOCHS, round(1000 * ended_at(number)), value) for name, value in end(number).metrics.items()}
        assert made["points"] == rows | final
        assert (made["status"], made["start"]) == ("FINISHED", round(1000 * (BEGAN + 10 * number)))


def has_begun(store: str, study: str, key: str = "") -> bool:
    return key in trial_runs(store, study)


def test_a_server_killed_in_mid_sweep_has_everything_in_the_end(
        ledger: Ledger, study: StudyRecord, ledger_path: str, server: Server, tmp_path: Path) -> None:
    (tmp_path / "report.html").write_text("<p>report")
    tracker = Tracker(ledger_path, server.uri, study.name, poll_seconds=0.1)
    tracker.start()
    ledger.add_trial(study.id, spec(0), BEGAN)
    ledger.append(study.id, report(0, 1, 2), BEGAN + 1)
    run(ledger, study.id, 1, 2)
    until(lambda: has_begun(server.store, study.name, spec(2).key))
    server.kill()
    ledger.append(study.id, report(0, 3, 5, end(0)), ended_at(0))
    run(ledger, study.id, *range(3, 12))
    until(lambda: tracker.warnings and tracker.lag() >= 10)
    assert "refuses the connection" in (tracker.last_error or "")
    server.start()
    assert tracker.finish(full(), tmp_path / "report.html", timeout=240.0)
    assert_whole(server.store, study.name, *range(12))
    assert len(tracker.warnings) == 1
    assert (tracker.last_error, tracker.lag()) == (None, 0)
    stored = {path.name for path in (server.folder / "art").rglob("*") if path.is_file()}
    assert {"report.html", "sweet_spots.json", "risk.html"} <= stored
    assert experiment_url(server.uri, study.name, server.uri).startswith(f"{server.uri}/#/experiments/")


@pytest.mark.parametrize("lost", ["experiments/create", "runs/create", "runs/log-batch", "runs/log-inputs", "runs/update"])
def test_a_lost_answer_leaves_exactly_one_of_everything(
        ledger: Ledger, study: StudyRecord, server: Server, proxy: FlakyProxy, tracker: Tracker, lost: str) -> None:
    if lost != "experiments/create":
        until(lambda: has_begun(server.store, study.name), READY_SECONDS)
    proxy.lose(lost)
    run(ledger, study.id, 0, 1, 2)
    assert tracker.finish(timeout=240.0)
    assert proxy.num_lost == 1
    assert_whole(server.store, study.name, 0, 1, 2)


@pytest.mark.parametrize("mode", ["refuse", "swallow", "cut", "busy"])
def test_a_server_that_fails_for_a_while_has_everything_in_the_end(
        ledger: Ledger, study: StudyRecord, server: Server, proxy: FlakyProxy, tracker: Tracker, mode: str) -> None:
    until(lambda: has_begun(server.store, study.name), READY_SECONDS)
    proxy.mode = mode
    run(ledger, study.id, *range(4))
    until(lambda: tracker.warnings and tracker.lag() == 4)
    proxy.mode = "pass"
    assert tracker.finish(timeout=240.0)
    assert_whole(server.store, study.name, *range(4))
    assert len(tracker.warnings) == 1


def test_a_slow_server_gets_everything_too(
        ledger: Ledger, study: StudyRecord, server: Server, proxy: FlakyProxy, tracker: Tracker) -> None:
    proxy.mode = "delay"
    run(ledger, study.id, 0, 1)
    assert tracker.finish(timeout=240.0)
    assert_whole(server.store, study.name, 0, 1)


def test_a_server_that_is_down_at_the_start_is_filled_later_and_like_the_first(
        ledger: Ledger, study: StudyRecord, ledger_path: str, server: Server, store_uri: str, tmp_path: Path) -> None:
    server.kill()
    run(ledger, study.id, *range(3))
    tracker = Tracker(ledger_path, server.uri, study.name, poll_seconds=0.1)
    tracker.start()
    until(lambda: tracker.lag() == 3)
    assert not tracker.finish(timeout=3.0)
    server.start()
    for uri in (server.uri, store_uri):
        home = Home.resolve(ledger=ledger_path, tracking_uri=uri, environ={"SWEEP_HOME": str(tmp_path)})
        sync(home, study.name, full())
    assert_whole(server.store, study.name, *range(3))
    assert trial_runs(server.store, study.name) == trial_runs(store_uri, study.name)


def test_a_refused_host_name_says_which_setting(
        ledger: Ledger, study: StudyRecord, ledger_path: str, tmp_path: Path, migrated: Path) -> None:
    shutil.copy(migrated, tmp_path / "server.db")
    server = Server(tmp_path, "--allowed-hosts", "mlflow.example")
    try:
        with pytest.raises(InfrastructureError, match="--allowed-hosts"):
            check(server.uri)
        tracker = Tracker(ledger_path, server.uri, study.name, poll_seconds=0.1)
        tracker.start()
        assert not tracker.finish(timeout=600.0)
        assert "--allowed-hosts" in (tracker.last_error or "")
    finally:
        server.kill()


def test_a_server_is_read_back_as_its_database_is(server: Server, ledger: Ledger, study: StudyRecord) -> None:
    from sweeps.tracking.audit import stored_runs
    run(ledger, study.id, *range(4))
    sweep_id = send(ledger, study, server.uri)
    found = {each.key: each for each in stored_runs(server.uri, study.name, sweep_id)}
    assert len(found) == 5
    assert found == {each.key: each for each in stored_runs(server.store, study.name, sweep_id)}

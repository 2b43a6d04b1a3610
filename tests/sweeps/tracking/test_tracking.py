"""Keeping MLflow up to date from a driver: the real sending process, on a SQLite store."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from sweeps.home import Home
from sweeps.ledger import Ledger
from sweeps.records import INTERRUPTED, StudyRecord
from sweeps.tracking import Tracker, environment, sync
from tests.sweeps.fake_results import full
from tests.sweeps.tracking.answering_server import answering, closed_address
from tests.sweeps.tracking.stored_runs import trial_runs
from tests.sweeps.tracking.trial_reports import BEGAN, end, ended_at, report, run, spec
from trainable.errors import InfrastructureError


def until(claim: Callable[[], object], seconds: float = 90.0) -> None:
    """Wait for something that another process brings about."""
    deadline = time.monotonic() + seconds
    while not claim():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.05)


def test_a_sweep_is_followed_and_its_answer_published(
        ledger: Ledger, study: StudyRecord, ledger_path: str, store_uri: str, tmp_path: Path) -> None:
    (tmp_path / "index.html").write_text("<p>report")
    tracker = Tracker(ledger_path, store_uri, "digits", tmp_path / "artifacts", poll_seconds=0.1)
    tracker.start()
    ledger.add_trial(study.id, spec(0), BEGAN)
    ledger.append(study.id, report(0, 1, 2), BEGAN + 1)
    until(lambda: spec(0).key in trial_runs(store_uri))
    ledger.append(study.id, report(0, 3, 5, end(0)), ended_at(0))
    run(ledger, study.id, 1, 2)
    assert tracker.finish(full(), tmp_path / "index.html", timeout=120.0)
    found = trial_runs(store_uri)
    assert sorted(len(runs) for runs in found.values()) == [1, 1, 1, 1]
    assert {runs[0]["status"] for runs in found.values()} == {"FINISHED"}
    assert {len(runs[0]["points"]) for key, runs in found.items() if key} == {50}
    assert (tracker.lag(), tracker.warnings) == (0, ())
    stored = {path.name for path in (tmp_path / "artifacts").rglob("*") if path.is_file()}
    assert {"report.html", "sweet_spots.json", "risk.html"} <= stored
    assert tracker._child
    assert tracker._child.poll() is not None


def test_finish_without_start_is_no_success(ledger_path: str, store_uri: str) -> None:
    assert not Tracker(ledger_path, store_uri, "digits").finish()


def test_the_driver_needs_no_mlflow() -> None:
    code = "import sys, sweeps.tracking; assert not {'mlflow', 'torch', 'ray', 'pandas'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_mlflow_repeats_nothing_by_itself_and_tells_nobody() -> None:
    found = environment({"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "7", "MLFLOW_HTTP_REQUEST_TIMEOUT": "44", "HOME": "/h"})
    assert found["MLFLOW_HTTP_REQUEST_MAX_RETRIES"] == "0"
    assert found["MLFLOW_DISABLE_TELEMETRY"] == "true"
    assert (found["MLFLOW_HTTP_REQUEST_TIMEOUT"], found["HOME"]) == ("44", "/h")
    assert environment({})["MLFLOW_HTTP_REQUEST_TIMEOUT"] == "10"


def test_a_password_in_the_address_is_not_shown(ledger_path: str) -> None:
    assert "hunter22" not in repr(Tracker(ledger_path, "http://me:hunter22@host", "digits"))


def test_sync_refuses_what_the_quick_look_refuses(ledger: Ledger, study: StudyRecord, tmp_path: Path) -> None:
    home = Home.resolve(tracking_uri=closed_address(), environ={"SWEEP_HOME": str(tmp_path)})
    with pytest.raises(InfrastructureError, match="does not answer"):
        sync(home, "digits", full())


@pytest.mark.slow
def test_sync_fills_a_new_store_with_what_the_first_has(
        ledger: Ledger, study: StudyRecord, ledger_path: str, store_uri: str, tmp_path: Path) -> None:
    run(ledger, study.id, *range(5))
    first = Tracker(ledger_path, store_uri, "digits", tmp_path / "artifacts", poll_seconds=0.1)
    first.start()
    assert first.finish(full(), timeout=120.0)
    home = Home.resolve(ledger=ledger_path, tracking_uri=f"sqlite:///{tmp_path}/second.db",
                        environ={"SWEEP_HOME": str(tmp_path / "home")})
    for _ in range(2):
        sync(home, "digits", full(), timeout=120.0)
        assert trial_runs(home.tracking_uri) == trial_runs(store_uri)


@pytest.mark.slow
def test_a_sender_that_is_killed_is_replaced_and_the_next_finds_the_runs(
        ledger: Ledger, study: StudyRecord, ledger_path: str, store_uri: str) -> None:
    tracker = Tracker(ledger_path, store_uri, "digits", poll_seconds=0.1)
    tracker.start()
    ledger.add_trial(study.id, spec(0), BEGAN)
    ledger.append(study.id, report(0, 1, 2), BEGAN + 1)
    until(lambda: spec(0).key in trial_runs(store_uri))
    assert tracker._child
    tracker._child.kill()
    ledger.append(study.id, report(0, 3, 5, end(0)), ended_at(0))
    until(lambda: "ended with -9" in (tracker.last_error or ""))
    assert tracker.finish(timeout=120.0)
    assert [len(runs) for runs in trial_runs(store_uri).values()] == [1, 1]
    assert len(trial_runs(store_uri)[spec(0).key][0]["points"]) == 50
    assert tracker.last_error is None


@pytest.mark.slow
def test_wrong_credentials_are_told_at_once_and_not_waited_for(
        ledger: Ledger, study: StudyRecord, ledger_path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_USERNAME", "me")
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", "hunter22")
    run(ledger, study.id, 0)
    told: list[str] = []
    with answering(401, "who are you: hunter22") as uri:
        tracker = Tracker(ledger_path, uri, "digits", poll_seconds=0.1)
        tracker.start(told.append)
        until(lambda: told)
        assert not tracker.finish(timeout=600.0)
    assert "MLFLOW_TRACKING_PASSWORD" in (tracker.last_error or "")
    assert tracker.lag() == 1
    assert tuple(told) == tracker.warnings
    assert len(told) == 1
    assert "hunter22" not in f"{tracker.last_error}{tracker.warnings}{[*tracker._last_lines]}"


@pytest.mark.slow
def test_the_sender_dies_with_its_driver(ledger: Ledger, study: StudyRecord, ledger_path: str, store_uri: str) -> None:
    code = (f"import time; from sweeps.tracking import Tracker; t = Tracker({ledger_path!r}, {store_uri!r}, 'digits')\n"
            "t.start()\nwhile not t._child: time.sleep(0.05)\nprint(t._child.pid, flush=True); time.sleep(600)")
    driver = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert driver.stdout
    child = int(driver.stdout.readline())
    driver.send_signal(signal.SIGKILL)
    driver.wait()
    until(lambda: not _is_alive(child), 30.0)


@pytest.mark.slow
def test_an_interrupted_sweep_stays_open_in_mlflow(
        ledger: Ledger, study: StudyRecord, ledger_path: str, store_uri: str) -> None:
    tracker = Tracker(ledger_path, store_uri, "digits", poll_seconds=0.1)
    tracker.start()
    assert tracker.finish(timeout=120.0, state=INTERRUPTED)
    assert trial_runs(store_uri)[""][0]["status"] == "SCHEDULED"


def _is_alive(pid: int) -> bool:
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False
    except OSError:
        os.kill(pid, 0)
        return True

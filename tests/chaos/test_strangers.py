"""What strangers bring to a real run: machines without what was asked, wild training, lying checkpoints, pages of the web."""

import http.client
import os
import pickle
import signal
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from sweeps.ledger import Ledger
from sweeps.records import FAILED, FINISHED, NOTED
from tests.chaos.smoke_run import WAIT_SECONDS, SmokeRun, trials_in
from trainable.checkpoint import dumps

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(900)]
DRIVE = Path(__file__).parents[1] / "cluster" / "drive.py"


@pytest.mark.parametrize(("key", "wanted"), [("compute.cpus=1000", "1000 CPUs"), ("compute.gpus=64", "64 GPUs")])
def test_more_than_the_machine_has_is_said_with_what_there_is(tmp_path: Path, key: str, wanted: str) -> None:
    run = SmokeRun(tmp_path / "home", "--set", key)
    assert run.wait() == 4, run.output
    assert f"{wanted}" in run.output
    assert "compute.cpus, compute.gpus" in run.output
    assert "but there is 1 machine with " in run.output
    assert "Traceback" not in run.output
    assert trials_in(tmp_path / "home" / "ledger.db") == []


def test_a_study_that_always_diverges_ends_with_advice_and_a_report_that_claims_nothing(tmp_path: Path) -> None:
    wild = ("train.lr=1000", "train.momentum=0.99", "train.schedule=constant", "space.weight_decay=10", "search.first=[]")
    run = SmokeRun(tmp_path / "home", *(word for each in wild for word in ("--set", each)), LANG="C", LC_ALL="C", PYTHONUTF8="0",
                   PYTHONCOERCECLOCALE="0", COLUMNS="40", NO_COLOR="1")
    assert run.wait() == 3, run.output
    trials = trials_in(tmp_path / "home" / "ledger.db")
    assert {(trial.stage, trial.state, trial.failure_class) for trial in trials} == {("search", FAILED, "DIVERGED")}
    assert len(trials) == 2
    assert "2 x DIVERGED" in run.output
    assert "lower train.lr, 1000" in run.output
    assert "train.schedule=cosine" in run.output
    assert "not measured: none of its 2 search trials finished" in run.output
    assert "Not enough data" in run.output
    page = (tmp_path / "home" / "reports" / "smoke" / "index.html").read_text()
    assert "ot enough data" in page
    assert run.output.isascii(), "such a terminal knows nothing else"
    assert "\x1b" not in run.output
    assert "Traceback" not in run.output


class Malicious:
    def __init__(self, proof: Path) -> None:
        self.proof = str(proof)

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[str, str]]:
        return open, (self.proof, "w")


def drive(folder: Path, stop_when_seen: str | None = None) -> str:
    """The driver of the small study, to its end or to a SIGTERM once it printed so."""
    with (folder / "output").open("w") as file:
        process = subprocess.Popen([sys.executable, str(DRIVE), str(folder), "0.15"], stdout=file, stderr=subprocess.STDOUT,
                                   env={**os.environ, "RAY_USAGE_STATS_ENABLED": "0"})
    deadline = time.monotonic() + WAIT_SECONDS
    while process.poll() is None:
        assert time.monotonic() < deadline, (folder / "output").read_text()
        lines = (folder / "output").read_text().splitlines()
        if stop_when_seen and sum(line.startswith(stop_when_seen) and int(line.split()[2]) >= 3 for line in lines) >= 2:
            process.send_signal(signal.SIGTERM)
            stop_when_seen = None
        time.sleep(0.05)
    return (folder / "output").read_text()


def test_a_resumed_driver_meets_checkpoints_that_lie_and_finishes_every_trial(tmp_path: Path) -> None:
    assert "end interrupted" in drive(tmp_path, "RUNNING")
    proof = tmp_path / "code ran"
    slots = sorted((tmp_path / "checkpoints" / "small").iterdir())
    assert slots
    for number, folder in enumerate(slots):
        for path in folder.iterdir():
            lies = (dumps({"epoch": Malicious(proof)}, folder.name), pickle.dumps(Malicious(proof)), path.read_bytes()[:-5])
            path.write_bytes(lies[number % len(lies)])
    output = drive(tmp_path)
    assert "end complete" in output, output
    assert not proof.exists()
    with Ledger.open(tmp_path / "ledger.db", read_only=True) as ledger:
        study = ledger.study("small")
        assert study
        trials = {trial.id: trial for trial in ledger.trials(study.id)}
        noted = ledger.decisions(study.id, NOTED)
    assert {trial.state for trial in trials.values()} <= {FINISHED, "PRUNED"}
    told = Counter(trials[decision.trial_id or 0].key for decision in noted if "passed over" in decision.detail["text"])
    assert set(told) == {folder.name for folder in slots}
    assert [trial.metrics["resumed"] for trial in trials.values() if trial.key in told and trial.state == FINISHED].count(0.0) >= 1


@pytest.fixture
def ui(tmp_path: Path) -> Iterator[int]:
    """The port of `mixup-sweep ui`."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with (tmp_path / "ui.log").open("w") as log:
        process = subprocess.Popen([sys.executable, "-m", "sweeps", "ui", "smoke", "--port", str(port)], stdout=log, stderr=log,
                                   env={**os.environ, "SWEEP_HOME": str(tmp_path / "home")}, start_new_session=True)
    deadline = time.monotonic() + WAIT_SECONDS
    while True:
        try:
            assert status(port, "/health", f"127.0.0.1:{port}") == 200
            break
        except OSError:
            assert process.poll() is None, (tmp_path / "ui.log").read_text()
            assert time.monotonic() < deadline, (tmp_path / "ui.log").read_text()
            time.sleep(0.2)
    yield port
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def status(port: int, path: str, host: str, **headers: str) -> int:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        connection.request("GET", path, headers={"Host": host, **headers})
        return connection.getresponse().status
    finally:
        connection.close()


def test_the_ui_answers_to_its_own_name_and_to_no_page_of_the_web(ui: int, tmp_path: Path) -> None:
    api = "/api/2.0/mlflow/experiments/search?max_results=1"
    for host in (f"127.0.0.1:{ui}", f"localhost:{ui}", "localhost"):
        assert status(ui, api, host) == 200
    for host in ("evil.example", f"evil.example:{ui}", f"10.0.0.1:{ui}", f"localhost.evil.example:{ui}", "127.0.0.1.evil.example"):
        assert status(ui, api, host) == 403
    foreign = [address for address in addresses() if address != "127.0.0.1"]
    for address in foreign:
        with pytest.raises(OSError, match=r"refused|timed out|unreachable"):
            socket.create_connection((address, ui), timeout=5).close()


def addresses() -> list[str]:
    """The IPv4 addresses of this machine."""
    import psutil
    return [one.address for found in psutil.net_if_addrs().values() for one in found if one.family == socket.AF_INET]



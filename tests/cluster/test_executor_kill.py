"""Drivers that are told to stop, or killed: the same command again, and every trial has run once, whole."""

import os
import random
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import psutil
import pytest

from sweeps.doctor import findings_of
from sweeps.doctor.recorded import read
from sweeps.home import Home
from sweeps.ledger import Ledger
from sweeps.records import FINAL_STATES, FINISHED, INTERRUPTED, MEASURE, SEARCH

pytestmark = pytest.mark.cluster
DRIVE = str(Path(__file__).with_name("drive.py"))


class Driver:
    """A driver process with its own process group, and what it prints."""

    def __init__(self, folder: Path, seconds: float = 0.05) -> None:
        self.output = folder / f"output {time.monotonic_ns()}"
        with self.output.open("w") as file:
            self.process = subprocess.Popen([sys.executable, DRIVE, str(folder), str(seconds)], stdout=file,
                                            stderr=subprocess.STDOUT, start_new_session=True)

    def wait_for(self, pattern: str, count: int = 1, seconds: float = 120) -> None:
        """Until so many lines match, or the process has ended."""
        deadline = time.monotonic() + seconds
        while len(re.findall(pattern, self.output.read_text(), re.M)) < count:
            assert time.monotonic() < deadline, self.output.read_text()
            if self.process.poll() is not None:
                return
            time.sleep(0.02)

    def family(self) -> list[psutil.Process]:
        return psutil.Process(self.process.pid).children(recursive=True)


def assert_whole(folder: Path) -> None:
    """Every trial of the study once, whole, and nothing left running. Nothing of this is ever sent to MLflow."""
    home = Home.resolve(environ={"SWEEP_HOME": str(folder)})
    with Ledger.open(home.ledger, read_only=True) as ledger:
        record = ledger.study("small")
        assert record
        recorded = read(ledger, record, None)
    assert [str(finding) for finding in findings_of(recorded, home)] == []
    assert recorded.is_over
    assert Counter(trial.stage for trial in recorded.trials) == {SEARCH: 8, MEASURE: 8}


def gone(processes: list[psutil.Process], seconds: float = 30) -> bool:
    _, alive = psutil.wait_procs(processes, timeout=seconds)
    return not alive


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_driver_told_to_stop_checkpoints_and_the_same_command_goes_on(tmp_path: Path, number: int) -> None:
    driver = Driver(tmp_path, 0.3)
    driver.wait_for(r"^RUNNING \w+ [234]$", 2)
    family = driver.family()
    os.killpg(driver.process.pid, number) if number == signal.SIGINT else driver.process.terminate()
    assert driver.process.wait(60) == 0
    assert driver.output.read_text().splitlines()[-1] == "end interrupted"
    assert gone(family)
    with Ledger.open(tmp_path / "ledger.db") as ledger:
        left = [trial for trial in ledger.trials(1) if trial.state not in FINAL_STATES]
        assert left
        assert {trial.state for trial in left} == {INTERRUPTED}
        had = {trial.key: trial.last_epoch for trial in left}
    assert list(tmp_path.glob("checkpoints/small/*/latest"))
    again = Driver(tmp_path, 0.0)
    assert again.process.wait(300) == 0, again.output.read_text()
    assert_whole(tmp_path)
    with Ledger.open(tmp_path / "ledger.db") as ledger:
        for trial in ledger.trials(1):
            if had.get(trial.key, 0) > 1 and trial.state == FINISHED:
                assert trial.metrics["resumed"] >= had[trial.key] - 1


def test_a_second_interrupt_ends_at_once(tmp_path: Path) -> None:
    driver = Driver(tmp_path, 15.0)
    driver.wait_for("^PENDING", 2)
    time.sleep(1)
    driver.process.send_signal(signal.SIGINT)
    time.sleep(0.5)
    assert driver.process.poll() is None
    family = driver.family()
    driver.process.send_signal(signal.SIGINT)
    assert driver.process.wait(20) != 0
    assert "Forced" in driver.output.read_text()
    assert gone(family)


@pytest.mark.timeout(900)
@pytest.mark.parametrize("seed", range(2))
def test_drivers_killed_at_random_points_leave_no_process_and_lose_no_trial(tmp_path: Path, seed: int) -> None:
    """Ray's two agents of a node try for a minute to tell of the node's end before they go; all others go at once."""
    chance = random.Random(seed)
    families: list[psutil.Process] = []
    for _ in range(3):
        driver = Driver(tmp_path)
        driver.wait_for("^(RUNNING|FINISHED|PRUNED)", chance.randint(1, 6))
        time.sleep(chance.random() * 0.3)
        family = driver.family() if driver.process.poll() is None else []
        agents = [process for process in family if "Agent" in process.name()]
        driver.process.kill()
        driver.process.wait()
        assert gone([process for process in family if process not in agents])
        families += agents
    last = Driver(tmp_path)
    assert last.process.wait(300) == 0, last.output.read_text()
    assert last.output.read_text().splitlines()[-1] == "end complete"
    assert_whole(tmp_path)
    if seed == 0:
        assert gone(families, seconds=100)

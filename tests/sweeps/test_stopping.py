"""Stopping a driver from outside: which signals it gets, and what a person is told."""

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from sweeps import stopping
from sweeps.home import Home
from sweeps.ledger import Ledger, lock
from sweeps.stopping import stop_driver
from trainable.errors import InfrastructureError, StudyError

HOST, _ = lock.here()
COMMAND = "mixup-sweep stop digits"
DRIVER = """
import signal, sys
seen = []
def handle(number, frame):
    seen.append(signal.Signals(number).name)
    print(*seen, flush=True)
    if len(seen) == {enough}:
        sys.exit(130 if len(seen) == 2 else 5)
for number in (signal.SIGTERM, signal.SIGINT):
    signal.signal(number, handle)
print("ready", flush=True)
while True:
    signal.pause()
"""


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home.resolve(environ={"SWEEP_HOME": str(tmp_path)})


@pytest.fixture
def held(home: Home) -> Iterator[Callable[[str, int], None]]:
    """Makes a process of a host the driver of the study `digits`."""
    with Ledger.open(home.ledger) as ledger:
        study_id = ledger.register_study("digits", {}, {}, 1.0).id
        yield lambda host, pid: ledger.acquire(study_id, host, pid, time.time())


@pytest.fixture
def begin() -> Iterator[Callable[[int], "subprocess.Popen[str]"]]:
    """Begins processes that end at the signal of this number, as a driver does."""
    begun: list[subprocess.Popen[str]] = []

    def start(enough: int) -> "subprocess.Popen[str]":
        process = subprocess.Popen([sys.executable, "-c", DRIVER.format(enough=enough)], stdout=subprocess.PIPE, text=True)
        begun.append(process)
        assert process.stdout
        assert process.stdout.readline() == "ready\n"
        return process

    yield start
    for process in begun:
        process.kill()
        process.communicate()


@pytest.mark.parametrize(("now", "code", "signals"), [(False, 5, {"SIGTERM"}), (True, 130, {"SIGTERM", "SIGINT"})])
def test_a_driver_gets_one_signal_and_with_now_a_second(home: Home, held: Callable[[str, int], None], now: bool, code: int,
                                                        signals: set[str],
                                                        begin: Callable[[int], "subprocess.Popen[str]"]) -> None:
    driver = begin(len(signals))
    held(HOST, driver.pid)
    assert "digits is stopped; nothing is lost" in stop_driver(home, "digits", COMMAND, now=now)
    text, _ = driver.communicate(timeout=60)
    assert driver.returncode == code
    assert set(text.splitlines()[-1].split()) == signals


def test_one_that_takes_its_time_is_told_of(home: Home, held: Callable[[str, int], None],
                                            begin: Callable[[int], "subprocess.Popen[str]"],
                                            monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stopping, "STOP_SECONDS", 0.5)
    driver = begin(3)
    held(HOST, driver.pid)
    with pytest.raises(InfrastructureError, match=rf"process {driver.pid} is still finishing after 0 s; --now does not wait"):
        stop_driver(home, "digits", COMMAND)


def test_one_on_another_host_is_named_with_the_command_to_give_there(home: Home, held: Callable[[str, int], None]) -> None:
    held("far-host", 41)
    with pytest.raises(StudyError, match=f"process 41 on far-host; give this command there:\n  {COMMAND}"):
        stop_driver(home, "digits", COMMAND)


def test_nobody_is_signalled_where_nobody_drives(home: Home, held: Callable[[str, int], None]) -> None:
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    assert stop_driver(home, "digits", COMMAND) == "nobody is running digits"
    held(HOST, dead.pid)
    assert stop_driver(home, "digits", COMMAND) == "nobody is running digits"

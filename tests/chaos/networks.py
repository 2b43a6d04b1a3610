"""Two network namespaces with a cable between them that can be cut: a place with a head, a driver and a machine, and another place.

Needs root and iproute2. The addresses are private, and exist in these two namespaces only.
"""

import os
import shutil
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tests.chaos.machines import kill_tree, set_for_children
from tests.chaos.runs import ROOT

HERE_ADDRESS, THERE_ADDRESS = "10.213.77.1", "10.213.77.2"
PORT = 6390
PATIENT = {"RAY_health_check_initial_delay_ms": "1000", "RAY_health_check_period_ms": "2000", "RAY_health_check_timeout_ms": "2000",
           "RAY_health_check_failure_threshold": "8"}
"""A machine that does not answer is given up after some 16 to 32 s: more than the 15 s for which the cable is pulled."""
READY_SECONDS = 90.0


def why_not() -> str | None:
    """Why there can be no network namespaces here; None where there can."""
    if os.geteuid() != 0 or shutil.which("ip") is None:
        return "network namespaces need root and the program `ip` of iproute2"
    try:
        with two_places():
            return None
    except (subprocess.CalledProcessError, OSError) as error:
        return f"network namespaces are not permitted here: {getattr(error, 'stderr', error)}"


class Cable:
    """What connects the two namespaces `here` and `there`."""

    def __init__(self, here: str, there: str) -> None:
        self.here, self.there = here, there

    def cut(self) -> None:
        _ip("-n", self.there, "link", "set", "cable", "down")

    def mend(self) -> None:
        _ip("-n", self.there, "link", "set", "cable", "up")


@contextmanager
def two_places() -> Iterator[Cable]:
    """Two namespaces of this test's own, gone afterwards with all that lives in them."""
    mark = uuid.uuid4().hex[:6]
    here, there = f"mixup-here-{mark}", f"mixup-there-{mark}"
    try:
        for name in (here, there):
            _ip("netns", "add", name)
            _ip("-n", name, "link", "set", "lo", "up")
        _ip("-n", here, "link", "add", "cable", "type", "veth", "peer", "name", "cable", "netns", there)
        for name, address in ((here, HERE_ADDRESS), (there, THERE_ADDRESS)):
            _ip("-n", name, "address", "add", f"{address}/30", "dev", "cable")
            _ip("-n", name, "link", "set", "cable", "up")
        yield Cable(here, there)
    finally:
        for name in (here, there):
            with suppress(subprocess.CalledProcessError):
                for pid in _ip("netns", "pids", name).split():
                    kill_tree(int(pid))
                _ip("netns", "delete", name)


class TwoPlaces:
    """A Ray cluster across a cable: head and a machine of one processor here, another machine there."""

    def __init__(self, cable: Cable, folder: Path) -> None:
        self.cable, self._folder = cable, folder
        self.address = f"{HERE_ADDRESS}:{PORT}"
        self.prefix = ["ip", "netns", "exec", cable.here]
        self._processes: list[subprocess.Popen[bytes]] = []
        self._start(cable.here, HERE_ADDRESS, "--head", f"--port={PORT}", "--num-cpus=0", "--include-dashboard=false")
        for place, address in ((cable.here, HERE_ADDRESS), (cable.there, THERE_ADDRESS)):
            self._start(place, address, f"--address={self.address}", "--num-cpus=1")

    def _start(self, place: str, address: str, *options: str) -> None:
        """One machine; back when it says that it is up."""
        log = self._folder / f"machine {len(self._processes)}.txt"
        command = ["ip", "netns", "exec", place, sys.executable, "-m", "ray.scripts.scripts", "start", "--block",
                   f"--node-ip-address={address}", "--object-store-memory=150000000", "--disable-usage-stats", *options]
        environment = {"RAY_AUTH_MODE": "disabled", "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1", **PATIENT}
        with set_for_children(**environment), log.open("wb") as file:
            self._processes.append(subprocess.Popen(command, stdout=file, stderr=file, start_new_session=True))
        deadline = time.monotonic() + READY_SECONDS
        while b"Ray runtime started" not in log.read_bytes():
            assert self._processes[-1].poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.2)

    def close(self) -> None:
        for process in reversed(self._processes):
            kill_tree(process.pid)
            process.wait(30)


def _ip(*arguments: str) -> str:
    return subprocess.run(["ip", *arguments], check=True, capture_output=True, text=True, timeout=30).stdout
